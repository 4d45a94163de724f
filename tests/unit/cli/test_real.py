"""wxctl against a real controller with real accounts at the sandbox."""

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import segno

from tests.openapi.served import Served, served
from tests.unit.cli.conftest import Wxctl
from wxcontroller.cli.verbs.account.qr import image
from wxcontroller.cli.verbs.traffic import messages
from wxcontroller.core.jsontypes import JsonObject

Json = Any  # output of wxctl; the assertions are the check


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Accounts alice and 小店 are logged in, the account waiting shows a code."""
    with served(tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest.fixture
def wxctl(running: Served, tmp_path: Path) -> Wxctl:
    return Wxctl(tmp_path, running.url)


def output(wxctl: Wxctl, *arguments: str) -> Json:
    """Return what a verb that succeeds prints as JSON."""
    done = wxctl(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_account_is_added_changed_started_stopped_and_removed(wxctl: Wxctl) -> None:
    assert "is registered" in wxctl("add", "b 店", "-o", "lang=en_US", "--post-api", "http://127.0.0.1:9/in").stdout
    assert wxctl("add", "b 店").returncode == 8
    done = wxctl("set", "b 店", "send_interval=5", "proxy=@-", "--unset", "lang", stdin="http://u:p@127.0.0.1:9\n")
    assert (done.returncode, done.stdout) == (0, "b 店: lang, proxy, send_interval stored\n")
    options = output(wxctl, "show", "b 店")["options"]
    assert (options["send_interval"]["value"], options["lang"]["from"]) == ("5", "default")
    assert options["post_api"]["value"] == "http://127.0.0.1:9/in"
    assert options["proxy"]["value"] == "http://127.0.0.1:9"  # without user and password
    assert wxctl("set", "b 店", "proxy=").returncode == 0
    assert wxctl("start", "b 店", "--no-wait", "-o", "send_interval=7", "-o", "http_agent=a=b c").returncode == 0
    options = output(wxctl, "show", "b 店")["options"]
    assert (options["send_interval"]["value"], options["http_agent"]["value"]) == ("7", "a=b c")
    done = wxctl("status", "b 店", "--json")
    running = json.loads(done.stdout)
    assert done.returncode in (0, 6) and running["unit_state"] == "active"  # 6: it shows a code
    assert {account["name"] for account in output(wxctl, "list")} == {"alice", "小店", "waiting", "b 店"}
    assert wxctl("stop", running["instance"]).stdout == "b 店 is stopped\n"
    assert output(wxctl, "status", "b 店")["unit_state"] == "absent"
    assert wxctl("remove", "b 店").returncode == 2  # it asks, and there is no terminal
    assert (wxctl("remove", "b 店", "--yes").returncode, wxctl("status", "b 店").returncode) == (0, 4)


def test_the_code_that_is_shown_is_that_of_the_account(wxctl: Wxctl, tmp_path: Path) -> None:
    link = output(wxctl, "qr", "waiting")["link"]
    drawn: list[list[int]] = []
    for line in wxctl("qr", "waiting").stdout.splitlines():
        drawn.append([0 if c in "▀█" else 1 for c in line])
        drawn.append([0 if c in "▄█" else 1 for c in line])
    wanted = [list(row) for row in segno.make(link, error="l", micro=False).matrix_iter(border=2)]
    assert drawn[: len(wanted)] == wanted
    for form in ("svg", "png"):
        assert wxctl("qr", "waiting", "--output", f"code.{form}").returncode == 0
        assert (tmp_path / f"code.{form}").read_bytes() == image(link, form)
        assert (tmp_path / f"code.{form}").stat().st_mode & 0o777 == 0o600
    assert wxctl("qr", "waiting", "--output", "code.gif").returncode == 2


def test_texts_and_files_are_sent_and_are_in_the_history(wxctl: Wxctl, tmp_path: Path) -> None:
    done = wxctl("send", "alice", "filehelper", "-", stdin="一 & 二\n三")
    assert (done.returncode, done.stdout) == (0, "sent to friend 文件传输助手\n")
    (tmp_path / '图"片.bin').write_bytes(bytes(range(256)) * 3000)
    assert wxctl("send", "alice", "文件传输助手", "--file", '图"片.bin').returncode == 0
    *_, text, file = output(wxctl, "messages", "alice", "--chat", "filehelper")["messages"]
    assert (text["direction"], text["text"]) == ("out", "一 & 二\n三")
    assert (file["media"]["name"], file["media"]["size"]) == ('图"片.bin', 768_000)
    shown = wxctl("messages", "alice", "-n", "1").stdout
    assert re.fullmatch(r"\d\d-\d\d \S+ \S+-\d+ → 文件传输助手: \[file\] 图\"片.bin\n", shown)
    for identifier in (shown.split()[2], file["id"]):
        assert output(wxctl, "deliveries", "show", "alice", identifier)["id"] == file["delivery"]["id"]
    done = wxctl("send", "alice", "nobody of this name", "x")
    assert (done.returncode, "no friend or group" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("delivery", "words"),
    [
        ({"state": "delivered", "settled_at": 1_790_000_000}, r" \(webhook: delivered, 09-2\d \d\d:\d\d:\d\d\)"),
        ({"state": "dead", "settled_at": 1_790_000_000, "last_error": "refused"}, r" \(webhook: dead, refused\)"),
        ({"state": "pending", "settled_at": None, "last_error": ""}, r" \(webhook: pending\)"),
        ({"state": "kept", "settled_at": None}, ""),
    ],
)
def test_line_of_a_message_has_its_id_and_its_delivery(delivery: Json, words: str) -> None:
    message: JsonObject = {
        "id": "77",
        "time": 1_790_000_000,
        "direction": "in",
        "chat_name": "Ann",
        "text": "hi",
        "delivery": {"id": "a-1", **delivery},
    }
    assert re.fullmatch(rf"\S+ \S+ a-1 Ann: hi{words}", messages.line(message))


def test_a_person_gets_a_name(wxctl: Wxctl) -> None:
    person = output(wxctl, "messages", "alice")["messages"][-1]["chat"]
    friend = next(one for one in people(wxctl) if one["id"] != person and one["kind"] == "friend")
    done = wxctl("remark", "alice", friend["name"], "老王")
    assert (done.returncode, done.stdout) == (0, f"{friend['id']} is shown as 老王\n")
    assert next(one for one in people(wxctl) if one["id"] == friend["id"])["name"] == "老王"
    assert wxctl("remark", "alice", "老王", "").returncode == 0
    assert wxctl("remark", "alice", "nobody of this name", "x").returncode == 1


def people(wxctl: Wxctl) -> Json:
    with urllib.request.urlopen(f"{wxctl.url}/v1/accounts/alice/contacts") as answer:
        return json.load(answer)["contacts"]


def test_sends_that_wait_are_listed_and_cancelled(wxctl: Wxctl, running: Served) -> None:
    assert wxctl("set", "alice", "send_interval=60").returncode == 0
    assert wxctl("restart", "alice").returncode == 0
    for content in "abcd":
        call = f"send_friend_message?client=alice&id=filehelper&content={content}&async=1"
        with urllib.request.urlopen(f"{running.url}/openwx/{call}") as answer:
            assert json.load(answer)["code"] == 0
    waiting = [send["id"] for send in output(wxctl, "sends", "list", "alice")]
    assert len(waiting) >= 3
    assert all(send in wxctl("sends", "list", "alice").stdout for send in waiting)
    assert wxctl("sends", "cancel", "alice", waiting[-1]).stdout == "1 message of alice cancelled\n"
    assert [send["id"] for send in output(wxctl, "sends", "list", "alice")] == waiting[:-1]
    again = wxctl("sends", "cancel", "alice", waiting[-1], "unknown", waiting[-2])
    assert (again.returncode, again.stdout) == (1, "1 message of alice cancelled\n")
    assert [problem in again.stderr for problem in (f"{waiting[-1]}: ", "unknown: ", waiting[-2])] == [
        True,
        True,
        False,
    ]
    nobody = wxctl("sends", "cancel", "nobody", waiting[0])
    assert (nobody.returncode == 0, nobody.stdout) == (False, "")
    assert wxctl("sends", "cancel", "alice").returncode == 2
    assert wxctl("sends", "cancel", "alice", "--all").returncode == 0
    none = wxctl("sends", "list", "alice")
    assert (none.returncode, none.stdout) == (0, "")
    assert wxctl("set", "alice", "--unset", "send_interval").returncode == 0
    assert wxctl("restart", "alice").returncode == 0


def test_a_restart_keeps_the_login_and_a_logout_needs_confirmation(wxctl: Wxctl) -> None:
    before = output(wxctl, "status", "小店")["start_time"]
    done = wxctl("restart", "小店")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "小店 is running as 小店")
    assert output(wxctl, "status", "小店")["start_time"] > before
    refused = wxctl("logout", "小店")
    assert (refused.returncode, "not logged out" in refused.stderr) == (2, True)
    assert "needs a scan" in wxctl("logout", "小店", "--yes").stdout
    done = wxctl("start", "小店", "another")  # a code is shown for a single account only
    assert (done.returncode, "wxctl qr 小店" in done.stderr) == (10, True)
    assert wxctl("logout", "nobody", "-y").returncode == 4
