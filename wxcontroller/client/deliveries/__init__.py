"""Delivery of events to the webhook (post_api).

``lanes`` selects the next report and decides what follows a failure, without sockets or clock: start there.
``delivery`` is the loop around it, the only reader of pending events. ``receivers`` makes one attempt, over
``core.net.httprequests`` and ``outbound`` (allowed addresses); ``reportbodies`` and ``signatures`` build its content.
``trial`` posts a test event outside of the queue.

Nothing here is durable: the state of each report is in the event log (``client.store``), from which a restart
continues.
"""
