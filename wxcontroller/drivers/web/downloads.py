"""Fetching what messages carry, and people's pictures (weixin-web-protocol 5.13). Streamed, never held."""

import asyncio
import re
from collections.abc import Callable
from urllib.parse import quote

from wxcontroller.core.errors import WeChatError
from wxcontroller.core.model import Media, MessageKind
from wxcontroller.drivers.base import Fetched, Sink
from wxcontroller.drivers.web.calls import CGI, Calls, Session, query_of
from wxcontroller.drivers.web.contents import file_key
from wxcontroller.drivers.web.failures import NoAnswer, TooLong, Unreadable
from wxcontroller.drivers.web.hosts import hosts_of
from wxcontroller.drivers.web.roster import Roster
from wxcontroller.drivers.web.text import is_group
from wxcontroller.drivers.web.transport import Received

# Beginnings of content, for its declared type is often wrong: every picture is a JPEG to WeChat.
_SIGNS = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"ID3", "audio/mpeg"),
    (b"#!AMR", "audio/amr"),
    (b"#!SILK", "audio/silk"),
    (b"\x02#!SILK", "audio/silk"),
)
_HEAD = 16
_TRIES = 3
_EMPTY_TRIES = 3  # pictures of people often come empty at first
_PATH = re.compile(re.escape(CGI) + r"[a-z]{1,40}\?[!-~]{0,2000}")
_REFUSAL = re.compile(rb'\s*(?:\{\s*"BaseResponse"|<!DOCTYPE html|<html)', re.IGNORECASE)


class Downloads:
    """Fetches for one session."""

    def __init__(
        self, calls: Calls, session: Session, roster: Roster, data_ticket: Callable[[], str], pause: float
    ) -> None:
        """``pause``: seconds before the second try of a request that failed."""
        self._calls = calls
        self._session = session
        self._roster = roster
        self._data_ticket = data_ticket
        self._pause = pause

    async def fetch(self, media: Media, sink: Sink, most: int) -> Fetched:
        """See Driver.fetch. Content that WeChat does not have any more comes as 0 bytes."""
        session, host, part = self._session, self._session.domain, ""
        match media.kind:
            case MessageKind.IMAGE | MessageKind.EMOTICON:
                call = "webwxgetmsgimg"
                query = query_of(MsgID=media.key, skey=session.skey)
                if media.kind is MessageKind.EMOTICON:
                    query += "&type=big"
            case MessageKind.VOICE:
                call, query = "webwxgetvoice", query_of(msgid=media.key, skey=session.skey)
            case MessageKind.VIDEO | MessageKind.MICROVIDEO:
                call, query = "webwxgetvideo", query_of(msgid=media.key, skey=session.skey)
                part = "bytes=0-"  # without it there is nothing
            case MessageKind.FILE:
                call, host = "webwxgetmedia", hosts_of(session.domain).file
                query = self._file(media)
            case _:
                raise WeChatError(f"a {media.kind} has no content to fetch", "ask for media only")
        for tried in range(_TRIES):
            taker = _Taker(sink, call, anything=media.kind is MessageKind.FILE)
            try:
                received = await self._calls.download(
                    call, session, host, f"{CGI}{call}?{query}", taker.take, most, part
                )
                return taker.end(received)
            except (NoAnswer, Unreadable) as problem:
                # What the sink has got can't be taken back.
                if taker.passing or isinstance(problem, TooLong) or tried == _TRIES - 1:
                    raise
            await asyncio.sleep(self._pause * (tried + 1))
        raise AssertionError("unreachable")

    def _file(self, media: Media) -> str:
        key = file_key(media.key)
        if key is None:
            raise WeChatError("webwxgetmedia: not the key of a file", "use the key as the message brought it")
        name = {"encryfilename": key.encrypted} if key.encrypted else {"filename": key.name}
        return query_of(
            sender=key.sender,
            mediaid=key.media_id,
            **name,
            fromuser=self._session.uin,
            pass_ticket=self._session.pass_ticket,
            webwx_data_ticket=self._data_ticket(),
        )

    async def avatar(self, person: str, group: str, sink: Sink, most: int) -> Fetched:
        """See Driver.avatar."""
        path = self._picture(person, group)
        call = path.removeprefix(CGI).partition("?")[0]
        for _ in range(_EMPTY_TRIES):
            taker = _Taker(sink, call)
            received = await self._calls.download(call, self._session, self._session.domain, path, taker.take, most)
            if received.size:
                return taker.end(received)
        raise Unreadable(call, "WeChat has no picture")

    def _picture(self, person: str, group: str) -> str:
        """Return path and query of a picture."""
        skey = quote(self._session.skey, safe="")
        known = "" if group else self._roster.avatar(person)
        if _PATH.fullmatch(known):  # it comes from WeChat, but must not lead elsewhere
            return f"{known}&skey={skey}"
        call = "webwxgetheadimg" if is_group(person) else "webwxgeticon"
        path = f"{CGI}{call}?{query_of(seq=0, username=person)}&skey={skey}"
        if group:
            path += "&" + query_of(chatroomid=self._roster.group_key(group) or group)
        return path


class _Taker:
    """Passes content on, but for the first few bytes holds it back until it is clear that it is content."""

    def __init__(self, sink: Sink, call: str, anything: bool = False) -> None:
        self._sink = sink
        self._call = call
        self._anything = anything
        self._head = b""
        self.passing = False

    def take(self, piece: bytes) -> None:
        if self.passing:
            self._sink.write(piece)
            return
        self._head += piece
        if len(self._head) >= _HEAD:
            self._begin()

    def end(self, received: Received) -> Fetched:
        if not self.passing and self._head:
            self._begin()
        return Fetched(received.size, self._mime(received.mime))

    def _begin(self) -> None:
        if not self._anything and _REFUSAL.match(self._head):
            raise Unreadable(self._call, "words came in place of content")
        self.passing = True
        self._sink.write(self._head)

    def _mime(self, declared: str) -> str:
        head = self._head
        for sign, mime in _SIGNS:
            if head.startswith(sign):
                return mime
        if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            return "image/webp"
        if head[4:8] == b"ftyp":
            return "video/mp4"
        if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
            return "audio/mpeg"
        if declared == "audio/mp3":
            return "audio/mpeg"
        return "" if declared == "application/octet-stream" else declared
