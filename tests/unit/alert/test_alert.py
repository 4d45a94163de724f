"""Delivery of alerts: in order, again after failures, dropped in the end; by webhook, mail and command."""

import asyncio
import email
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from tests.patience import until
from tests.programs import run
from tests.serving import answering, serving
from wxcontroller.alert import command, mail
from wxcontroller.alert.__main__ import AGAIN
from wxcontroller.alert.deliver import ALERT_KEEP_SECONDS, ALERT_REFUSALS, NotDelivered, deliver_all
from wxcontroller.alert.webhook import post
from wxcontroller.core.alerts import Alert, AlertEvent, Item, Kind, Picture
from wxcontroller.core.alertspool import Spool
from wxcontroller.core.config.alertsettings import Channel
from wxcontroller.core.jsontypes import items, obj
from wxcontroller.core.paths import Paths
from wxcontroller.core.text.templates import Text

PNG = b"\x89PNG a code"


def alert(number: int = 1, made: float = 0.0) -> Alert:
    code = Picture("image/png", PNG, made or int(time.time()))
    texts = Text("小店 needs scan {number}.", number=number), Text("wxctl qr 小店")
    item = Item(Kind.SCAN, "小店", "x-abcdefghijklmno", 1_700_000_000, *texts, code)
    return Alert(f"alert{number}", AlertEvent.PROBLEM, 1_700_000_000, "vps1", (item,))


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    made = Spool(Paths(tmp_path), Channel.COMMAND)
    for channel in Channel:
        for place in (made.paths.alerts_spool(channel), made.paths.alerts_runtime(channel)):
            place.mkdir(parents=True)
    return made


class Receiver:
    """Accepts alerts, after it has raised ``failures`` in turn."""

    def __init__(self, *failures: NotDelivered) -> None:
        self.failures = list(failures)
        self.tried: list[str] = []
        self.accepted: list[str] = []

    async def __call__(self, each: Alert) -> None:
        self.tried.append(each.id)
        if self.failures:
            raise self.failures.pop(0)
        self.accepted.append(each.id)


def put(spool: Spool, *numbers: int) -> None:
    for number in numbers:
        spool.put(alert(number))
        path = spool.paths.alerts_spool(spool.channel) / f"alert{number}.json"
        os.utime(path, (number, time.time() - 1000 + number))


async def test_refused_alert_is_dropped_without_delaying_others(spool: Spool) -> None:
    refusal = NotDelivered("the webhook returned 400", final=True)
    receiver = Receiver(refusal)
    put(spool, 1, 2)
    assert not await deliver_all(spool, receiver)
    assert receiver.accepted == ["alert2"]
    for attempt in range(2, ALERT_REFUSALS + 1):
        receiver.failures = [refusal]
        assert await deliver_all(spool, receiver) == (attempt == ALERT_REFUSALS)
    assert receiver.tried.count("alert1") == ALERT_REFUSALS
    assert spool.waiting() == []
    last = spool.state().last
    assert last is not None
    assert (last.id, last.error) == ("alert1", "the webhook returned 400")


async def test_alert_older_than_a_day_is_tried_once(spool: Spool) -> None:
    put(spool, 1)
    os.utime(spool.waiting()[0].path, (0, time.time() - ALERT_KEEP_SECONDS - 5))
    receiver = Receiver(NotDelivered("it can't be reached"))
    await deliver_all(spool, receiver)
    assert receiver.tried == ["alert1"]
    assert spool.waiting() == []


async def test_unreadable_files_in_the_spool_are_removed(spool: Spool) -> None:
    for place in spool._places:
        (place / "note.txt").touch()
        (place / "bad.json").write_text("{")
        (place / "directory.json").mkdir()
        (place / "directory.json" / "full").touch()
        os.mkfifo(place / "pipe.json")
        (place / "link.json").symlink_to("/etc/passwd")
    receiver = Receiver()
    put(spool, 1)
    assert await deliver_all(spool, receiver)
    assert receiver.accepted == ["alert1"]
    for place in spool._places:
        assert not list(place.glob("[!.]*.json"))


async def test_undeletable_alert_is_delivered_once(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    put(spool, 1)

    def read_only(self: Path, missing_ok: bool = False) -> None:
        raise OSError(30, "Read-only file system")

    receiver = Receiver()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", read_only)
        for _ in range(3):
            assert not await deliver_all(spool, receiver)
    assert await deliver_all(spool, receiver)
    assert (receiver.accepted, spool.waiting()) == (["alert1"], [])


async def test_alert_that_cannot_be_rendered_does_not_delay_others(spool: Spool) -> None:
    for number, host in ((1, "vps1\nBcc: evil@example.org"), (2, "vps1")):
        spool.put(replace(alert(number), host=host))
    mails: list[bytes] = []

    async def deliver(each: Alert) -> None:
        mails.append(mail.message("ops@example.org", each))

    for _ in range(ALERT_REFUSALS):
        await deliver_all(spool, deliver)
    [sent] = mails
    assert b"Bcc" not in sent
    assert spool.waiting() == []
    last = spool.state().last
    assert last is not None and (last.id, "ValueError" in last.error) == ("alert1", True)


def test_exit_status_requests_a_restart(tmp_path: Path, spool: Spool) -> None:
    program = (sys.executable, "-m", "wxcontroller.alert", "--root", str(tmp_path), "command")
    settings = Paths(tmp_path).settings_file
    settings.parent.mkdir(parents=True)
    settings.write_text('[alerts]\ncommand = "/nowhere/tell"\n')
    put(spool, 1)
    done = run(*program)
    assert done.returncode == AGAIN
    assert "/nowhere/tell cannot be run" in done.stderr
    settings.write_text("[alerts]\ncommand = 5\n")
    assert run(*program).returncode == 78
    assert len(spool.waiting()) == 1


# -- webhook


@pytest.mark.parametrize(("status", "final"), [(503, False), (429, False), (400, True), (302, True)])
async def test_status_of_a_webhook_decides(status: int, final: bool) -> None:
    requests: list[str] = []

    async def refuse(request: web.Request) -> web.Response:
        requests.append(request.path)
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async with serving(refuse) as port:
        with pytest.raises(NotDelivered) as trouble:
            await post(f"http://127.0.0.1:{port}/alert", alert())
    assert (trouble.value.words, trouble.value.final) == (f"the webhook returned {status}", final)
    assert requests == ["/alert"]


async def test_errors_of_an_unresponsive_webhook_contain_no_secrets() -> None:
    with pytest.raises(NotDelivered, match=r"connection to 127[.]0[.]0[.]1:1 refused") as trouble:
        await post("http://127.0.0.1:1/alert?key=secret", alert())
    assert "secret" not in trouble.value.words
    assert not trouble.value.final
    async with answering(None) as port:
        with pytest.raises(NotDelivered, match="in time") as trouble:
            await post(f"http://127.0.0.1:{port}/alert?key=secret", alert(), seconds=0.2)
    assert "secret" not in trouble.value.words


# -- mail and command


def program(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_each_attempt_to_send_a_mail_has_the_same_id() -> None:
    one, again, other = (email.message_from_bytes(mail.message("root", alert(n, 1_700_000_000.0))) for n in (1, 1, 2))
    assert one["Message-ID"] == again["Message-ID"] != other["Message-ID"]


@pytest.mark.parametrize(("code", "final"), [(75, False), (1, True)])
async def test_exit_status_of_sendmail_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, final: bool
) -> None:
    monkeypatch.setattr(mail, "SENDMAIL", program(tmp_path / "sendmail", f"cat >/dev/null; exit {code}"))
    with pytest.raises(NotDelivered, match=f"ended with {code}") as trouble:
        await mail.send("root", alert())
    assert trouble.value.final is final


async def test_command_gets_all_fields_of_the_alert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x")
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    script = f'cd {tmp_path}; cat >input; env >env; echo "$@" >args; cp "$WXALERT_QRCODE" code'
    await command.tell([program(tmp_path / "tell", script), "--loud", "a b"], alert())
    assert (tmp_path / "args").read_text() == "--loud a b\n"
    assert (tmp_path / "code").read_bytes() == PNG
    fields = obj(json.loads((tmp_path / "input").read_text()))
    [item] = items(fields["items"])
    environment = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines() if "=" in line)
    assert environment["WXALERT_EVENT"] == "problem"
    assert (environment["WXALERT_KIND"], environment["WXALERT_ACCOUNT"]) == ("scan", "小店")
    assert environment["WXALERT_SUBJECT"] == fields["subject"]
    assert obj(obj(item)["qrcode"])["path"] == environment["WXALERT_QRCODE"]
    assert "CREDENTIALS_DIRECTORY" not in environment
    assert not (await asyncio.to_thread(Path(environment["WXALERT_QRCODE"]).exists))  # deleted after the command


async def test_command_that_fails_or_hangs_is_final(tmp_path: Path) -> None:
    with pytest.raises(NotDelivered, match="ended with 3") as trouble:
        await command.tell([program(tmp_path / "tell", "exit 3")], alert())
    assert trouble.value.final
    # Its child processes end with it; a lock that the child holds shows it.
    hanging = program(tmp_path / "hang", f"touch {tmp_path}/lock; flock {tmp_path}/lock sleep 60 & wait")
    with pytest.raises(NotDelivered, match="did not end") as trouble:
        await command.tell([hanging], alert(), seconds=2)
    assert trouble.value.final
    await until(lambda: run("flock", "-n", str(tmp_path / "lock"), "true").returncode == 0)
