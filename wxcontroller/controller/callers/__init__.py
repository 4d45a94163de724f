"""The callers of a request: tokens, root and everybody else, and why a request is refused.

``authentication`` recognizes the caller: start there. ``refusals`` has the reasons as exceptions, which
``controller.edge.failureanswers`` answers. ``agenttokens`` and ``pairings`` are for agents of the iLink API.
"""
