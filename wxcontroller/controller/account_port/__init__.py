"""The only way to an account's port: one HTTP client, the proxy, status, and events.

An account's process may have been taken over, so everything that comes back is bounded and checked here, and may harm
only that account. ``client`` sends requests of the controller and knows secret, time limits and errors; ``status``
asks accounts about themselves. ``proxy`` passes callers' requests on; start there, as it has all the rules.
``fastpath`` does the same for ordinary requests at a tenth of the cost: ``requestheads`` is the grammar of the heads
that it takes, ``backends`` keeps the connections, ``exchange`` is one request, ``lists`` answers for all accounts at
once. ``hub`` shares one stream of events per account among all readers. ``longpolls`` limits what one token may
occupy of one account.
"""
