"""Outgoing messages: the queue, its pacing and the calls that fill it.

A send is one message to one receiver (``model``), made only by ``sending``, whichever API orders it: ``calls`` has
those of /openwx, ``client.v1.sending`` those of /v1, ``replies`` those that webhooks answer. ``queue`` sends one
message at a time; start there. It asks ``pacer`` and ``backoff`` when, ``order`` which, and ``holding`` with
``window`` whether a reply window allows it, and hands the message to the driver by ``sender``. ``preparing`` finds
content, from files of this machine (``mediapath``) or from URLs (``urlfetch``). ``idempotency`` makes repeated
requests one, ``drain`` is the end of the queue at a stop.

What is durable is in ``client.store.sends``: a message is on disk before its caller hears of it, and marked there
before WeChat gets it. WeChat's codes are the drivers' knowledge.
"""
