"""The iLink Bot API of the sandbox (ilink-bot-protocol).

``sandbox.world.ilinkbots`` is the state: bots, the reply windows of their peers, permits and files of the CDN; start
there. ``codes`` is the life cycle of a login code. ``phone`` has the actions of a person (scan, confirm, write),
``items`` the contents of messages. ``calls`` answers the nine calls of a bot's client, ``cdn`` stores and returns
ciphertext (``crypt``), ``wire`` accepts requests, records them and injects faults. ``sandbox.script.scripting_ilink``
is the route's part of the scripting API.

Like the rest of the sandbox, it refuses only what the real service is reported to refuse. If reports contradict each
other, a setting of the account (``ILinkBehavior``) decides; the default is the behavior with the best evidence.
"""
