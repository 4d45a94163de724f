"""The only way to an account's program: one HTTP client, the proxy, status, and events.

An account's process may be compromised, so every response is limited and checked here, and can affect only that
account. ``connecting`` makes all connections, and only to the account's own user. ``client`` sends the controller's
own requests, with the port's secret, timeouts and errors (``failures``); ``status`` queries accounts. ``proxy``
forwards callers' requests; start there, because it has all the rules. ``fastpath`` does the same for ordinary
requests at a tenth of the cost: ``requestheads`` is the grammar of the heads that it accepts, ``backends`` keeps the
connections, ``exchange`` is one request, ``lists`` answers for all accounts at once. ``hub`` shares one stream of
events per account among all readers. ``longpolls`` limits the long polls of one token at one account.
"""
