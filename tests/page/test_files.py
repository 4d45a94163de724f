"""Files that are sent from a conversation: by the picker, by a drag, and what becomes of them meanwhile."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.page.browser import Browser
from tests.page.looks import faults
from tests.page.served import Served, serving
from wxcontroller.core.jsontypes import JsonValue
from wxcontroller.core.states import LoginState

pytestmark = pytest.mark.timeout(300)
# Whether the page takes what is dragged over an element, a file or a text, from the browser.
TAKEN = """
const data = new DataTransfer();
if (arguments[1]) data.items.add(new File(["x"], "x.txt"));
else data.items.add("x", "text/plain");
const event = new DragEvent("dragover", { bubbles: true, cancelable: true, dataTransfer: data });
arguments[0].dispatchEvent(event);
return event.defaultPrevented;
"""
PEER: dict[str, JsonValue] = {"id": "peer", "name": "王芳", "kind": "friend"}


class Account:
    """An account with one contact, which takes what is sent to it."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.may_answer = asyncio.Event()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        match request.method, request.path.rpartition("/")[2]:
            case "GET", "contacts":
                return web.json_response({"contacts": [PEER], "more": False})
            case "GET", what:
                return web.json_response({what: [], "pending": [], "more": False})
        form = await request.post()
        [file] = [each for each in form.values() if isinstance(each, web.FileField)]
        self.sent.append(f"{file.filename} {len(file.file.read())}")
        await self.may_answer.wait()
        return web.json_response({"id": file.filename, "state": "delivered"})


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def served(tmp_path: Path, account: Account) -> Iterator[Served]:
    with serving(tmp_path) as one:
        one.account("shop", LoginState.RUNNING, "web")
        one.machine.process("shop").serve = account.serve
        yield one


@pytest.fixture
def address(served: Served) -> str:
    return served.machine.url


def drag(browser: Browser, kind: str, *files: Path) -> None:
    """Drag files from the machine over the middle of the conversation."""
    place = browser.script(
        "const { x, y } = arguments[0].getBoundingClientRect(); return { x: x + 300, y: y + 90 }",
        browser.find("#chat"),
    )
    data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
    browser.driver.execute_cdp_cmd("Input.dispatchDragEvent", {"type": kind, **place, "data": data})


def test_files_by_picker_and_drag(browser: Browser, served: Served, account: Account, tmp_path: Path) -> None:
    names = ("one.txt", "two.pdf", "a file whose name is far too long for the room that there is for it.docx")
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(b"x" * (number + 1))
    one, two, long = (tmp_path / name for name in names)
    browser.open("#/a/shop/chats")
    # Nobody is chosen yet: what is dropped goes nowhere, and does not replace the page.
    browser.find("#people button")
    drag(browser, "dragEnter", one)
    drag(browser, "dragOver", one)
    browser.gone("#chat.dropping")
    drag(browser, "drop", one)
    browser.click("#people button")
    browser.find("#attach")
    assert browser.script("return document.querySelectorAll('#attached li').length") == 0
    picker = browser.driver.find_element("id", "attach-files")  # the browser's dialog is behind a button
    picker.send_keys(str(one))
    browser.find("#attached li", "one.txt")
    drag(browser, "dragEnter", two, long)
    drag(browser, "dragOver", two, long)
    browser.find("#chat.dropping")
    browser.picture("files-dragged")
    drag(browser, "drop", two, long)
    browser.gone("#chat.dropping")
    sizes = browser.script("return [...document.querySelectorAll('#attached small')].map((one) => one.offsetHeight)")
    assert len(sizes) == 3
    assert len(set(sizes)) == 1, "one line each"
    browser.find("#attached li:nth-child(3)", "a file")
    browser.picture("files-attached")
    assert faults(browser) == []
    # A file that misses the conversation is not opened in the place of the page; a text may go into the field.
    assert browser.script(TAKEN, browser.find("#figures"), True)
    assert not browser.script(TAKEN, browser.find("#send textarea"), False)
    browser.gone("#chat.dropping")
    browser.click("#attached li:nth-child(2) button")
    browser.click("#send .main")
    browser.until(lambda: account.sent, "the first file")
    browser.picture("files-sending")
    served.loop.call_soon_threadsafe(account.may_answer.set)
    browser.find("#send-result.good", "王芳")
    browser.until(lambda: account.sent == ["one.txt 1", f"{long.name} 3"], "those that were left")
    browser.gone("#attached li")
    browser.size(360)
    picker.send_keys(str(long))
    browser.find("#attached li")
    browser.picture("files-phone")
    assert faults(browser) == []
    assert browser.complaints() == []
