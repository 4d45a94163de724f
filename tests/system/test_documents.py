"""Run all commands of the tutorial, the how-to pages and README in a booted host, page by page.

A block that cannot run there has the reason in its first line, after `sh`: `no-test: REASON`. PLAYS has the reader's
other actions, mostly on the phone, and ENDLESS the commands that run until Ctrl-C.
"""

import json
import re
import threading
from pathlib import Path

import pytest

from tests.system.actors import Caller, Phone, use_sandbox
from tests.system.host import Host
from tests.system.pages import PAGES, Block, Shell, blocks, until_told
from tests.system.plays import ENDLESS, EXAMPLE_NAMES, PLAYS, TOLD, Act, Stage

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def stage(bare_host: Host, debs: list[Path]) -> Stage:
    """A host with a checkout after `make deb`; the tutorial installs the product."""
    for deb in debs:
        bare_host.write(f"/root/checkout/dist/{deb.name}", deb.read_bytes())
    bare_host.run("sh", "-c", f"echo '{EXAMPLE_NAMES}' >>/etc/hosts")
    return Stage(bare_host, Phone(bare_host), Caller(bare_host))


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_page_succeed(page: str, stage: Stage, debs: list[Path]) -> None:
    host = stage.host
    if page != PAGES[0]:
        if host.run("sh", "-c", "command -v wxctl", check=False).returncode:
            host.install(*debs)
        clean(host)
        use_sandbox(host)
    with Shell.open(host, "/root/checkout") as shell:
        for block in blocks(page):
            if block.done and not block.reason:
                follow(stage, shell, block)
    assert host.text("systemctl", "--failed", "--plain", "--no-legend").strip() == ""


def follow(stage: Stage, shell: Shell, block: Block) -> None:
    """Run a block, and do what its plays say meanwhile."""
    plays = [play for play in PLAYS if play.page == block.page and play.text in block.text]
    for play in plays:
        if play.before:
            play.before(stage)
    if block.file:
        stage.host.write(block.file, block.text.encode())
        return
    if block.unit:
        stage.host.run("systemctl", "edit", "--stdin", block.unit, input=block.text.encode())
        return
    failed: list[BaseException] = []
    beside = [threading.Thread(target=take_part, args=(play.beside, stage, failed)) for play in plays if play.beside]
    for each in beside:
        each.start()
    told = shell.do(runnable(block.text))
    for each in beside:
        each.join(90)
    assert not failed, f"{block.page}:{block.line}: {failed}"
    for line in told.splitlines():
        refused = re.match(r'\{.*"code": ?(-?[1-9]\d*)|\{"error"', line)
        assert not refused, f"{block.page}:{block.line}: refused: {line[:500]}"
    for (page, text), wanted in TOLD.items():
        if page == block.page and text in block.text:
            assert wanted in told, f"{block.page}:{block.line} did not tell {wanted!r}:\n{told}"


def take_part(play: Act, stage: Stage, failed: list[BaseException]) -> None:
    try:
        play(stage)
    except BaseException as problem:
        failed.append(problem)


def runnable(text: str) -> str:
    """Return a block with its endless commands ended."""
    lines = text.rstrip("\n").splitlines()
    return "\n".join(until_told(line, ENDLESS[line]) if line in ENDLESS else line for line in lines)


def clean(host: Host) -> None:
    """Remove what the page before has left, which may have failed."""
    listed = json.loads(host.text("wxctl", "list", "--json"))
    for account in listed if isinstance(listed, list) else listed["accounts"]:
        host.run("wxctl", "remove", account["name"], "--yes")
    host.run(
        "sh", "-c", "rm -rf /etc/wxcontroller/tokens /etc/wxcontroller/clients/* /etc/wxcontroller/credentials/*"
    )
    host.run("sh", "-c", "rm -rf /etc/systemd/system/wx*.d /etc/wxcontroller/wxcontroller.toml.d/*")
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "stop", "wxcontroller.service")
    host.run("systemctl", "restart", "wxcontroller.socket")
    host.run("systemctl", "start", "wxcontroller.service")
