"""The iLink API that an account serves to other people's agents (ilink-bot-protocol 20), on every route.

An agent is a *consumer*: it has a name, its own cursor over the event log, and options. The controller
checks its token and forwards its requests with its name. Sends go through the account's queue like all others.

Only ``routes`` is imported at the start of an account; it loads the rest with the first request for it, because most
accounts serve no agents and memory is multiplied by hundreds of accounts.
"""
