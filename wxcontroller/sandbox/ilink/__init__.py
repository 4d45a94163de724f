"""The iLink Bot API of the sandbox (protocol reference: ilink-bot-protocol).

``model`` is the state: bots, the reply windows of their peers, permits and files of the CDN. ``codes`` is the life of
a login code. ``phone`` is what a person does: scan, confirm, write; ``items`` is what messages consist of. ``calls``
answers the nine calls of a bot's client, ``cdn`` keeps and hands out ciphertext (``crypt``), ``wire`` takes requests,
records them and lets faults strike. ``scripting`` is the part of the scripting API that only this route has.

Like the rest of the sandbox it refuses only what the real service is reported to refuse. Where reports contradict
each other, a setting of the account (``model.Settings``) chooses; the default is the behavior with the best evidence.
"""
