"""Many WeChat accounts on one machine, each a systemd unit, behind one HTTP API.

``client`` is the process of one account, ``controller`` the process behind port 2000, and ``cli`` is wxctl. ``alert``
delivers alerts, ``fleet`` connects several hosts, and ``sandbox`` simulates WeChat's servers. All use ``core``;
client and controller share ``openwx`` (the original's HTTP contract). ``drivers`` has the routes to WeChat, for the
client alone. Start with ``core.config.options``, ``drivers.base``, ``client.service`` and ``controller.service``.
"""

__version__ = "3.0.0"
