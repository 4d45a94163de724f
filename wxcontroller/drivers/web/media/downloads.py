"""Fetches the content of messages, and people's pictures (weixin-web-protocol 5.13), as a stream."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from wxcontroller.core.errors import WeChatError
from wxcontroller.core.model import MessageKind, MessageMedia
from wxcontroller.core.text.templates import N_, Text
from wxcontroller.drivers.base import Fetched, Sink
from wxcontroller.drivers.connection.failures import NoAnswer, TooLong, UnreadableResponse
from wxcontroller.drivers.web.decode.contents import file_key
from wxcontroller.drivers.web.decode.text import is_group
from wxcontroller.drivers.web.media.intake import Intake
from wxcontroller.drivers.web.wire.calls import CGI, WebCalls, WebSession, query_of
from wxcontroller.drivers.web.wire.hosts import hosts_of

# Bounds requests to a server that returns tiny parts.
DOWNLOAD_PARTS = 1000
# Failed attempts in all, whether or not they made progress.
DOWNLOAD_TRIES = 12
_TRIES = 3  # in a row that bring nothing; ...
_LINE_TRIES = 5  # ... because the line is broken: that passes, sometimes in a few seconds
_EMPTY_TRIES = 3  # pictures of people often come empty at first
_PATH = re.compile(re.escape(CGI) + r"[a-z]{1,40}\?[!-~]{0,2000}")


class Pictured(Protocol):
    """The URLs of people's pictures; see Roster."""

    def avatar(self, person: str) -> str: ...

    def group_key(self, group: str) -> str: ...

    def met_in(self, person: str) -> str: ...


@dataclass(slots=True)
class Downloads:
    """Fetches for one session. ``pause``: seconds before the second try of a request that failed."""

    calls: WebCalls
    session: WebSession
    roster: Pictured
    data_ticket: Callable[[], str]
    pause: float

    async def fetch(self, media: MessageMedia, sink: Sink, limit: int) -> Fetched:
        """See Driver.fetch. Content that WeChat no longer has is 0 bytes.

        A download that breaks off is resumed, as long as each attempt makes progress; it is either complete in the
        end, or an error.
        """
        session, host = self.session, self.session.domain
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
            case MessageKind.FILE:
                call, host = "webwxgetmedia", hosts_of(session.domain).file
                query = self._file(media)
            case _:
                raise WeChatError(N_("a {kind} has no content to fetch"), N_("ask for media only"), kind=media.kind)
        is_file = media.kind is MessageKind.FILE
        # Only the size of files is known; for other media the announced size may be that of another quality.
        intake = Intake(sink, call, limit, anything=is_file, announced=media.size if is_file else 0)
        ranged = call == "webwxgetvideo"  # gives nothing without a Range (5.13)
        return await self._whole(intake, call, host, f"{CGI}{call}?{query}", limit, ranged)

    async def _whole(
        self, intake: Intake, call: str, host: str, path_and_query: str, limit: int, ranged: bool
    ) -> Fetched:
        failed, in_vain = 0, 0
        for _ in range(DOWNLOAD_PARTS):  # bounded, as a server may return tiny parts
            before, start = intake.got, intake.resume_at
            part = f"bytes={start}-" if start or ranged else ""
            try:
                await self.calls.download(
                    call, self.session, host, path_and_query, intake.take, limit, part, intake.begin
                )
                if intake.whole:
                    return intake.end()
                why, tries = Text("the content is incomplete"), _TRIES
            except TooLong:
                raise
            except (NoAnswer, UnreadableResponse) as problem:
                failed += 1
                why = problem.what
                tries = _LINE_TRIES if isinstance(problem, NoAnswer) else _TRIES
            in_vain = 0 if intake.got > before else in_vain + 1
            # Progress resets the count of tries, but not of failures: a
            # server could otherwise be asked for each byte.
            if in_vain >= tries or failed >= DOWNLOAD_TRIES:
                raise intake.broken(why)
            if in_vain:
                await asyncio.sleep(self.pause * in_vain)
        raise intake.broken(Text("the content comes in too many parts"))

    def _file(self, media: MessageMedia) -> str:
        key = file_key(media.key)
        if key is None:
            raise WeChatError(N_("webwxgetmedia: not the key of a file"), N_("use the key exactly as in the message"))
        name = {"encryfilename": key.encrypted} if key.encrypted else {"filename": key.name}
        return query_of(
            sender=key.sender,
            mediaid=key.media_id,
            **name,
            fromuser=self.session.uin,
            pass_ticket=self.session.pass_ticket,
            webwx_data_ticket=self.data_ticket(),
        )

    async def avatar(self, person: str, group: str, sink: Sink, limit: int) -> Fetched:
        """See Driver.avatar."""
        path = self._picture(person, group)
        call = path.removeprefix(CGI).partition("?")[0]
        for _ in range(_EMPTY_TRIES):
            intake = Intake(sink, call, limit)
            received = await self.calls.download(
                call, self.session, self.session.domain, path, intake.take, limit, begin=intake.begin
            )
            if received.size:
                return intake.end()
        raise UnreadableResponse(call, Text("WeChat has no picture"))

    def _picture(self, person: str, group: str) -> str:
        """Return path and query of a picture."""
        skey = quote(self.session.skey, safe="")
        avatar = "" if group else self.roster.avatar(person)
        if _PATH.fullmatch(avatar):  # it comes from WeChat, but must not refer to another host
            return f"{avatar}&skey={skey}"
        call = "webwxgetheadimg" if is_group(person) else "webwxgeticon"
        path = f"{CGI}{call}?{query_of(seq=0, username=person)}&skey={skey}"
        if group:
            path += "&" + query_of(chatroomid=self.roster.group_key(group) or group)
        elif message_id := self.roster.met_in(person):
            path += "&" + query_of(msgid=message_id)
        return path
