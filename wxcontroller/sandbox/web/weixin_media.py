"""Fetching content and people's pictures (5.13). Missing content is an empty response, as in reality."""

from aiohttp import web

from wxcontroller.core.jsontypes import integer
from wxcontroller.sandbox.hosts import Role
from wxcontroller.sandbox.media import jpeg
from wxcontroller.sandbox.media.storedcontent import ContentItem, Download
from wxcontroller.sandbox.web.composing import APP, EMOTICON, IMAGE, MICRO_VIDEO, VIDEO, VOICE
from wxcontroller.sandbox.web.webcall import PAGES, PARAMETER, WebCall, WebEndpoint, WebRefusal
from wxcontroller.sandbox.world.world import Relation


def empty(_ret: int = 0) -> web.Response:
    """Send an empty response."""
    return web.Response(body=b"", content_type="text/plain")


def _item(call: WebCall, parameter: str, *types: int) -> ContentItem:
    """Return the content of the message that the query names. Refuses when it has none of these types."""
    account, _ = call.session()
    other = "msgid" if parameter == "MsgID" else "MsgID"
    query = call.request.query
    value = query.get(parameter) or query.get(other)
    if not value:
        raise WebRefusal(PARAMETER, f"{parameter} is missing")
    if parameter not in query:
        call.note(f"the message's id is sent as {other}, not as {parameter}")
    message = account.heard.get(integer(value, -1))
    if message is None:
        raise WebRefusal(PARAMETER, "no message has this id, or it is too old")
    if message.msg_type not in types:
        raise WebRefusal(PARAMETER, f"a message of type {message.msg_type} has no such content")
    if message.item is None:
        raise WebRefusal(PARAMETER, "an emoticon from the store cannot be fetched")
    return message.item


def content(call: WebCall, item: ContentItem, mime: str) -> web.StreamResponse:
    path = call.sandbox.contents.path(item.md5)
    if path is None:
        call.note("the content is not kept any more")
        return empty()
    return Download(path, mime)


async def webwxgetmsgimg(call: WebCall) -> web.StreamResponse:
    """Return a picture or an emoticon, always declared as JPEG."""
    item = _item(call, "MsgID", IMAGE, EMOTICON, APP)
    if item.kind not in ("image", "emoticon"):
        raise WebRefusal(PARAMETER, f"a {item.kind} is no picture")
    size = call.request.query.get("type", "")
    if size not in ("", "slave", "big"):
        call.note("type is neither slave nor big")
    if size == "slave":
        return web.Response(body=jpeg.avatar(item.md5), content_type="image/jpeg")
    return content(call, item, "image/jpeg")


async def webwxgetvoice(call: WebCall) -> web.StreamResponse:
    """Return a voice message as MP3."""
    return content(call, _item(call, "msgid", VOICE), "audio/mp3")


async def webwxgetvideo(call: WebCall) -> web.StreamResponse:
    """Return a video; nothing without Range."""
    item = _item(call, "msgid", VIDEO, MICRO_VIDEO)
    if "Range" not in call.request.headers:
        call.note("video is asked for without Range")
        return empty()
    return content(call, item, "video/mp4")


async def webwxgetmedia(call: WebCall) -> web.StreamResponse:
    """Return a file."""
    account, session = call.session(need_skey=False)
    query = call.request.query
    if query.get("webwx_data_ticket") != session.data_ticket:
        raise WebRefusal(PARAMETER, "webwx_data_ticket is missing or wrong in the query")
    item = account.media.get(query.get("mediaid", ""))
    if item is None:
        raise WebRefusal(PARAMETER, "mediaid is of nothing here")
    if session.wxid(query.get("sender", "")) is None:
        call.breach(PARAMETER, "sender is nobody of this login")
    if integer(query.get("fromuser", "")) != session.uin and session.wxid(query.get("fromuser", "")) != account.wxid:
        call.breach(PARAMETER, "fromuser is not the account itself")
    if not query.get("encryfilename") and not query.get("filename"):
        call.breach(PARAMETER, "encryfilename and filename are missing")
    if "pass_ticket" not in query:
        call.note("pass_ticket is missing in the query")
    return content(call, item, "application/octet-stream")


async def webwxgeticon(call: WebCall) -> web.StreamResponse:
    """Return the picture of a person: of friends by id, of others with a group or a message."""
    account, session = call.session(need_skey=False)
    query = call.request.query
    wxid = session.wxid(_username(call))
    world = account.world
    if wxid is None:
        raise WebRefusal(PARAMETER, "username is nobody of this login")
    person = world.people.get(wxid)
    if person is None or person.kind is Relation.STRANGER:
        room = query.get("chatroomid", "")
        inside = any(
            room in (session.room_id(g.wxid), session.username(g.wxid)) and any(m.wxid == wxid for m in g.members)
            for g in world.groups.values()
        )
        if not inside and integer(query.get("msgid"), -1) not in account.heard:
            raise WebRefusal(PARAMETER, "username is no friend, and no member of chatroomid")
    return head(call, wxid)


async def webwxgetheadimg(call: WebCall) -> web.StreamResponse:
    """Return the picture of a group."""
    account, session = call.session(need_skey=False)
    wxid = session.wxid(_username(call))
    if wxid not in account.world.groups:
        raise WebRefusal(PARAMETER, "username is no group of this login")
    return head(call, wxid)


def _username(call: WebCall) -> str:
    query = call.request.query
    if "username" not in query and "userName" in query:
        call.breach(PARAMETER, "username is sent as userName")
        return query["userName"]
    return query.get("username", "")


def head(call: WebCall, wxid: str) -> web.Response:
    scale = 4 if call.request.query.get("type") == "big" else 1
    return web.Response(body=jpeg.avatar(wxid, scale), content_type="image/jpeg")


_BASE = frozenset({Role.BASE})
ENDPOINTS = (
    WebEndpoint("webwxgetmsgimg", PAGES, webwxgetmsgimg, empty),
    WebEndpoint("webwxgetvoice", PAGES, webwxgetvoice, empty),
    WebEndpoint("webwxgetvideo", PAGES, webwxgetvideo, empty),
    WebEndpoint("webwxgetmedia", frozenset({Role.FILE}), webwxgetmedia, empty),
    WebEndpoint("webwxgeticon", _BASE, webwxgeticon, empty),
    WebEndpoint("webwxgetheadimg", _BASE, webwxgetheadimg, empty),
)
