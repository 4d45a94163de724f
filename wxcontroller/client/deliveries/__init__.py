"""Delivery of events to the webhook (post_api).

``lanes`` decides which report is next and what a failure means, without sockets or clock: start there. ``delivery``
is the loop around it, the only reader of pending events. ``receivers`` makes one attempt, over ``posts`` (one request
on a kept connection) and ``outbound`` (which addresses are allowed); ``bodies`` and ``signatures`` make what is sent.
``published`` writes what lists of accounts show about deliveries, and ``trial`` posts a test event past the queue.

Nothing here is durable: the state of each report is in the event log (``client.store``), and a restart goes on from
there.
"""
