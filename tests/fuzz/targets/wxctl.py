"""What wxctl shows of a controller's answers: on a terminal, which obeys what it is sent."""

import contextlib
import io
import json
from collections.abc import Iterator
from typing import NoReturn
from unittest import mock

from click.testing import CliRunner

from tests.fuzz.target import Target, joined, parts
from wxcontroller.cli import show
from wxcontroller.cli.__main__ import cli
from wxcontroller.cli.connection import Connection
from wxcontroller.cli.context import WxctlRun
from wxcontroller.cli.remotelogs import put
from wxcontroller.cli.serversent import server_sent
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import obj, read_json


@contextlib.contextmanager
def _answering(status: int, content: bytes) -> Iterator[None]:
    def nobody(*_: object) -> NoReturn:
        raise WxError("systemctl can't be asked", "x")

    with (
        mock.patch.object(Connection, "_exchange", lambda *_: (status, content)),
        mock.patch.object(show, "known_units", nobody),
        mock.patch.object(show, "controllers_ports", nobody),
        mock.patch.object(show, "known_unit", nobody),
    ):
        yield


def _shown(data: bytes) -> None:
    verb, content = parts(data, 2)
    arguments = {b"l": ["list"], b"s": ["status", "alice"], b"o": ["status"]}.get(verb[:1], ["list"])
    try:
        with _answering(500 if verb[1:2] == b"5" else 200, content):
            done = CliRunner().invoke(cli, arguments, obj=WxctlRun(), catch_exceptions=False)
    except WxError as problem:  # what main() prints
        _harmless(f"{problem.message}\n{problem.remedy}")
        raise
    assert done.exit_code in range(8), done.exit_code
    _harmless(done.output)


def _stream(data: bytes) -> None:
    runner = CliRunner()
    for as_json in (False, True):
        with runner.isolation() as (shown, *_):
            for _, _, sent in server_sent(io.BytesIO(data)):
                with contextlib.suppress(ValueError):
                    put(WxctlRun(json=as_json), obj(read_json(sent)))
            _harmless(shown.getvalue().decode())


def _harmless(shown: str) -> None:
    strange = {c for c in shown if (ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0}
    assert not strange, f"a terminal would obey {strange}"


_ACCOUNT = {
    **{"name": "alice", "instance": "alice", "unit": "wxclient@alice.service", "driver": "web", "desired": "started"},
    **{"unit_state": "active", "unit_sub": "running", "login_state": "running", "state": "running", "reason": ""},
    **{"status": "is running", "since": 1700000000, "pid": 7, "port": 3000, "post_api": "http://h/", "proxy": ""},
    **{"qrcode": False, "qrcode_number": None, "user": {"id": "@a", "name": "小明"}, "start_time": 1600000000},
    **{"client": {"version": "2", "pid": 7}, "client_reason": "", "media": {"files": 3, "bytes": 12345}},
    "queue": {"waiting": 3, "in_flight": 1, "oldest_since": 1700000000, "next_send_at": 1700000000.5, "interval": 3},
    "reports": {
        "to": "http://h/",
        "waiting": 2,
        "last_error": "the webhook returned 500",
        "refused": 1,
        "dropped": 0,
    },
    **{"roster": {"contacts": 3, "groups": 4, "members": 5}, "last_sync_time": 1700000000},
    "last_message_time": {"received": 1700000000, "sent": None},
}
_SETTINGS = {"read_at": 1, "error": "bad"}
_HEALTH = {"status": "ok", "version": "2", "notices": ["x"], "settings": _SETTINGS, "accounts": [_ACCOUNT]}
_ERROR = {"error": {"code": "unit-failed", "message": "m", "remedy": "r"}}
_ANSWERS = ((b"l", {"accounts": [_ACCOUNT]}), (b"s", _ACCOUNT), (b"o", _HEALTH), (b"s5", _ERROR))
_LINE = {"cursor": "s=1", "time": 1700000000.5, "priority": 3, "message": "a\x1b[2J\nb", "event": "login"}
_LINES = f"retry: 1\n\nid: s=1\nevent: line\ndata: {json.dumps(_LINE)}\n\nevent: heartbeat\ndata: {{}}\n\n"
TARGETS = (
    Target("answers to wxctl", _shown, tuple(joined(verb, json.dumps(answer)) for verb, answer in _ANSWERS)),
    Target("lines of a journal to wxctl", _stream, (_LINES.encode(),)),
)
