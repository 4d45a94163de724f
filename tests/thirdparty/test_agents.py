"""Third-party iLink agents, unmodified, use an account through the controller, on two routes.

Each gets its credentials as ``wxctl ilink credentials`` prints them, or pairs. The account is at the sandbox.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import pytest

from tests.openapi.world import ClientUnits
from tests.patience import until
from tests.programs import program
from tests.thirdparty.test_clients import ILINK, Client, check_installed
from tests.unit.client.stage import ilink_driver
from tests.unit.controller.machine import Machine
from tests.unit.drivers.ilink_kit import bench, waiting_code
from tests.unit.drivers.kit import friend, script, wechat
from wxcontroller.cli.verbs.traffic.ilink import FORMS, Access
from wxcontroller.core.config.options import OPTIONS
from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, obj, text
from wxcontroller.sandbox.ilink import phone
from wxcontroller.sandbox.world.phone import ServerAccount

TEXT = 'are you there? 你好 https://example.invalid/?a=1 "x"'
Json: TypeAlias = Any  # answers of the scripting API; the assertions are the check
# The kind of credentials, and where the client reads them.
FILES = {
    "wechatbot-sdk": ("wechatbot", ".wechatbot/credentials.json"),
    "weilink": ("weilink", ".weilink/default/token.json"),
    "openclaw-weixin": ("openclaw", ".openclaw/openclaw-weixin/accounts/own.json"),
}
# WeChat's CDN host is fixed in the first; the other has no media.
WITHOUT_MEDIA = frozenset({"wechatbot-sdk", "openilink-sdk-python"})
# It ignores the responses to sends.
UNAWARE = frozenset({"openilink-sdk-python"})


@dataclass
class Stage:
    """A controller and its account alice, which is logged in at a sandbox as ``account``."""

    host: Machine
    route: str
    url: str
    account: ServerAccount
    friend: str = ""

    async def ask(self, method: str, path: str, body: Json = None) -> Json:
        """Call the sandbox's scripting API about the account."""
        return await script(self.url, self.account, method, path, body)

    async def receive(self, **message: Json) -> Json:
        """Have the account receive a message of a person."""
        if self.route == "ilink":
            return await self.ask("POST", "phone-send", {"to": "clawbot", **message})
        return await self.ask("POST", "receive", {"from": self.friend, **message})

    async def until_sent(self, number: int) -> Json:
        """Wait until the person has received this many messages; return the last."""
        path = "ilink/sent" if self.route == "ilink" else "sent"
        return (await until(lambda: self.ask("GET", path), lambda sent: len(sent) >= number))[number - 1]


@contextlib.asynccontextmanager
async def controller(root: Path, url: str, route: str, pace: str) -> AsyncIterator[Machine]:
    """Run a controller with the real account alice, which is not logged in yet."""
    options = {"server": url, "driver": route, "send_interval": pace, "synccheck_interval": "0"}
    if route == "ilink":
        options["budget_per_inbound"] = "2"
    host = Machine(root, client=options, ilink_serve=True)
    host.units = units = ClientUnits(host.paths)
    if route == "ilink":
        units.driver = ilink_driver
    async with host:
        await host.get("start_client", client="alice")
        try:
            yield host
        finally:
            for instance in list(units.running):
                await units.kill(instance)


@contextlib.asynccontextmanager
async def stage(root: Path, route: str, pace: str = "0") -> AsyncIterator[Stage]:
    """Run a controller and WeChat; alice is logged in, and sends a message every ``pace`` seconds at most."""
    if route == "ilink":
        async with bench() as ilink, controller(root, ilink.url, route, pace) as host:
            phone.confirm(ilink.sandbox, await waiting_code(ilink.sandbox), ilink.account)
            yield Stage(host, route, ilink.url, ilink.account)
    else:
        async with wechat() as web, controller(root, web.url, route, pace) as host:
            person = web.sandbox.add_account("Alice")
            await web.scan(person)
            yield Stage(host, route, web.url, person, friend(person))


@contextlib.asynccontextmanager
async def running(client: Client, home: Path, **environment: str) -> AsyncIterator[Path]:
    """Run an agent's program for the duration of a block; gives the file with what it prints."""
    printed = home / "printed"
    variables = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(home), "TMPDIR": str(home)}
    with printed.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(
            *client.command,
            env={**variables, **client.environment, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stream,
            stderr=asyncio.subprocess.STDOUT,
        )
    try:
        yield printed
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class Controller(Protocol):
    """A controller at ``url``, in this process or in a booted host."""

    @property
    def url(self) -> str: ...

    async def v1(self, method: str, path: str, body: JsonValue = None) -> tuple[int, JsonObject]: ...


async def give_credentials(host: Controller, name: str, home: Path, alice: str = "alice") -> None:
    """Write the file that an agent's program reads."""
    status, made = await host.v1("PUT", f"accounts/{alice}/consumers/helper", {"token": True})
    assert status == 200, made
    kind, place = FILES[name]
    access = Access(text(made["token"]), host.url, text(made["ilink_bot_id"]), text(made["ilink_user_id"]))
    file = home / place
    file.parent.mkdir(parents=True)
    file.write_text(FORMS[kind].written(access))
    if kind == "openclaw":
        (file.parents[1] / "accounts.json").write_text(json.dumps([file.stem]))


async def pair(host: Controller, printed: Path, alice: str = "alice") -> None:
    """Approve the agent that prints its link."""
    output = await until(printed.read_text, lambda output: "/ilink/pair/" in output)
    code = output.rpartition("/ilink/pair/")[2].split()[0]
    approval: JsonObject = {"account": alice, "consumer": "helper"}
    status, approved = await host.v1("POST", f"ilink/pairings/{code}", approval)
    assert status == 200, approved


async def until_polling(host: Controller, alice: str = "alice") -> None:
    def polls(found: tuple[int, JsonObject]) -> bool:
        return any(obj(row).get("polling") for row in items(found[1]["consumers"]))

    await until(lambda: host.v1("GET", f"accounts/{alice}/consumers"), polls)


@pytest.mark.parametrize("route", ["ilink", "web"])
@pytest.mark.parametrize("client", [pytest.param(client, id=client.name) for client in ILINK])
async def test_agent_uses_an_account_on_either_route(tmp_path: Path, client: Client, route: str) -> None:
    check_installed(client)
    home = tmp_path / "home"
    home.mkdir()
    async with stage(tmp_path / "host", route) as world:
        await logged_in(world.host)
        pairs = client.name not in FILES
        if not pairs:
            await give_credentials(world.host, client.name, home)
        async with running(client, home, BASE_URL=world.host.url) as printed:
            try:
                if pairs:
                    await pair(world.host, printed)
                await until_polling(world.host)
                answers = await converse(world)
                if route == "ilink":
                    answers = await quote_and_exceed_the_budget(world, client, printed)
                if client.name not in WITHOUT_MEDIA:
                    await send_back(world, answers)
            except (AssertionError, TimeoutError) as error:
                raise AssertionError(f"{error!r}\n{printed.read_text()}") from error


async def apprise(url: str, words: str, home: Path, enter: Sequence[str] = ()) -> bool:
    """Send a notification with apprise; return whether it reports it as sent. ``enter`` begins the command."""
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(home)}
    command = (*enter, program("apprise"), "-b", words, url)
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdin=asyncio.subprocess.DEVNULL)
    return await process.wait() == 0


async def test_alarms_at_once_are_reported_as_sent_at_the_default_pace(tmp_path: Path) -> None:
    [client] = [one for one in ILINK if one.name == "openilink-sdk-python"]
    home = tmp_path / "home"
    home.mkdir()
    alarms = [f"alarm {number}" for number in range(4)]
    async with stage(tmp_path / "host", "web", OPTIONS["send_interval"].default) as world:
        await logged_in(world.host)
        _, made = await world.host.v1("POST", "targets", {"name": "ops", "account": "alice", "peer": "filehelper"})
        url = f"ntfy://{made['token']}@{world.host.url.removeprefix('http://')}/ops?auth=token"
        async with running(client, home, BASE_URL=world.host.url) as printed:
            await pair(world.host, printed)
            await until_polling(world.host)
            await world.receive(text=TEXT)
            reported = await asyncio.gather(*(apprise(url, words, home) for words in alarms))
            await world.until_sent(5)
        assert reported == [True] * 4
        sent = [text(message["text"]) for message in await world.ask("GET", "sent")]
        assert sorted(sent) == sorted([*alarms, f"echo: {TEXT}"])


async def test_an_agent_goes_on_while_its_answers_wait_for_their_turn(tmp_path: Path) -> None:
    """weilink gives up after 10 s, and ends."""
    [client] = [one for one in ILINK if one.name == "weilink"]
    home = tmp_path / "home"
    home.mkdir()

    def waiting(found: tuple[int, JsonObject]) -> bool:
        return len(items(found[1]["sends"])) == 2

    async with stage(tmp_path / "host", "web", "600") as world:
        await logged_in(world.host)
        await give_credentials(world.host, client.name, home)
        async with running(client, home) as printed:
            await until_polling(world.host)
            for words in ("one", "two", "four"):
                await world.receive(text=words)
            await until(lambda: world.host.v1("GET", "accounts/alice/sends"), waiting)
            assert printed.read_text() == ""


async def logged_in(host: Machine) -> None:
    await until(lambda: host.states(client="alice"), lambda states: states[0]["state"] == "running")


async def quote_and_exceed_the_budget(world: Stage, client: Client, printed: Path) -> int:
    """Quote a message, then request more answers than the budget allows; return the number of messages received."""
    quoted = await world.receive(text="the quoted one")
    assert (await world.until_sent(3))["text"] == "echo: the quoted one"
    await world.receive(text="and this?", quote=quoted["msg_id"])
    assert (await world.until_sent(4))["text"] == "echo: and this? [the quoted one]"
    await world.receive(text="three")
    assert [(await world.until_sent(number))["text"] for number in (5, 6)] == ["echo: three", "second"]
    if client.name not in UNAWARE:
        await until(printed.read_text, lambda output: "refused: third" in output)
    await world.receive(text="go on")
    # The held message is sent once, before or after the answer.
    assert {(await world.until_sent(number))["text"] for number in (7, 8)} == {"third", "echo: go on"}
    return 8


class Person(Protocol):
    """The other end of the account's messages."""

    @property
    def route(self) -> str: ...

    async def receive(self, **message: Json) -> Json: ...

    async def until_sent(self, number: int) -> Json: ...


async def converse(world: Person) -> int:
    """Write to the account, and check the answers; return their number."""
    await world.receive(text=TEXT)
    assert (await world.until_sent(1))["text"] == f"echo: {TEXT}"
    await world.receive(kind="voice", length=2300)
    assert (await world.until_sent(2))["text"] == "heard 2300 ms"
    return 2


async def send_back(world: Person, before: int) -> None:
    """Send a file to the account, which comes back after ``before`` other messages."""
    received = await world.receive(kind="file", name="报告.bin", size=100_000)
    answer = await world.until_sent(before + 1)
    assert (answer["kind"], answer["name"], answer["size"]) == ("file", "报告.bin", 100_000)
    md5 = received["message"]["item_list"][0]["file_item"]["md5"] if world.route == "ilink" else received["md5"]
    assert answer["md5"] == md5
