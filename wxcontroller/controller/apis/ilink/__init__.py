"""The iLink API for agents: any account, with the calls that Tencent's servers offer (ilink-bot-protocol 20).

An agent is a *consumer*: an account, a name, and a token of the controller. The controller checks the token and
forwards calls to the account's process, which keeps the consumer's position, media and sends (``client.ilink``).
Start with ``ilinkroutes``; ``pair`` and ``controller.callers.pairings`` are the way by which an agent requests a
token.
"""
