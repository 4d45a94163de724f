"""The calls of the original's contract at the account's port. ``client.openwxapi`` names them all.

``call`` is a request with the forms of its answers: start there. ``sendingcalls`` send, ``readingcalls`` read,
``contactcalls`` and ``remarks`` change people and groups, ``avatar`` returns pictures. ``unsupported`` answers calls
that the account's route does not have.
"""
