"""The one way of a request to an account and back: ``forwarding`` takes it, ``exchange`` carries it.

``forwarding`` has what requests share (start there), ``exchange`` is the way of one request from the caller's
connection (``openwx.http.connection``). ``lists`` answers for all accounts at once. ``proxy`` is for calls that
aiohttp passes on: of /v1, whose answers ``rewriting`` decodes and writes again, and for other hosts. The connections
to the accounts are in ``controller.account_port``.
"""
