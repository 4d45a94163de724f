"""Records what the sandbox and an account say to each other: the corpus that the fuzzers begin with.

``python3 -m tests.fuzz.record`` writes corpus.jsonl anew, after the protocol or the sandbox has changed. Long lists
are cut to their first entries: more of the same teaches a mutator nothing.
"""

import asyncio
import contextlib
import json
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from unittest import mock

from tests.fuzz.corpus import CORPUS
from tests.unit.drivers.kit import wechat
from tests.unit.kinds.stage import Stage, staged
from tests.unit.kinds.table import INCOMING, OUTGOING, SILENT
from tests.unit.kinds.test_incoming import deliver
from wxcontroller.core.jsontypes import JsonValue, field, items, text
from wxcontroller.drivers.base import Scanned
from wxcontroller.drivers.line.transport import LineRequest, LineResponse, Transport
from wxcontroller.drivers.web.wire.cookies import Jar

_LONGEST_LIST = 3
_LONGEST_TEXT = 2000
_MOST = {"message": 120, "webwxsync": 4}
_MOST_OF_OTHERS = 8


class Recorder:
    """Different things of each kind, told apart by their shape."""

    def __init__(self) -> None:
        self._shapes: set[tuple[str, str]] = set()
        self.found: dict[str, list[str]] = {}

    def add(self, kind: str, content: str) -> None:
        content = _cut_text(content)
        known = (kind, _shape(content))
        kept = self.found.setdefault(kind, [])
        if known not in self._shapes and len(kept) < _MOST.get(kind, _MOST_OF_OTHERS):
            self._shapes.add(known)
            kept.append(content)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take note of everything that a driver of this process gets."""
        send, take = Transport.send, Jar.take

        async def recorded(transport: Transport, request: LineRequest) -> LineResponse:
            answer = await send(transport, request)
            if answer.body.startswith(b"\xff\xd8"):
                return answer
            self.add(answer.call, answer.body.decode("utf-8", "replace"))
            if answer.call == "webwxsync":
                for entry in items(field(json.loads(answer.body), "AddMsgList")):
                    self.add("message", json.dumps(entry, ensure_ascii=False))
            if answer.location:
                self.add("location", answer.location)
            return answer

        def taken(jar: Jar, host: str, headers: Iterable[str], date: str = "") -> None:
            headers = list(headers)
            for header in headers:
                self.add("cookie", header)
            take(jar, host, headers, date)

        with mock.patch.object(Transport, "send", recorded), mock.patch.object(Jar, "take", taken):
            yield


def _cut_text(content: str) -> str:
    try:
        value: JsonValue = json.loads(content)
    except ValueError:
        return content[:_LONGEST_TEXT]
    return json.dumps(_cut(value), ensure_ascii=False, separators=(",", ":"))


def _cut(value: JsonValue) -> JsonValue:
    if isinstance(value, list):
        return [_cut(entry) for entry in value[:_LONGEST_LIST]]
    if isinstance(value, dict):
        return {key: _cut(entry) for key, entry in list(value.items())[:60]}
    return value[:_LONGEST_TEXT] if isinstance(value, str) else value


def _shape(content: str) -> str:
    """What is the same for two contents that teach the same: names and markup stay, values go."""
    return re.sub(r"[0-9a-fA-F]{3,}|\d+|[\u4e00-\u9fff]+|@\w+|[A-Za-z0-9+/=_-]{20,}", "#", content)[:1500]


async def _kinds_of_messages(stage: Stage) -> None:
    for kind in INCOMING:
        for where in kind.where:
            body = dict(kind.body)
            if kind.first is not None:
                body["msg_id"] = (await deliver(stage, where, kind.first))["msg_id"]
            if body.get("who") == "{member}":
                body["who"] = stage.member
            await deliver(stage, where, body)
    for body in SILENT.values():
        await deliver(stage, "friend", body)
    last = await deliver(stage, "friend", {"kind": "text", "text": "the last one"})
    await stage.report(text(last["msg_id"]))
    for one in OUTGOING:
        if not one.received:
            await stage.call("send_friend_message", one.data, id=stage.username(stage.friend), **one.parameters)


async def _files_of_an_account(stage: Stage, recorder: Recorder) -> None:
    recorder.add("state file", stage.paths.state_file("alice").read_text())
    await stage.life.end()
    private = stage.paths.cookie_file("alice").parent
    for kind, name in (
        ("session", stage.paths.cookie_file("alice").name),
        ("identities", "identities.json"),
    ):
        recorder.add(kind, (private / name).read_text())
    stage.life.begin()


async def _a_hesitant_login() -> None:
    """What a login says when the phone says no first."""
    async with wechat() as world:
        account = world.sandbox.add_account("Eve")
        async with world.drive() as drive:
            login = await world.login_of(drive)
            world.sandbox.logins.scan(login, account.uin)
            await drive.until(Scanned)
            world.sandbox.logins.cancel(login)
            await world.enter(drive, account)


async def record() -> dict[str, list[str]]:
    recorder = Recorder()
    with tempfile.TemporaryDirectory() as directory, recorder.listening():
        async with staged(Path(directory)) as stage:
            await _kinds_of_messages(stage)
            for report in stage.webhook.reports:
                recorder.add("report", json.dumps(report, ensure_ascii=False))
            await _files_of_an_account(stage, recorder)
        await _a_hesitant_login()
    return recorder.found


def main() -> None:
    found = asyncio.run(record())
    with CORPUS.open("w", encoding="utf-8") as out:
        for kind in sorted(found):
            for content in found[kind]:
                out.write(json.dumps({"kind": kind, "content": content}, ensure_ascii=False) + "\n")
    print({kind: len(found[kind]) for kind in sorted(found)}, CORPUS.stat().st_size)


if __name__ == "__main__":
    main()
