"""The iLink API for agents: any account, over the same calls that Tencent serves (ilink-bot-protocol 20).

An agent is a *consumer*: an account, a name, and a token of ours. The controller checks the token and passes calls on
to the account's own process, which keeps the consumer's position, media and sends.
"""
