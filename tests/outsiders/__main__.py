"""Outside programs use the installed packages in a booted host with default settings: ``make outsiders``.

What each program reports as sent and read is compared with what arrived at the sandbox, and written into the table of
docs/outsiders.md and docs/zh/outsiders.md. All settings have their defaults, except that the sandbox replaces WeChat
and that iLink and MCP are served. With ``--check``, no page is written, and the run fails if one would change.
"""

import argparse
import asyncio
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tests.outsiders.judged import Bilingual, Row, Run, fetched_version, version_of
from tests.outsiders.world import ROUTES, World, prepare
from tests.programs import FETCHED, ROOT, fetched
from tests.system.actors import Webhook
from tests.system.host import Host
from tests.thirdparty import test_clients as bots
from tests.thirdparty import test_generators as generators
from tests.thirdparty.stage import stage_in

PAGES = (ROOT / "docs/outsiders.md", ROOT / "docs/zh/outsiders.md")
_TABLE = re.compile(r"(?<=\n)\| (?!-)[^\n]*\n\| ---[^\n]*\n((?:\|[^\n]*\n)*)")


def alarms(dialect: str, number: int) -> Bilingual:
    return f"{dialect}: {number} notifications at once", f"{dialect}：同时发送 {number} 条通知"


def sharing(world: World) -> list[Row]:
    """Return four programs that send from the account alice at the same time."""
    url = f"ntfy://{world.targets['ops']}@{world.address}/ops?auth=token"
    [weilink] = [client for client in bots.ILINK if client.name == "weilink"]
    agent: Bilingual = ("iLink on the web route: answers 3 messages", "网页线路上的 iLink：回复 3 条消息")
    mcp: Bilingual = ("MCP: reads a message, sends 2", "MCP：读取 1 条消息，发送 2 条")
    apprise = debian_version("apprise")
    rows = [
        world.row("apprise", apprise, alarms("ntfy", 4), partial(world.apprise, "alarm", url), "alice", "alarm"),
        world.row("weilink", fetched_version("weilink"), agent, partial(world.shared_agent, weilink), "alice"),
        world.row("mcp", fetched_version("mcp"), mcp, partial(world.mcp, "mcp", "alice", "legacy"), "alice"),
        library(world, "requests", debian_version("python3-requests"), "alice"),
    ]
    for row in rows:
        row.task = (f"{row.task[0]}; shared account", f"{row.task[1]}；共用账号")
    return rows


def debian_version(package: str) -> str:
    return version_of("dpkg-query", "-W", "-f", "${Version}", package)


def notifying(world: World) -> list[Row]:
    """Return clients of ntfy and Gotify, which send from the account carol, and the receiver of its reports."""
    shown, apprise, key = world.targets["home"], debian_version("apprise"), "warning"
    warn = partial(world.apprise, key, f"gotify://{world.address}/notify/home/{shown}")
    ntfy = version_of("ntfy", "--help", before="^ntfy ")
    rows = [
        world.row("apprise", apprise, alarms("Gotify", 4), warn, "carol", key),
        world.row("ntfy", ntfy, alarms("ntfy", 2), partial(world.ntfy, "ntfy"), "carol"),
    ]
    for name, dialect in (("python-ntfy", "ntfy"), ("gotify", "Gotify")):
        texts = [f"{name} {number}" for number in (1, 2)]
        path = f"{fetched(name)}:{fetched('openapi-python-client')}"
        command = ("/usr/bin/python3", world.script("notify.py"), name, world.url, shown, "home", *texts)
        run = partial(world.printing, name, *command, PYTHONPATH=path)
        rows.append(world.row(name, fetched_version(name), alarms(dialect, 2), run, "carol"))
    library, task = "standardwebhooks", ("verifies the signatures of reports", "验证上报的签名")
    return [*rows, world.row(library, fetched_version(library), task, partial(world.verified, 4 + 3 * 2), "carol")]


def library(world: World, name: str, version: str, account: str = "dave", *command: str, path: str = "") -> Row:
    """Return an HTTP library, which sends a text and a file; HTTP::Tiny sends two texts, as old scripts do."""
    task: Bilingual = ("`/v1`: a text and a file", "`/v1`：一条文本和一个文件")
    if name == "HTTP::Tiny":
        task = ("`/openwx`: a text by GET and one by POST", "`/openwx`：GET 和 POST 各一条文本")
    program = command or ("/usr/bin/python3", world.script("send.py"), name)
    key = re.sub(r"\W+", "-", name)
    last = (world.url, world.tokens["send"], account, key)
    run: Run = partial(world.printing, name, *program, *last, PYTHONPATH=path)
    return world.row(name, version, task, run, account, key)


def calling(world: World) -> list[Row]:
    """Return more HTTP libraries, and another client of MCP, which send from the account dave."""
    bridge = FETCHED / "mcp-remote" / "node_modules" / "mcp-remote" / "dist" / "proxy.js"
    task: Bilingual = ("MCP over stdio: reads a message, sends 2", "标准输入输出上的 MCP：读取 1 条消息，发送 2 条")
    mcp = partial(world.mcp, "mcp-remote", "dave", str(bridge))
    httpx, perl = fetched("openapi-python-client"), "print HTTP::Tiny->VERSION"
    node, tiny = version_of("node", "--version").split(".")[0], version_of("perl", "-MHTTP::Tiny", "-e", perl)
    return [
        library(world, "httpx", fetched_version(httpx.name, "httpx"), path=str(httpx)),
        library(world, "aiohttp", debian_version("python3-aiohttp")),
        library(world, "Node fetch", node, "dave", "node", world.script("send.mjs")),
        library(world, "HTTP::Tiny", tiny, "dave", "perl", world.script("send.pl")),
        world.row("mcp-remote", fetched_version("mcp-remote"), task, mcp, "dave"),
    ]


def agents(world: World) -> list[Row]:
    """Return programs for iLink, which use the iLink account bob one after another."""
    media = ("iLink: answers a text and a voice message, sends a file back", "iLink：回复文本和语音，发回文件")
    plain = ("iLink: answers a text and a voice message", "iLink：回复文本和语音")
    rows = []
    for client in bots.ILINK:
        package = "@tencent-weixin/openclaw-weixin" if client.name == "openclaw-weixin" else client.name
        task = plain if client.name in world.without_media else media
        version = fetched_version(client.name, package)
        rows.append(world.row(client.name, version, task, partial(world.ilink_agent, client), client.name))
    return rows


def web_bots(world: World) -> list[Row]:
    """Return programs that log in at the sandbox themselves, under WeChat's names."""
    rows = []
    for client in bots.ALL:
        package = {"itchat-uos-dev": "itchat-uos", "Mojo-Weixin": ""}.get(client.name, client.name)
        task = ("sandbox: logs in by QR code, answers a message", "沙箱：扫码登录，回复 1 条消息")
        if client.name == "wxpy":
            task = (f"{task[0]}, sends a file", f"{task[1]}，发送 1 个文件")
        missing = client.name == "Mojo-Weixin" and not os.environ.get("MOJO_WEIXIN_LIB")
        run = None if missing else partial(world.web_bot, client)
        version = fetched_version(client.name, package) if package else ""
        rows.append(world.row(package or client.name, version, task, run, client.name, ""))
    return rows


def generated(world: World) -> list[Row]:
    """Return generated clients; those in Python send from the account alice."""
    lists = ("lists the accounts", "列出账号")
    sends = ("lists the accounts, sends a text", "列出账号，发送 1 条文本")
    java, python, types = "openapi-generator", "openapi-python-client", "openapi-typescript"
    version = fetched_version(java, "openapi-generator-cli")
    typed = partial(world.typescript, f"{types}/use.ts", generators.by_openapi_typescript)
    rows = [
        world.row(f"{java}, {language}", version, task, partial(world.generator_client, language), "alice", key)
        for language, task, key in (("python", sends, "from Java"), ("typescript-fetch", lists, None))
    ]
    return [
        *rows,
        world.row(python, fetched_version(python), sends, world.python_client, "alice", "from Python"),
        world.row(types, fetched_version(types), lists, typed, "alice"),
    ]


async def one_after_another(rows: Sequence[Row]) -> None:
    for row in rows:
        await row.take_part()


async def use(world: World) -> list[Row]:
    """Run all programs; return their rows."""
    busy = [sharing(world), notifying(world), calling(world)]
    patient = [agents(world), web_bots(world)]
    at_once = [row.take_part() for rows in busy for row in rows]
    await asyncio.gather(*at_once, *(one_after_another(rows) for rows in patient))
    # Its QR code would be in the way of the bots.
    await asyncio.to_thread(world.caller.openwx, "start_client", client="waiting", driver="web")
    await asyncio.to_thread(world.caller.until_state, "waiting", "scaning")
    last = generated(world)
    await one_after_another(last)
    await world.until_idle(*ROUTES)
    rows = [row for group in (*busy, *patient, last) for row in group]
    for row in rows:
        await row.judge()
    return rows


def written(page: str, rows: Sequence[Row], language: int) -> str:
    """Return a page with the rows in its table."""
    table = "".join(
        f"| {row.name} | {row.version} | {row.task[language]} | {row.result[language]} |\n" for row in rows
    )
    [found] = _TABLE.finditer(page)
    return page[: found.start(1)] + table + page[found.end(1) :]


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.outsiders", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the pages differ")
    parser.add_argument("debs", nargs="+", type=Path, help="packages to install")
    chosen = parser.parse_args()
    began = time.monotonic()
    with Host.up("wxoutsiders", packages=chosen.debs) as host, tempfile.TemporaryDirectory() as place:
        prepare(host)
        with stage_in(host, Path(place)) as stage, Webhook(host) as hook:
            rows = asyncio.run(use(World(host, stage, hook)))
    wrong = sum(not row.right for row in rows)
    for language, page in enumerate(PAGES):
        before = page.read_text(encoding="utf-8")
        after = written(before, rows, language)
        if after != before and chosen.check:
            print(f"{page.relative_to(ROOT)} differs: run make outsiders")
            wrong += 1
        elif after != before:
            page.write_text(after, encoding="utf-8")
    print(f"{len(rows)} programs in {time.monotonic() - began:.0f} s, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
