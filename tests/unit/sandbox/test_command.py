"""The command wxsandbox, as a process."""

import asyncio
import contextlib
import json
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator

from tests.patience import PATIENCE
from tests.unit.sandbox.conftest import UIN
from tests.unit.sandbox.wire import Browser

PROGRAM = (sys.executable, "-m", "wxcontroller.sandbox")


async def run(*words: str, url: str = "http://127.0.0.1:9") -> tuple[int, str, str]:
    """Run wxsandbox; exit code, output, errors."""
    process = await asyncio.create_subprocess_exec(*PROGRAM, "--url", url, *words, stdout=PIPE, stderr=PIPE)
    out, errors = await process.communicate()
    return process.returncode or 0, out.decode(), errors.decode()


@contextlib.asynccontextmanager
async def served(*options: str, environment: dict[str, str] | None = None) -> AsyncIterator[tuple[str, int]]:
    """Run ``wxsandbox serve``; its first line, and its port. It must end well when told to."""
    command = (*PROGRAM, "serve", "--listen", "127.0.0.1:0", *options)
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, env=environment)
    assert process.stdout is not None
    try:
        line = (await process.stdout.readline()).decode()
        yield line, int(line.split("http://127.0.0.1:")[1].split(",")[0])
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_login_is_scripted_by_commands(browser: Browser) -> None:
    url = f"http://127.0.0.1:{browser.port}"
    code, out, errors = await run("scan", "--as", str(UIN), url=url)
    assert (code, out) == (4, "")
    assert "no login is waiting" in errors
    waiting = asyncio.create_task(run("scan", "--as", str(UIN), "--wait", "10", url=url))
    uuid = await browser.jslogin()
    assert await waiting == (0, f"{uuid} scanned\n", "")
    assert await run("confirm", url=url) == (0, f"{uuid} confirmed\n", "")
    code, _, errors = await run("confirm", uuid, url=url)
    assert code == 1
    assert "is confirmed" in errors
    await browser.poll()
    await browser.new_login_page()
    await browser.init()
    code, out, _ = await run("receive", str(UIN), "小明", "hello", url=url)
    assert code == 0
    assert (await browser.sync())["AddMsgList"][0]["MsgId"] == out.strip()
    await browser.send("filehelper", "answer")
    code, out, _ = await run("sent", str(UIN), "--json", url=url)
    assert json.loads(out)[0]["text"] == "answer"
    code, out, _ = await run("fault", "synccheck", "status", "503", "--forever", url=url)
    assert (code, out) == (0, "1\n")
    assert await run("faults", "--clear", url=url) == (0, "cleared 1\n", "")
    assert await run("logout", str(UIN), url=url) == (0, "ended\n", "")
