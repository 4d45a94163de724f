"""The content of a send: from its request's parameters, a URL or a file, to what the driver takes.

``preparing`` gets it, from local files (``mediapath``) or URLs (``urlfetch``): start there. ``callbodies`` reads the
bodies of requests, ``webhookreplies`` those of webhooks' answers. ``splitting`` cuts long texts. ``holders`` tells
whose content it is: holders share the account's disk.
"""
