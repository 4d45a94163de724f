"""The server side that controller and accounts share: connections, heads, admission, parameters.

``connection`` is a caller's connection: start there. ``listener`` accepts it, ``http1`` reads heads, ``admission``
limits how much one caller may take, ``credentials`` finds the token, ``crosssite`` detects foreign web pages.
``parameters`` and ``jsonbody`` read what a request says, ``idempotencykey`` its key; ``eventstream`` writes
server-sent events.
"""
