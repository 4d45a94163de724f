"""Many WeChat accounts on one machine, each a systemd unit, behind one HTTP API."""

__version__ = "3.0.0"
