"""Sending of media: pictures, videos, emoticons, files and other app messages (5.10, 5.11)."""

from http import HTTPMethod

from aiohttp import web

from wxcontroller.core.jsontypes import JsonObject, integer, text
from wxcontroller.sandbox.hosts import Role
from wxcontroller.sandbox.media.storedcontent import ContentItem
from wxcontroller.sandbox.web.webcall import PAGES, PARAMETER, WebCall, WebEndpoint, WebRefusal
from wxcontroller.sandbox.web.weixin_messages import SubmittedMessage, sendmsg_refusal
from wxcontroller.sandbox.web.weixin_upload import LARGE
from wxcontroller.sandbox.web.xmlread import BadXml, Element
from wxcontroller.sandbox.world.phone import ServerAccount

_FILE = 6


async def webwxsendmsgimg(call: WebCall) -> web.Response:
    """Accept a picture."""
    return _media(call, "image", (3,), "img")


async def webwxsendvideomsg(call: WebCall) -> web.Response:
    """Accept a video."""
    return _media(call, "video", (43, 62), "videomsg")


def _media(call: WebCall, kind: str, types: tuple[int, ...], element: str) -> web.Response:
    outgoing = SubmittedMessage.read(call)
    message = outgoing.message
    if integer(message.get("Type"), -1) not in types:
        call.breach(PARAMETER, f"Type is not {types[0]}")
    media_id, content = text(message.get("MediaId")), text(message.get("Content"))
    if media_id:
        item = uploaded(outgoing.account, media_id)
        if item.kind != kind:
            call.breach(PARAMETER, f"MediaId was not uploaded as {'pic' if kind == 'image' else kind}")
        if kind == "image" and item.mime == "image/gif":
            call.note("a GIF is sent as a picture: it will not move")
        if content:
            call.note("Content is not empty beside a MediaId")
    else:
        item = by_md5(call, parse(content).attribute(element, "md5"), kind)
        check_forwarded(call)
    return outgoing.take(content, kind, item, item.name)


async def webwxsendemoticon(call: WebCall) -> web.Response:
    """Accept an emoticon: uploaded, or known by its MD5."""
    outgoing = SubmittedMessage.read(call)
    message = outgoing.message
    kind = integer(message.get("Type"), -1)
    if kind == 1:
        call.note("Type is 1, not 47")
    elif kind != 47:
        call.breach(PARAMETER, "Type is not 47")
    if integer(message.get("EmojiFlag"), -1) != 2:
        call.breach(PARAMETER, "EmojiFlag is not 2")
    media_id, md5 = text(message.get("MediaId")), text(message.get("EMoticonMd5"))
    if not media_id and not md5:
        raise WebRefusal(PARAMETER, "MediaId and EMoticonMd5 are missing")
    if media_id and md5:
        call.breach(PARAMETER, "MediaId and EMoticonMd5 are both there")
    item = uploaded(outgoing.account, media_id) if media_id else by_md5(call, md5, "emoticon")
    if item.mime != "image/gif":
        call.note("the emoticon is no GIF")
    return outgoing.take("", "emoticon", item, item.name)


async def webwxsendappmsg(call: WebCall) -> web.Response:
    """Accept a file, or forward another app message."""
    outgoing = SubmittedMessage.read(call)
    message = outgoing.message
    content = text(message.get("Content"))
    xml = parse(content)
    prefix = "appmsg/" if xml.root == "msg" else ""
    if xml.root not in ("appmsg", "msg"):
        raise WebRefusal(PARAMETER, "Content is no appmsg")
    app_type, title = integer(xml.text(prefix + "type"), -1), xml.text(prefix + "title")
    if integer(message.get("Type"), -1) != app_type:
        call.breach(PARAMETER, "Type is not the type in Content")
    if app_type != _FILE:
        check_forwarded(call)
        return outgoing.take(content, "app", None, title)
    item = uploaded(outgoing.account, xml.text(prefix + "appattach/attachid"))
    if not title:
        call.breach(PARAMETER, "title is empty")
    if integer(xml.text(prefix + "appattach/totallen"), -1) != item.size:
        call.breach(PARAMETER, "totallen is not the size of the file")
    if item.size > LARGE and not signed(outgoing.account, item, message):
        raise WebRefusal(PARAMETER, "Signature of a large file is missing or wrong")
    extension = xml.text(prefix + "appattach/fileext")
    wanted = title.rpartition(".")[2].lower() if "." in title else "undefined"
    if extension != wanted:
        call.note("fileext is not the extension of title in lower case")
    return outgoing.take(content, "file", item, title)


def signed(account: ServerAccount, item: ContentItem, message: JsonObject) -> bool:
    signature = text(message.get("Signature"))
    return bool(signature) and account.signatures.get(item.md5, ("", ""))[1] == signature


def uploaded(account: ServerAccount, media_id: str) -> ContentItem:
    item = account.media.get(media_id)
    if item is None:
        raise WebRefusal(PARAMETER, "MediaId is of nothing that was uploaded or received")
    return item


def by_md5(call: WebCall, md5: str, kind: str) -> ContentItem:
    contents = call.sandbox.contents
    if contents.path(md5) is None:
        raise WebRefusal(PARAMETER, "what is to be forwarded is not known here")
    return ContentItem(kind, md5, contents.size(md5), "", contents.mime(md5))


def parse(content: str) -> Element:
    try:
        return Element(content)
    except BadXml as error:
        raise WebRefusal(PARAMETER, f"Content is no XML: {error}") from None


def check_forwarded(call: WebCall) -> None:
    if integer(call.json().get("Scene"), -1) != 2:
        call.note("Scene is not 2, and the message is forwarded")


_BASE = frozenset({Role.BASE})
_POST = frozenset({HTTPMethod.POST})
ENDPOINTS = (
    WebEndpoint("webwxsendmsgimg", PAGES, webwxsendmsgimg, sendmsg_refusal, _POST),
    WebEndpoint("webwxsendvideomsg", _BASE, webwxsendvideomsg, sendmsg_refusal, _POST),
    WebEndpoint("webwxsendemoticon", _BASE, webwxsendemoticon, sendmsg_refusal, _POST),
    WebEndpoint("webwxsendappmsg", PAGES, webwxsendappmsg, sendmsg_refusal, _POST),
)
