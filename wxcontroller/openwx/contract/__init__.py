"""The original's contract as data: its calls, the objects and reports in them, and the state file.

``described`` has the calls, for the documentation (``describing``): start there. ``replies`` are the answers,
``objects`` people and groups, ``reports`` the bodies to post_api, ``formats`` the kinds of messages in them,
``eventtypes`` the events, ``media`` the names and codes of media, ``statefile`` the state file. ``newmessage`` and
``paging`` belong to /v1; ``samples`` are examples.
"""
