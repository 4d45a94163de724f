"""The only way to an account's program: callers' requests, the controller's own, and events.

An account's process may be compromised, so every response is limited and checked here, and can affect only that
account. ``connecting`` makes all connections, and only to the account's own user. ``client`` sends the controller's
own requests, with the port's secret, timeouts and errors (``failures``); ``status`` queries accounts. Calls under
/openwx/ take one way: ``forwarding`` takes them from their callers' connections, ``exchange`` is one request,
``backends`` keeps the connections to the accounts and reads the answers, ``lists`` answers for all accounts at once.
``proxy`` is what aiohttp passes on: calls of /v1, whose answers are written again, and calls for other hosts. ``hub``
shares one stream of events per account among all readers. ``longpolls`` limits the long polls of one token at one
account.
"""
