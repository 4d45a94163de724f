"""Reading messages and chats at the account's port: GET /v1/messages and /v1/chats.

The history is read from the event log by its index of messages. Sends in the queue are shown with the newest
page, so that a reader has a whole conversation.
"""

import math
import sqlite3
from collections.abc import Sequence
from itertools import islice

from aiohttp import web

from wxcontroller.client.calls.call import Parts, json_answer
from wxcontroller.client.sends.model.send import Send
from wxcontroller.client.store.tables import eventtables, history
from wxcontroller.client.store.tables.eventtables import Selection
from wxcontroller.client.store.tables.history import Found
from wxcontroller.client.v1.forms.conversations import Conversations
from wxcontroller.client.v1.forms.deliveryprogress import progress_of
from wxcontroller.client.v1.forms.finding import look_up, no_such_message
from wxcontroller.client.v1.forms.fitting import fitting
from wxcontroller.client.v1.forms.selecting import bad, number_of
from wxcontroller.client.v1.forms.v1outcomes import state_of_send
from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, obj, text
from wxcontroller.core.text.templates import N_
from wxcontroller.openwx.contract.paging import PAGE_CHATS, PAGE_MESSAGES

_DEFAULT_PAGE = 50


class Messages:
    """The calls that read. ``parts`` are the running account's."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._shown = Conversations(parts.directory)

    async def listed(self, request: web.Request) -> web.StreamResponse:
        """GET: a page of messages, of all chats or of ``chat``, the oldest first.

        The newest ``limit``, or those next to ``before`` or ``after``: cursors of messages, as in /v1/events.
        """
        query = request.query
        limit = max(1, number_of(query, "limit", _DEFAULT_PAGE, PAGE_MESSAGES))
        if "before" in query and "after" in query:
            raise bad(N_("before and after exclude each other"), N_("use only one of them"))
        chats = self._parts.directory.aliases(query["chat"]) if query.get("chat") else ()
        before, after = query.get("before"), query.get("after")
        log = self._parts.log

        def read(db: sqlite3.Connection) -> tuple[str, history.HistoryPage]:
            name = eventtables.name_of(db)
            below = _seq(name, before, "before") if before is not None else 0
            if before is not None and not below:
                return name, history.HistoryPage((), False)  # nothing is before the beginning of this log
            above = _seq(name, after, "after") if after is not None else None
            return name, history.page(db, chats, below, above, limit)

        name, page = await log.read(read)
        pending: list[JsonObject] = []
        if before is None and not (after is not None and page.more):
            wanted = set(chats)
            queued = (send for send in self._parts.sends.waiting() if not chats or send.target in wanted)
            pending = [self._queued(send) for send in islice(queued, PAGE_MESSAGES)]
        messages = await self._logged(page.found, name)
        # Those that are furthest from where the reader continues fit last.
        fit = fitting(messages, size_of) if after is not None else fitting(reversed(messages), size_of)[::-1]
        return json_answer(
            {
                "account": self._parts.config.name.name,
                "log": name,
                "messages": [*fit],
                "pending": [*fitting(pending, size_of)],
                "more": page.more or len(fit) < len(messages),
            }
        )

    async def chats(self, request: web.Request) -> web.StreamResponse:
        """GET: chats with their last messages, the latest first; ``before`` as of messages."""
        query = request.query
        limit = max(1, number_of(query, "limit", _DEFAULT_PAGE, PAGE_CHATS))
        before, directory = query.get("before"), self._parts.directory

        # People are looked up between two reads: those are in threads, and the roster belongs to this one.
        name, listed = await self._parts.log.read(lambda db: (eventtables.name_of(db), history.chats(db)))
        latest: dict[str, int] = {}
        for chat, seq in listed:
            chat = directory.canonical(chat)
            latest[chat] = max(seq, latest.get(chat, 0))
        below = math.inf if before is None else _seq(name, before, "before")
        seqs = sorted((seq for seq in latest.values() if seq < below), reverse=True)
        found = await self._parts.log.read(lambda db: history.at(db, seqs[:limit]))
        last = await self._logged(found, name)
        listed_chats = [self._chat(*each) for each in zip(found, last, strict=True)]
        chats = fitting(listed_chats, lambda chat: size_of(obj(chat["last"])))
        more, shown = len(seqs) > len(chats), list[JsonValue](chats)
        return json_answer({"account": self._parts.config.name.name, "log": name, "chats": shown, "more": more})

    def _queued(self, send: Send) -> JsonObject:
        return {**self._shown.queued(send), **state_of_send(send, self._parts.sends), "delivery": None}

    async def _logged(self, messages: Sequence[Found], log: str) -> list[JsonObject]:
        """Return messages of the ``log``, with the deliveries of their reports."""
        seqs = tuple(found.seq for found in messages)
        entries = await self._parts.log.select(Selection(seqs=seqs), len(seqs), most_body=0) if seqs else []
        deliveries = {entry.seq: progress_of(entry) for entry in entries}
        return [{**self._shown.logged(found, log), "delivery": deliveries.get(found.seq)} for found in messages]

    def _chat(self, found: Found, last: JsonObject) -> JsonObject:
        return {
            "id": last["chat"],
            "name": last["chat_name"],
            "is_group": last["is_group"],
            "known": self._parts.directory.find(found.indexed.chat) is not None,
            "last": last,
        }

    async def one(self, request: web.Request) -> web.StreamResponse:
        """GET one by its id, or that of its event or delivery."""
        looked = await look_up(self._parts, request.match_info["id"])
        if looked.send is not None:
            return json_answer(self._queued(looked.send))
        if looked.logged is None:
            raise no_such_message(request.match_info["id"])
        [message] = await self._logged([looked.logged], looked.log)
        return json_answer(message)


def size_of(message: JsonObject) -> int:
    """Return about how many bytes a message has as JSON, at most; its fields but the texts are short."""
    return 2048 + 6 * (len(text(message["text"])) + len(text(field(message["quote"], "text"))))


def _seq(log: str, cursor: str, name: str) -> int:
    """Return the sequence in a cursor, 0 for one of an earlier log. Raises RequestRefused."""
    of, dash, number = cursor.rpartition("-")
    if not number.isascii() or not number.isdecimal() or len(number) > 18:
        raise bad(N_("{key} is not a cursor"), N_("use the cursor of a message"), key=name)
    return int(number) if not dash or of == log else 0
