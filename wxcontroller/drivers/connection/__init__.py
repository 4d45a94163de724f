"""The connection to WeChat, shared by all routes.

``transport`` sends one request and limits its response, directly or through a proxy (``tunnels``); start there.
``failures`` and ``outages`` describe why there is no usable response. Drivers wait with ``pulse``, which reports
progress to the watchdog meanwhile. ``logout`` ends a driver's work on request, ``probe`` tests a proxy, and
``fence`` closes all connections when this host may no longer run the account. The meaning of requests is known only
to the routes.
"""
