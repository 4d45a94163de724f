"""Entries of AddMsgList as this page's messages (weixin-web-protocol 15.3)."""

from dataclasses import replace

from wxcontroller.core.jsontypes import JsonObject, text
from wxcontroller.core.model import Direction, Message
from wxcontroller.drivers.web.decode import messages

PEER = "filehelper"


def message_of(raw: JsonObject, me: str, emoji_names: bool) -> Message | None:
    """Read one entry; None for one of another conversation or not for people.

    Messages that a person types or forwards on the phone arrive as sent to ``filehelper``. Here they count as
    received. Content cannot be sent again by reference: no client of the page does it.
    """
    if PEER not in (text(raw.get("FromUserName")), text(raw.get("ToUserName"))):
        return None
    message = messages.message_of(raw, me, emoji_names)
    if not isinstance(message, Message):
        return None
    media = replace(message.media, reference="") if message.media is not None else None
    return replace(message, chat=PEER, sender=PEER, direction=Direction.RECEIVED, media=media)
