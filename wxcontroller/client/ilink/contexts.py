"""Context tokens: each identifies a conversation (ilink-bot-protocol 20.5).

A send goes to the conversation of its token: the group of a group message, or the person of a private one. So an
agent that ignores groups and answers the sender answers in the group, and never writes to a member in private.
WeChat's own tokens never leave the account.
"""

import hashlib
import struct
import time
from dataclasses import dataclass

from wxcontroller.client.ilink.consumerbook import Consumer
from wxcontroller.client.ilink.sealing import Seals

# From the protocol: ilink-bot-protocol 20.5.
LIFE_SECONDS = 7 * 86400
# 136 characters, like WeChat's.
_SIZE = 102
_FORM = struct.Struct(">6sQQ16s16s")


@dataclass(frozen=True, slots=True)
class MessageContext:
    """The content of a token: whose message it was, the ``group`` it was in ("" for a private one), and when.

    ``seq`` is its position in the log.
    """

    sender: bytes
    group: str
    time: float
    seq: int

    @property
    def is_over(self) -> bool:
        return not -LIFE_SECONDS < time.time() - self.time < LIFE_SECONDS

    def is_from(self, peer: str) -> bool:
        """Whether a person wrote the message."""
        return self.sender == _hash(peer)


def token_for(seals: Seals, consumer: Consumer, seq: int, when: float, sender: str, group: str) -> str:
    """Return the token of a message for a consumer. ``group`` is an id of ours, "" for a private message."""
    number = bytes.fromhex(group[1:21]).rjust(16, b"\1") if group else bytes(16)
    return seals.seal("context", _FORM.pack(consumer.bot, seq, max(0, int(when)), _hash(sender), number), _SIZE)


def context_of(seals: Seals, consumer: Consumer, token: str) -> MessageContext | None:
    """Return a token's context, None if it was never issued to this consumer."""
    content = seals.open("context", token)
    if content is None or len(content) != _FORM.size:
        return None
    bot, seq, when, sender, number = _FORM.unpack(content)
    if bot != consumer.bot:
        return None
    return MessageContext(sender, f"g{number[6:].hex()}@chatroom" if any(number) else "", float(when), seq)


def _hash(peer: str) -> bytes:
    return hashlib.sha256(peer.encode("utf-8", "surrogatepass")).digest()[:16]
