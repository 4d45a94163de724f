"""Outgoing messages: the queue, its pacing and the calls that fill it.

A send is one message to one receiver (``model``). Only ``sending`` creates sends, for every API: ``calls`` has the
calls of /openwx, ``client.v1.sending`` those of /v1, ``replies`` the answers of webhooks. ``queue`` sends one
message at a time; start there. ``states`` has the steps of a send, ``attempts`` goes through those that lead to
WeChat, and ``ending`` reports its result. ``pacer`` and ``backoff`` determine when, ``order`` which, and
``availability`` and the route's ``policy`` whether: on a route with reply windows ``windowed``, by the table in
``window``. ``sender`` passes the message to the driver. ``preparing`` gets the content, from local files
(``mediapath``) or URLs (``urlfetch``). ``idempotency`` recognizes repeated requests, ``drain`` empties the queue at
a stop.

Durable data is in ``client.store.sends``: a message is on disk before its caller gets a response, and marked there
before it is passed to WeChat. The meaning of WeChat's codes is the drivers' knowledge.
"""
