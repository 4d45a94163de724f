"""Many WeChat accounts on one machine, each a systemd unit, behind one HTTP API."""

__version__ = "2.3.0"
