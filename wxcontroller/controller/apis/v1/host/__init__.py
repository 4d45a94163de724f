"""The calls of /v1 about this host and its fleet: health, alerts, tokens, targets, moves.

Start with ``health``. ``moves`` executes the steps of a move, which wxctl decides, ``fleetcalls`` the other hosts,
``pairingcalls`` the requests of agents for a token.
"""
