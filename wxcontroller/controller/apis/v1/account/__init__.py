"""The calls of /v1 about one account or all of them.

``accountcalls`` has list, start, stop and removal: start there. ``rows`` keeps the rows of all accounts for lists and
streams, ``watching`` is the stream of their changes. Most calls of ``messagecalls``, ``sendcalls``, ``deliverycalls``
and ``trialcalls`` are forwarded to the account's process. ``journalcall`` and ``journalstream`` read journals,
``loginlinkcalls`` and ``qrcall`` serve the login.
"""
