"""What public clients believe after each verdict, as docs/ilink-agents.md and docs/sends.md say it.

Controller, account and clients are real; a stand-in gives the verdicts that messages name by their text.
"""

import asyncio
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web

from tests.openapi.world import World, world
from tests.patience import until
from tests.programs import program
from tests.thirdparty import test_mcp as mcp
from tests.thirdparty.test_agents import FILES, give_credentials, logged_in, pair, running, stage, until_polling
from tests.thirdparty.test_clients import ILINK, Client, check_installed
from tests.tokens import token
from wxcontroller.client.calls.call import json_answer
from wxcontroller.client.ilink.consumerbook import Consumer
from wxcontroller.client.ilink.sendmessage import AgentSending, form_of
from wxcontroller.client.v1.acts.sending import MessageSending
from wxcontroller.client.v1.forms.v1answers import RequestRefused
from wxcontroller.client.v1.forms.v1outcomes import words_of_verdict
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.condition.verdict import RULES, Cause, SendState, Verdict, for_agents
from wxcontroller.core.jsontypes import JsonObject, items, obj, text
from wxcontroller.core.text.templates import Text

DOCS = Path(__file__).parents[2] / "docs"
# Below the ten sends that an agent may make in a second.
PACE = 0.12
# Of calls that are refused before there is a send.
OF_CALLS = (Cause.NOT_RUNNING, Cause.NOT_LOGGED_IN, Cause.UNAVAILABLE)


def verdict_of(cause: Cause) -> Verdict:
    evidence = Text(f"evidence for {cause}")
    if cause is Cause.NO_ANSWER:
        return Verdict(SendState.UNKNOWN, cause, evidence)
    if RULES[cause].ends:
        return Verdict(SendState.HELD, cause, when=5.0)
    return Verdict(SendState.REFUSED, cause, evidence)


VERDICTS: Mapping[str, Verdict] = {
    "delivered": Verdict(SendState.DELIVERED, message_id="77"),
    "waiting": Verdict(SendState.WAITING),
    **{cause.value: verdict_of(cause) for cause in Cause},
}
# The columns of the tables.
COLUMNS = ("delivered", "held", "unknown", "refused")
CHINESE = {"sent": "已发送", "not sent": "未发送", "not sent, with the reason": "未发送，并有原因"}
CHINESE |= {"not sent, with the reason in its log": "未发送，原因在其日志里"}
CHINESE |= {"state and remedy": "状态和处理办法", "error with the remedy": "错误，并有处理办法"}


def column_of(verdict: Verdict) -> str:
    return "delivered" if verdict.state is SendState.WAITING else verdict.state.value


def documented(page: str, client: str) -> Mapping[str, str]:
    """Return what a page says about a client, by column, the same in both languages."""

    def row(path: Path, words: Collection[str]) -> Sequence[str]:
        lines = re.findall(rf"^\| {re.escape(client)} \| (.*) \|$", path.read_text(encoding="utf-8"), re.MULTILINE)
        [cells] = [cells for cells in (text(line).split(" | ") for line in lines) if {*cells} <= {*words}]
        return cells

    english = row(DOCS / page, CHINESE)
    assert [CHINESE[cell] for cell in english] == row(DOCS / "zh" / page, CHINESE.values())
    return dict(zip(COLUMNS, english, strict=True))


def check(page: str, client: str, beliefs: Mapping[str, str]) -> None:
    """Compare a client's beliefs, by verdict, with the documentation."""
    table = documented(page, client)
    expected = {name: table[column_of(VERDICTS[name])] for name in beliefs}
    assert beliefs == expected


def shown(name: str) -> JsonObject:
    return {"id": "7", "handle": None, "chat": "filehelper", **words_of_verdict(VERDICTS[name])}


@pytest.mark.parametrize("client", [pytest.param(client, id=client.name) for client in ILINK])
async def test_agent_after_each_verdict(tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    check_installed(client)
    answered: Counter[str] = Counter()

    async def send(_: AgentSending, __: Consumer, message: JsonObject) -> JsonObject:
        [item] = items(message["item_list"])
        name = text(obj(obj(item)["text_item"])["text"]).removeprefix("echo: ")
        answered[name] += 1
        return form_of(shown(name), "key") if name in VERDICTS else {"ret": 0}

    monkeypatch.setattr(AgentSending, "send", send)
    home = tmp_path / "home"
    home.mkdir()
    async with stage(tmp_path / "host", "web") as made:
        await logged_in(made.host)
        if client.name in FILES:
            await give_credentials(made.host, client.name, home)
        async with running(client, home, BASE_URL=made.host.url) as printed:
            if client.name not in FILES:
                await pair(made.host, printed)
            await until_polling(made.host)
            try:
                for name in (*VERDICTS, "the end"):
                    await made.receive(text=name)
                    await until(partial(answered.get, name), bool)
                    await asyncio.sleep(PACE)
            except TimeoutError:
                raise AssertionError(printed.read_text()) from None
            output = printed.read_text()
    # None repeats a message that failed.
    assert set(answered.values()) == {1}

    def belief(name: str) -> str:
        lines = [line for line in output.splitlines() if f"{line} ".startswith(f"refused: echo: {name} ")]
        if not lines:
            return "sent"
        why = str(VERDICTS[name].detail)
        with_reason = "with the reason" if why in lines[0] else "with the reason in its log" if why in output else ""
        return f"not sent, {with_reason}" if with_reason else "not sent"

    check("ilink-agents.md", f"`{client.name}`", {name: belief(name) for name in VERDICTS})


def stand_in(asked: Counter[str]) -> Callable[[MessageSending, web.Request], object]:
    async def post(_: MessageSending, request: web.Request) -> web.StreamResponse:
        name = text((await request.json())["text"]).split("\n")[-1]
        asked[name] += 1
        verdict = VERDICTS[name]
        if verdict.cause in OF_CALLS:
            raise RequestRefused(verdict.rule.status, text(verdict.cause), verdict.reason, verdict.remedy)
        return json_answer({**shown(name), "parts": [shown(name)]}, 200 if verdict.state.is_final else 202)

    return post


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Put the stand-in in place; return how often it was asked, by verdict."""
    counted: Counter[str] = Counter()
    monkeypatch.setattr(MessageSending, "post", stand_in(counted))
    return counted


async def test_mcp_client_after_each_verdict(tmp_path: Path, asked: Counter[str]) -> None:
    beliefs: dict[str, str] = {}
    async with world(tmp_path, mcp_serve=True) as made:
        await made.account("alice")
        async with mcp.agent(made.url, token(made, Scope.CONTROL)) as (client, _):
            for name, verdict in VERDICTS.items():
                result = await client.call("send_message", account="alice", to="x", text=name)
                words = text(obj(items(result["content"])[-1])["text"])
                remedy = for_agents(verdict.cause or "")
                if result["isError"]:
                    beliefs[name] = "error with the remedy" if remedy in words else "error"
                else:
                    answer = json.loads(words)
                    assert answer["state"] == verdict.state
                    beliefs[name] = "state and remedy" if answer.get("remedy", "") == remedy else "state"
    assert set(asked.values()) == {1}
    check("sends.md", "`mcp` (Python)", beliefs)


def groups() -> Mapping[str, str]:
    """Return one verdict for each kind of answer to a notification."""
    found: dict[tuple[str, int], str] = {}
    for name, verdict in VERDICTS.items():
        refused = verdict.state is SendState.REFUSED
        found.setdefault((column_of(verdict), verdict.rule.status if refused else 200), name)
    return {name: kind for (kind, _), name in found.items()}


@pytest.mark.parametrize("client", ["apprise, ntfy://", "apprise, gotify://", "ntfy"])
async def test_notifier_after_each_verdict(tmp_path: Path, client: str, asked: Counter[str]) -> None:
    beliefs: dict[str, str] = {}
    async with world(tmp_path) as made:
        await made.account("alice")
        body: JsonObject = {"name": "ops", "account": "alice", "peer": "filehelper"}
        _, target = await made.v1("POST", "targets", body, {"Content-Type": "application/json"})
        for name in groups():
            status, output = await notify(made, client, text(target["token"]), name, tmp_path)
            with_reason = str(VERDICTS[name].detail or VERDICTS[name].reason) in output
            beliefs[name] = "sent" if not status else "not sent, with the reason" if with_reason else "not sent"
    assert set(asked.values()) == {1}
    check("sends.md", client, beliefs)


async def notify(made: World, client: str, shown: str, words: str, home: Path) -> tuple[int, str]:
    """Run a client; return its exit status and what it prints."""
    host = made.url.removeprefix("http://")
    if client == "ntfy":
        command = [program("ntfy"), "publish", "--token", shown, f"{made.url}/notify/ops", words]
    else:
        url = f"ntfy://{shown}@{host}/ops?auth=token" if "ntfy:" in client else f"gotify://{host}/notify/ops/{shown}"
        command = [program("apprise"), "-vv", "-b", words, url]
    process = await asyncio.create_subprocess_exec(
        *command,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(home)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()
