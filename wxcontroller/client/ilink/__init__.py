"""The iLink API that an account serves to other people's agents (ilink-bot-protocol 20), on every route.

An agent is a *consumer* (``consumerbook``): it has a name, its own cursor over the event log, and options. The
controller checks its token and forwards its requests with its name. ``serving`` has the calls, ``getupdates`` reads
the log for an agent, ``agentmessages`` and ``agentcdn`` give messages and content their form. Sends (``sendmessage``)
go through the account's queue like all others.

Only ``agentroutes`` is imported at the start of an account; it loads the rest with the first request for it, because
most accounts serve no agents and memory is multiplied by hundreds of accounts.
"""
