"""The iLink route: Tencent's HTTP API for bots on personal accounts. Protocol facts are those of ilink-bot-protocol.

``driver`` joins the parts: start there. Four layers, so that a change at WeChat touches one: ``wire`` has hosts,
headers and the nine calls (JSON in, JSON out), ``decode`` turns answers into dataclasses, ``login`` and ``polling``
act on them, ``media`` transfers content on WeChat's CDN, encrypted with a key per file (``core.aes``). ``login``
shows QR codes until a phone confirms one, ``polling`` receives messages and decides when a session is over.

``claim`` keeps two accounts of a host from using one WeChat user. ``memory`` is what outlasts the process:
credentials, the poll cursor and each peer's context token. The reply window and its budgets are the send queue's
business; this package only tells the queue what an answer means (``decode.send_failure``).
"""
