"""When a send may go: the pace, pauses after failures, and reply windows.

``policy`` has the rules of a route: start there. ``pacer`` and ``sendbackoff`` determine when, ``availability``
whether any send can go at all. On routes with reply windows ``windowed`` holds sends, by the table in ``window``. The
order of sends is in ``client.sends.model.order``.
"""
