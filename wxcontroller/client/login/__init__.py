"""The account's login: its state, what is published of it, and whether this host may have it.

``session`` is the only writer of the login state and of its files (``publicfiles``); start there. ``driverevents``
passes it the driver's events. ``pollheartbeat`` polls poll_api, ``minutemarks`` records the minutes in which the
account runs. ``permit`` and ``settling`` are loaded only in a fleet with etcd.
"""
