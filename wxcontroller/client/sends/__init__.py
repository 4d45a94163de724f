"""Outgoing messages: the queue, its pacing and the calls that fill it.

A send is one message to one receiver (``model``). Only ``acceptance`` creates sends, for every API:
``client.calls.sendingcalls`` has the calls of /openwx, ``client.v1.acts.sending`` those of /v1, ``content`` the
content and the replies of webhooks. ``queue`` sends one message at a time; start there. ``rules`` determine whether
and when. ``attempts`` goes through the steps that lead to WeChat, ``sender`` passes the message to the driver, and
``ending`` reports the result. ``idempotency`` recognizes repeated requests.

Durable data is in ``client.store.sendstore``: a message is on disk before its caller gets a response, and marked
there before it is passed to WeChat. The meaning of WeChat's codes is the drivers' knowledge.
"""
