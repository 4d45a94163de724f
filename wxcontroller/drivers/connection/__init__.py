"""The connection to WeChat that all routes share.

``transport`` carries one request and bounds its answer, directly or through a proxy (``tunnels``). ``failures`` and
``outages`` say why nothing usable came back. ``pulse`` is how a driver waits: it reports progress to the watchdog
meanwhile. ``logout`` ends a driver's work by request, ``probe`` tries a proxy, and ``fence`` closes all connections
when this host may no longer run the account. The routes know the meaning of requests.
"""
