"""A cause of sends that lasts and needs somebody is a condition of the account, which begins and ends with it. The
accounts are real, with the sandbox as WeChat.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.openapi.world import World
from tests.patience import until
from tests.unit.client import stage
from tests.unit.client.conftest import locked
from tests.unit.client.test_rare_verdicts import cut_off
from tests.unit.drivers.ilink_kit import quick, waiting_code
from tests.unit.drivers.kit import wechat
from tests.unit.durability.routes import PICTURE
from wxcontroller.client.sends import queue
from wxcontroller.client.sends.rules import window
from wxcontroller.client.store.database import writer
from wxcontroller.controller.accounts.units import UnitRecord
from wxcontroller.core.condition.verdict import RULES, Cause
from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, obj, text
from wxcontroller.core.states import UnitState
from wxcontroller.sandbox.faults.faults import FaultKind
from wxcontroller.sandbox.ilink import phone
from wxcontroller.sandbox.world.ilinkbots import SendVerdict, SessionState, User
from wxcontroller.sandbox.world.phone import ServerAccount

JSON = {"Content-Type": "application/json"}


@dataclass
class Walk:
    """A controller with the account alice, whose user is ``person``. ``patch`` lasts for the trouble."""

    made: World
    person: ServerAccount
    patch: pytest.MonkeyPatch

    @property
    def user(self) -> User:
        return self.made.wechat.sandbox.ilink.users[self.person.uin]

    async def enter(self, route: str) -> None:
        """Start the account and log it in; a person has written."""
        if route == "ilink":
            self.made.units.driver = stage.ilink_driver
        options: JsonObject = {"driver": route}
        status, answer = await self.made.v1("POST", "accounts/alice/start", {"options": options}, JSON)
        assert status == 200, answer
        await self.scan(route)
        if route == "ilink":
            await self.write("hello")

    async def scan(self, route: str) -> None:
        if route == "ilink":
            phone.confirm(self.made.wechat.sandbox, await waiting_code(self.made.wechat.sandbox), self.person)
        else:
            await self.made.scan("alice", self.person)
        await self.made.until_running("alice")

    async def write(self, words: str) -> None:
        """Be a person who writes; done when the account has it."""
        phone.write_text(self.made.wechat.sandbox, self.person, words)
        await until(self.messages, lambda found: words in found)

    async def messages(self) -> str:
        return str((await self.made.v1("GET", "accounts/alice/messages"))[1])

    async def send(self, **more: JsonValue) -> JsonObject:
        """Send a text, or ``more``; return the verdict or the error."""
        to = self.user.user_id if self.person.uin in self.made.wechat.sandbox.ilink.users else "filehelper"
        body: JsonObject = {"to": to, "text": "x", "wait": 1, **more}
        _, answer = await self.made.v1("POST", "accounts/alice/messages", body, JSON)
        return obj(answer["error"]) if "error" in answer else {**answer, "code": answer["reason"]}

    async def until_told(self, cause: Cause) -> None:
        await until(self.send, lambda answer: answer["code"] == cause)

    async def issues(self) -> list[str]:
        _, account = await self.made.v1("GET", "accounts/alice")
        return [text(obj(issue)["code"]) for issue in items(account["issues"])]


async def log_out(walk: Walk) -> Callable[[], Awaitable[None]]:
    assert walk.user.bot is not None
    walk.user.bot.set_state(SessionState.DEAD)
    await walk.until_told(Cause.OFFLINE)

    async def end() -> None:
        await walk.scan("ilink")

    return end


async def lose_the_session(walk: Walk) -> Callable[[], Awaitable[None]]:
    assert walk.person.session is not None
    walk.person.session.end(1101)
    await walk.until_told(Cause.NOT_LOGGED_IN)

    async def end() -> None:
        await walk.scan("web")

    return end


async def learn_a_limit(walk: Walk) -> Callable[[], Awaitable[None]]:
    walk.patch.setattr(window, "_ANSWER_SECONDS", 0.0)
    walk.patch.setattr(window, "_SILENCE_FIRST", 0.05)
    walk.patch.setattr(queue, "_RELEASE_SECONDS", 0.0)
    for _ in range(4):
        assert (await walk.send())["state"] == "delivered"
    repair = walk.made.wechat.fault("sendmessage", FaultKind.RETCODE, -2, None)
    for number in range(100):
        await walk.write(f"and {number}?")
        await walk.send()
        if "sends-limited" in await walk.issues():
            break
    await walk.until_told(Cause.LEARNED)

    async def end() -> None:
        repair()
        await walk.write("go on")

    return end


async def restrict(walk: Walk) -> Callable[[], Awaitable[None]]:
    walk.user.settings.answer = SendVerdict.NO_ID
    for _ in range(3):
        assert (await walk.send())["state"] == "accepted"
    assert (await walk.send(interim=True))["code"] == Cause.RESTRICTED

    async def end() -> None:
        walk.user.settings.answer = SendVerdict.ID
        assert (await walk.send())["state"] == "delivered"

    return end


async def cut_the_network(walk: Walk) -> Callable[[], Awaitable[None]]:
    cut_off(walk.patch, walk.made.wechat.url)
    await walk.until_told(Cause.UNREACHABLE)

    async def end() -> None:
        walk.patch.undo()

    return end


async def refuse_media(walk: Walk) -> Callable[[], Awaitable[None]]:
    walk.user.settings.media_refused = True

    async def send() -> JsonObject:
        form = aiohttp.FormData({"to": walk.user.user_id})
        form.add_field("file", PICTURE, filename="a.png")
        async with walk.made.http.post("/v1/accounts/alice/messages", data=form) as answer:
            return obj(json.loads(await answer.read()))

    # The first may concern the file.
    assert [(await send())["reason"] for _ in range(2)] == [Cause.MEDIA_REFUSED] * 2

    async def end() -> None:
        walk.user.settings.media_refused = False
        await until(send, lambda answer: answer["state"] == "delivered")

    return end


async def fill_the_disk(walk: Walk) -> Callable[[], Awaitable[None]]:
    walk.patch.setattr(writer, "_BUSY_SECONDS", 0.05)
    lock = locked(walk.made.paths.state("alice") / "events.db")
    lock.__enter__()
    phone.write_text(walk.made.wechat.sandbox, walk.person, "this cannot be stored")
    await until(walk.issues, lambda issues: "cannot-store" in issues)
    await walk.until_told(Cause.UNAVAILABLE)

    async def end() -> None:
        lock.__exit__(None, None, None)

    return end


async def lose_the_process(walk: Walk) -> Callable[[], Awaitable[None]]:
    await walk.made.units.kill("alice", UnitRecord("alice", UnitState.INACTIVE, "dead"))
    await walk.until_told(Cause.NOT_RUNNING)

    async def end() -> None:
        await walk.made.get("start_client", client="alice")

    return end


TROUBLES = [
    ("ilink", log_out, Cause.OFFLINE),
    ("web", lose_the_session, Cause.NOT_LOGGED_IN),
    ("ilink", learn_a_limit, Cause.LEARNED),
    ("ilink", restrict, Cause.RESTRICTED),
    ("ilink", cut_the_network, Cause.UNREACHABLE),
    ("ilink", refuse_media, Cause.MEDIA_REFUSED),
    ("ilink", fill_the_disk, Cause.UNAVAILABLE),
    ("web", lose_the_process, Cause.NOT_RUNNING),
]


@pytest.mark.parametrize(("route", "begin", "cause"), TROUBLES, ids=lambda value: getattr(value, "__name__", ""))
async def test_condition_begins_and_ends_with_its_cause(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    route: str,
    begin: Callable[[Walk], Awaitable[Callable[[], Awaitable[None]]]],
    cause: Cause,
) -> None:
    condition = RULES[cause].condition
    assert condition
    monkeypatch.setattr(stage, "QUICK", quick(media_retry=1.0))
    async with wechat() as sandbox, World(tmp_path, sandbox) as made:
        walk = Walk(made, sandbox.sandbox.add_account("Alice"), monkeypatch)
        await walk.enter(route)
        assert condition not in await walk.issues()
        end = await begin(walk)
        await until(walk.issues, lambda issues: condition in issues)
        await end()
        await until(walk.issues, lambda issues: condition not in issues)


def test_each_lasting_cause_is_walked() -> None:
    # The session of the web route is over when it has to be scanned again.
    assert {cause for *_, cause in TROUBLES} | {Cause.SESSION_OVER} == {
        cause for cause, rule in RULES.items() if rule.condition
    }
