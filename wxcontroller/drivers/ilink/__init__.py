"""The iLink route: Tencent's HTTP API for bots on personal accounts. Protocol facts are those of ilink-bot-protocol.

Four layers, so that a change at WeChat touches one:

- ``wire``: hosts, headers and the nine calls; JSON in, JSON out.
- ``decode``: what the answers mean, as dataclasses.
- ``login`` and ``polling``: what to do about them. ``login`` shows QR codes until a phone confirms one, ``polling``
  receives messages and decides when a session is over.
- ``media``: content on WeChat's CDN, encrypted with a key per file (``aes``).

``claim`` keeps two accounts of a host from using one WeChat user. ``memory`` is what outlasts the process:
credentials, the poll cursor and each peer's context token. ``driver`` joins the parts. The reply window and its
budgets are the send queue's business; this package only says what an answer means for the queue
(``decode.send_failure``).
"""
