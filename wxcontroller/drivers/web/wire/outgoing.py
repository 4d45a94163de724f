"""Outgoing messages on the wire (weixin-web-protocol 5.7, 5.10)."""

from dataclasses import dataclass, field
from html import escape

from wxcontroller.core.errors import Unsupported
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.model import MessageKind
from wxcontroller.core.text.templates import N_
from wxcontroller.drivers.base import Uploaded
from wxcontroller.drivers.web.wire.calls import sendable

_APP = "wxeb7ec651dd0aefa9"
_FILE = 6
_FORWARDED = 2  # Scene of forwarded messages


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message to send: the call, its query and the fields of Msg that make its kind. ``scene`` 2: forwarded."""

    call: str
    query: str
    message: JsonObject = field(repr=False)
    scene: int = 0


def text_message(content: str) -> OutgoingMessage:
    """Return a text."""
    return OutgoingMessage("webwxsendmsg", "", {"Type": 1, "Content": sendable(content)})


# Kinds that ``text_message`` and ``media_message`` build. Voice is sent as a file (5.10).
SENDABLE = frozenset(
    {
        *(MessageKind.TEXT, MessageKind.IMAGE, MessageKind.EMOTICON, MessageKind.VIDEO, MessageKind.MICROVIDEO),
        MessageKind.FILE,
    }
)


def media_message(content: Uploaded, desktop: bool) -> OutgoingMessage:
    """Return uploaded content as a message. ``desktop``: a file as the desktop page sends it (2.2).

    Raises Unsupported for anything but media.
    """
    if content.reference:
        return forwarded(content, desktop)
    match content.kind:
        case MessageKind.IMAGE:
            fields: JsonObject = {"Type": 3, "MediaId": content.key, "Content": ""}
            return OutgoingMessage("webwxsendmsgimg", "fun=async&f=json", fields)
        case MessageKind.EMOTICON:
            # Uploaded ones have an @ in front; others are known by their MD5.
            name = "MediaId" if content.key.startswith("@") else "EMoticonMd5"
            return OutgoingMessage("webwxsendemoticon", "fun=sys", {"Type": 47, "EmojiFlag": 2, name: content.key})
        case MessageKind.VIDEO | MessageKind.MICROVIDEO:
            fields = {"Type": 43, "MediaId": content.key, "Content": ""}
            return OutgoingMessage("webwxsendvideomsg", "fun=async&f=json", fields)
        case MessageKind.FILE | MessageKind.VOICE:  # the web cannot send voice (5.10)
            fields = {"Type": _FILE, "Content": file(content, desktop)}
            if content.signature:
                fields["Signature"] = content.signature
            return OutgoingMessage(
                "webwxsendappmsg", "fun=async&f=json" + ("&mod=desktop" if desktop else ""), fields
            )
        case _:
            raise Unsupported(
                N_("a {kind} cannot be sent by the web"), N_("send a picture, a video or a file"), kind=content.kind
            )


def forwarded(content: Uploaded, desktop: bool) -> OutgoingMessage:
    """Return received content as a message: the server copies it by reference (5.11)."""
    query, reference = "fun=async&f=json", content.reference
    match content.kind:
        case MessageKind.EMOTICON:
            fields: JsonObject = {"Type": 47, "EmojiFlag": 2, "EMoticonMd5": reference}
            return OutgoingMessage("webwxsendemoticon", "fun=sys", fields)
        case MessageKind.IMAGE:
            return OutgoingMessage(
                "webwxsendmsgimg", query, {"Type": 3, "MediaId": "", "Content": reference}, _FORWARDED
            )
        case MessageKind.VIDEO | MessageKind.MICROVIDEO:
            kind = 43 if content.kind is MessageKind.VIDEO else 62
            fields = {"Type": kind, "MediaId": "", "Content": reference}
            return OutgoingMessage("webwxsendvideomsg", query, fields, _FORWARDED)
        case MessageKind.FILE:
            query += "&mod=desktop" if desktop else ""
            return OutgoingMessage("webwxsendappmsg", query, {"Type": _FILE, "Content": reference}, _FORWARDED)
        case _:
            raise Unsupported(
                N_("a {kind} cannot be forwarded by the web"), N_("send the content itself"), kind=content.kind
            )


def file(content: Uploaded, desktop: bool) -> str:
    title = " ".join(sendable(content.name).split()) or "file"
    ending = title.rpartition(".")[2].lower() if "." in title else ""
    values = {"title": title, "size": str(content.size), "id": content.key, "ending": ending or "undefined"}
    values = {name: escape(value, quote=False) for name, value in values.items()}
    return (
        f"<appmsg appid='{'' if desktop else _APP}' sdkver=''><title>{values['title']}</title><des></des>"
        "<action></action><type>6</type><content></content><url></url><lowurl></lowurl><appattach>"
        f"<totallen>{values['size']}</totallen><attachid>{values['id']}</attachid>"
        f"<fileext>{values['ending']}</fileext></appattach><extinfo></extinfo></appmsg>"
    )
