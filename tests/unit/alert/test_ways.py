"""The ways alerts go: a real web server, and programs in the place of sendmail and of the admin's own."""

import asyncio
import email
import email.policy
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from tests.patience import until
from tests.serving import serving
from tests.unit.alert.kit import PNG, alert, program
from wxcontroller.alert import command, mail
from wxcontroller.alert.deliver import Trouble
from wxcontroller.alert.webhook import post
from wxcontroller.core.jsontypes import JsonValue, items, obj

# -- webhook


@dataclass
class Hook:
    url: str = ""
    status: int = 200
    location: str = ""
    silent: bool = False
    bodies: list[JsonValue] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.StreamResponse:
        if self.silent:
            await asyncio.sleep(60)
        self.bodies.append(await request.json())
        self.headers.append(dict(request.headers))
        return web.Response(status=self.status, headers={"Location": self.location} if self.location else {})


@pytest_asyncio.fixture
async def hook() -> AsyncIterator[Hook]:
    made = Hook()
    async with serving(made.take) as port:
        made.url = f"http://127.0.0.1:{port}/alert?key=secret"
        yield made


@pytest.mark.parametrize(
    ("status", "final"),
    [(503, False), (429, False), (400, True), (302, True)],
)
async def test_status_of_a_webhook_decides(hook: Hook, status: int, final: bool) -> None:
    hook.status, hook.location = status, "http://127.0.0.1:1/elsewhere" if status == 302 else ""
    with pytest.raises(Trouble) as trouble:
        await post(hook.url, alert())
    assert trouble.value.words == f"the webhook returned {status}"
    assert trouble.value.final is final
    assert len(hook.bodies) == 1


async def test_errors_of_an_unresponsive_webhook_contain_no_secrets(hook: Hook) -> None:
    with pytest.raises(
        Trouble, match=r"connection to 127[.]0[.]0[.]1:1 refused; check that it is running"
    ) as trouble:
        await post("http://127.0.0.1:1/alert?key=secret", alert())
    assert "secret" not in trouble.value.words
    assert not trouble.value.final
    hook.silent = True
    with pytest.raises(Trouble, match="in time"):
        await post(hook.url, alert(), seconds=0.2)


# -- mail


def test_each_try_of_a_mail_is_the_same_mail() -> None:
    one, other = (email.message_from_bytes(mail.message("root", alert(made=1_700_000_000.0))) for _ in range(2))
    assert one["Message-ID"] == other["Message-ID"]
    assert one["Message-ID"] != email.message_from_bytes(mail.message("root", alert(2)))["Message-ID"]


@pytest.mark.parametrize(("code", "final"), [(75, False), (67, True), (1, True)])
async def test_exit_status_of_sendmail_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, final: bool
) -> None:
    monkeypatch.setattr(mail, "SENDMAIL", program(tmp_path / "sendmail", f"cat >/dev/null; exit {code}"))
    with pytest.raises(Trouble, match=f"ended with {code}") as trouble:
        await mail.send("root", alert())
    assert trouble.value.final is final


# -- command


async def test_command_gets_all_fields_of_the_alert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x")
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    script = f'cd {tmp_path}; cat >input; env >env; echo "$@" >args; cp "$WXALERT_QRCODE" code'
    await command.tell([program(tmp_path / "tell", script), "--loud", "a b"], alert())
    assert (tmp_path / "args").read_text() == "--loud a b\n"
    assert (tmp_path / "code").read_bytes() == PNG
    given = obj(json.loads((tmp_path / "input").read_text()))
    [item] = items(given["items"])
    environment = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines() if "=" in line)
    assert environment["WXALERT_EVENT"] == "problem"
    assert (environment["WXALERT_KIND"], environment["WXALERT_ACCOUNT"]) == ("scan", "小店")
    assert environment["WXALERT_SUBJECT"] == given["subject"]
    assert environment["WXALERT_QRCODE"].startswith(f"{tmp_path}/alert.")
    assert obj(obj(item)["qrcode"])["path"] == environment["WXALERT_QRCODE"]
    assert "base64" not in obj(obj(item)["qrcode"])
    assert "CREDENTIALS_DIRECTORY" not in environment
    assert not (await asyncio.to_thread(Path(environment["WXALERT_QRCODE"]).exists))  # gone with the command


async def test_a_command_that_fails_or_hangs_is_final(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="ended with 3") as trouble:
        await command.tell([program(tmp_path / "tell", "exit 3")], alert())
    assert trouble.value.final
    # What it has started ends with it.
    hanging = program(tmp_path / "hang", f"sleep 60 & echo $! >{tmp_path}/child; wait")
    with pytest.raises(Trouble, match="did not end") as trouble:
        await command.tell([hanging], alert(), seconds=2)
    assert trouble.value.final
    child = int((tmp_path / "child").read_text())
    await until(lambda: not _alive(child))


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
