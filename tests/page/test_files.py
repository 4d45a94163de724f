"""Files that are sent from a conversation, chosen by the picker or by a drag."""

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
# Whether the page handles a drag over an element, of a file or a text, in place of the browser.
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
    """An account with one contact, which accepts files."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def serve(self, request: web.Request) -> web.StreamResponse:
        match request.method, request.path.rpartition("/")[2]:
            case "GET", "contacts":
                return web.json_response({"contacts": [PEER], "more": False})
            case "GET", what:
                return web.json_response({what: [], "pending": [], "more": False})
        form = await request.post()
        [file] = [each for each in form.values() if isinstance(each, web.FileField)]
        self.sent.append(f"{file.filename} {len(file.file.read())}")
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
    names = ("one.txt", "two.pdf", "a file whose name is far too long for the space that there is for it.docx")
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(b"x" * (number + 1))
    one, two, long = (tmp_path / name for name in names)
    browser.open("#/a/shop/chats")
    # Without a chosen recipient, a dropped file goes nowhere, and does not replace the page.
    browser.find("#people button")
    for kind in ("dragEnter", "dragOver", "drop"):
        drag(browser, kind, one)
    browser.click("#people button")
    browser.find("#attach")
    assert browser.script("return document.querySelectorAll('#attached li').length") == 0
    picker = browser.driver.find_element("id", "attach-files")  # the browser's dialog is behind a button
    picker.send_keys(str(one))
    browser.find("#attached li", "one.txt")
    drag(browser, "dragEnter", two, long)
    drag(browser, "dragOver", two, long)
    browser.find("#chat.dropping")
    drag(browser, "drop", two, long)
    browser.gone("#chat.dropping")
    browser.find("#attached li:nth-child(3)", "a file")
    browser.picture("files-attached")
    browser.size(360)
    assert faults(browser) == []
    browser.size(1280)
    # A file that misses the conversation is not opened in the place of the page; a text may go into the field.
    assert browser.script(TAKEN, browser.find("#figures"), True)
    assert not browser.script(TAKEN, browser.find("#send textarea"), False)
    browser.click("#attached li:nth-child(2) button")
    browser.click("#send .main")
    browser.find("#send-result.good", "王芳")
    browser.until(lambda: account.sent == ["one.txt 1", f"{long.name} 3"], "both files")
    browser.gone("#attached li")
    assert browser.complaints() == []
