"""A driver with scripted behavior, for tests of the client above it."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from wxcontroller.core.errors import Unsupported, UploadFailed, WeChatError
from wxcontroller.core.model import Contact, ContactKind, Direction, Group, Member, Message, MessageKind, MessageMedia
from wxcontroller.core.text.templates import Text
from wxcontroller.drivers import base
from wxcontroller.drivers.web.driver import WebDriver

_MESSAGE_IDS = itertools.count(1)
ME = Contact(id="@me", name="我", uid=4711)
ANN = Contact(id="@ann", name="Ann", markname="安", city="深圳")
BEN = Contact(id="@ben", name="Ben")
HELPER = Contact(id="filehelper", name="文件传输助手", kind=ContactKind.SYSTEM)
TEAM = Group(
    id="@@team", name="", members=(Member("@me", "我"), Member("@ann", "Ann", display="A"), Member("@c", "Cy"))
)


def logged_in(way: base.LoginWay = base.LoginWay.SCAN) -> list[base.DriverEvent]:
    return [base.Accepted(way), base.Profile(ME), base.RosterLoaded((ANN, BEN, HELPER), (TEAM,)), base.Online()]


def message(text: str, **changes: object) -> base.MessageArrived:
    """A text from Ann, with changes. No two messages have one id."""
    fields: dict[str, object] = {
        "id": str(next(_MESSAGE_IDS)),
        "chat": "@ann",
        "is_group": False,
        "sender": "@ann",
        "direction": Direction.RECEIVED,
        "kind": MessageKind.TEXT,
        "text": text,
        "time": 1700000000,
    }
    return base.MessageArrived(Message(**{**fields, **changes}))  # type: ignore[arg-type]


@dataclass
class ScriptedDriver:
    """Emit the events of ``script``; sends and commands have the ``outcomes`` in turn, and then succeed.

    ``commands`` are the other calls, ``uploads`` the content that was uploaded, ``contents`` what can be
    fetched by key (an error: why not), ``gates`` are awaited before a fetch of that key goes on, ``send_gate`` before
    a text is sent, ``upload_gate`` before content is taken.
    """

    capabilities: base.Capabilities = field(default_factory=lambda: WebDriver.capabilities)
    script: "asyncio.Queue[base.DriverEvent | base.Ended | Exception]" = field(default_factory=asyncio.Queue)
    outcomes: list[WeChatError | None] = field(default_factory=list)
    sends: list[tuple[str, str, str]] = field(default_factory=list)
    commands: list[tuple[str, ...]] = field(default_factory=list)
    uploads: list[tuple[base.Upload, bytes]] = field(default_factory=list)
    media_sends: list[tuple[str, base.Uploaded]] = field(default_factory=list)
    contents: dict[str, bytes | Exception] = field(default_factory=dict)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    send_gate: asyncio.Event | None = None
    upload_gate: asyncio.Event | None = None
    uploading: asyncio.Event = field(default_factory=asyncio.Event)  # an upload has begun
    context: base.DriverContext | None = None
    cancelled: bool = False
    _ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1000))

    def make(self, context: base.DriverContext) -> "ScriptedDriver":
        self.context = context
        return self

    def play(self, events: "Sequence[base.DriverEvent | base.Ended | Exception]") -> None:
        for event in events:
            self.script.put_nowait(event)

    async def run(self, emit: base.Emit) -> base.Ended:
        try:
            while True:
                event = await self.script.get()
                if isinstance(event, base.Ended):
                    return event
                if isinstance(event, Exception):
                    raise event
                await emit(event)
        except asyncio.CancelledError:
            self.cancelled = True
            raise

    async def logout(self) -> None:
        self._command("logout")
        self.play([base.Ended(base.EndReason.LOGGED_OUT, Text("as was asked for"))])

    async def answer(self, input_id: str, value: str) -> None:
        self._command("answer", input_id, value)

    async def send_text(self, to: str, content: str, client_id: str) -> base.Sent:
        if self.send_gate:
            await self.send_gate.wait()
        self.sends.append((to, content, client_id))
        self._ends()
        return base.Sent(f"77{client_id}")

    async def upload(self, file: base.Upload) -> base.Uploaded:
        self.uploading.set()
        if self.upload_gate:
            await self.upload_gate.wait()
        content = file.path.read_bytes()
        self.uploads.append((file, content))
        try:
            self._ends()
        except WeChatError as problem:
            raise UploadFailed(problem, piece=1, pieces=1) from problem
        if file.mime.startswith("audio/"):
            raise Unsupported("voice can't be sent on this route")
        kind = MessageKind.IMAGE if file.mime.startswith("image/") else MessageKind.FILE
        kind = MessageKind.EMOTICON if file.mime == "image/gif" else kind
        kind = MessageKind.VIDEO if file.mime.startswith("video/") else kind
        return base.Uploaded(kind, f"@up{len(self.uploads)}", file.name, file.size)

    async def send_media(self, to: str, content: base.Uploaded, client_id: str) -> base.Sent:
        self.media_sends.append((to, content))
        self._ends()
        return base.Sent(f"77{client_id}")

    async def fetch(self, media: MessageMedia, sink: base.Sink, limit: int) -> base.Fetched:
        if gate := self.gates.get(media.key):
            await gate.wait()
        return self._write(media.key, sink, limit)

    async def avatar(self, person: str, group: str, sink: base.Sink, limit: int) -> base.Fetched:
        self.commands.append(("avatar", person, group))
        return self._write(f"avatar {person} {group}".strip(), sink, limit)

    async def revoke(self, message_id: str, to: str) -> None:
        self._command("revoke", message_id, to)

    async def create_group(self, people: Sequence[str], name: str) -> str:
        self._command("create_group", *people, name)
        members = (Member("@me", "我"), *(Member(person, person) for person in people))
        self.play([base.RosterChanged(groups=(Group("@@new", name, members),))])  # WeChat's own notice
        return "@@new"

    async def invite(self, group: str, people: Sequence[str]) -> None:
        self._command("invite", group, *people)

    async def kick(self, group: str, people: Sequence[str]) -> None:
        self._command("kick", group, *people)

    async def rename_group(self, group: str, name: str) -> None:
        self._command("rename_group", group, name)

    async def set_remark(self, person: str, remark: str) -> None:
        self._command("set_remark", person, remark)

    async def pin(self, chat: str, on: bool) -> None:
        self._command("pin", chat, str(on))

    async def ask_friend(self, person: str, greeting: str) -> None:
        self._command("ask_friend", person, greeting)

    async def accept_friend(self, person: str, ticket: str) -> None:
        self._command("accept_friend", person, ticket)

    def _command(self, *words: str) -> None:
        self.commands.append(words)
        self._ends()

    def _ends(self) -> None:
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome:
            raise outcome

    def _write(self, key: str, sink: base.Sink, limit: int) -> base.Fetched:
        content = self.contents.get(key, WeChatError("there is no such content"))
        if isinstance(content, Exception):
            raise content
        if len(content) > limit:
            raise WeChatError(f"more than {limit} bytes")
        sink.write(content)
        return base.Fetched(len(content), "")

    def new_client_id(self) -> str:
        return str(next(self._ids))
