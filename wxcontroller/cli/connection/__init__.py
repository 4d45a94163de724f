"""How wxctl reaches a controller, an account's journal and systemd.

``api`` has the controller's calls as methods: start there. ``requests`` is the HTTP below, with ``multipart`` for
files and ``serversent`` for streams; ``credential`` finds the token. ``account`` is an account as the API returns it,
``follow`` waits for its start. ``systemd`` asks this machine's systemd and needs no controller.
"""
