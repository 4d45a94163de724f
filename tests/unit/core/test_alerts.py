"""Alerts on disk, and their settings."""

import json
from pathlib import Path

import pytest

from tests.unit.core.test_settings import write
from wxcontroller.core.alerts import QRCODE_SECONDS, Alert, AlertEvent, Item, Kind, Picture, alert_from, plain
from wxcontroller.core.alertspool import ALERT_BYTES, AlertState, Spool
from wxcontroller.core.config.alertsettings import Channel
from wxcontroller.core.config.settings import load_settings
from wxcontroller.core.errors import BadSettings
from wxcontroller.core.jsontypes import JsonValue, items, obj
from wxcontroller.core.paths import Paths
from wxcontroller.core.text.templates import Text, verbatim

CODE = Picture("image/png", b"\x89PNG code", 1_700_000_000)
SCAN = Item(
    Kind.SCAN,
    "小店",
    "x-abcdefghijklmno",
    1_700_000_000,
    Text("{account} needs a scan.", account="小店"),
    Text("wxctl qr {account}", account="小店"),
    CODE,
    "needs-scan",
)
ALERT = Alert("0123abcd", AlertEvent.PROBLEM, 1_700_000_000, "vps1", (SCAN,))


def test_alert_round_trips_through_its_file() -> None:
    written: JsonValue = json.loads(json.dumps(ALERT.to_json()))
    assert alert_from(written) == ALERT


def test_an_alert_of_2_0_0_is_read() -> None:
    written = ALERT.to_json()
    del written["language"]
    for item in map(obj, items(written["items"])):
        for key in ("code", "values", "message_text", "remedy_text"):
            del item[key]
    alert = alert_from(written)
    assert alert.language == "en"
    [read] = alert.items
    assert (read.message, read.remedy) == (verbatim("小店 needs a scan."), verbatim("wxctl qr 小店"))


def test_an_expired_code_is_omitted_with_a_note() -> None:
    early = ALERT.without_old_codes(CODE.made + QRCODE_SECONDS - 1)
    assert early == ALERT
    for now in (CODE.made + QRCODE_SECONDS + 1, CODE.made - 5):  # late, or the clock was set back
        [item] = ALERT.without_old_codes(now).items
        assert item.qrcode is None
        assert "expired" in str(item.message)


def test_external_text_becomes_one_short_line() -> None:
    assert plain("a\nBcc: x@y\r\n\x1b[2J\ud800 b\u202e") == "a Bcc: x@y [2J b"
    assert len(plain("x" * 10_000)) == 500


# -- settings


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("hook = 1", "alerts.hook is not a known key"),
        ('webhook = "ftp://x/"', "alerts.webhook must be"),
        ('mail = "a b@c"', "alerts.mail names 'a b@c'"),
        ('mail = "-oQ/tmp"', "alerts.mail names"),
        ('mail = "a@b\\nBcc: c@d"', "alerts.mail names"),
        ('command = "tell"', "absolute path"),
        ('command = ["/bin/sh", 5]', "alerts.command must be a list"),
        ("after = 1", "alerts.after must be a number of seconds from 10"),
    ],
)
def test_invalid_value_is_refused_by_name(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(BadSettings, match=words) as refused:
        load_settings(write(tmp_path, "", wrong=f"[alerts]\n{line}\n"))
    assert "alerts" in refused.value.message
    assert "wrong.toml" in refused.value.message


# -- the spool


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    made = Spool(Paths(tmp_path), Channel.MAIL)
    for place in (made.paths.alerts_spool("mail"), made.paths.alerts_runtime("mail")):
        place.mkdir(parents=True)
    return made


def test_full_disk_does_not_block_alerts(spool: Spool) -> None:
    spool.paths.alerts_spool("mail").rmdir()
    spool.put(ALERT)
    [waiting] = spool.waiting()
    assert waiting.path.parent == spool.paths.alerts_runtime("mail")
    spool.paths.alerts_runtime("mail").rename(spool.paths.root / "away")
    with pytest.raises(OSError, match="No such file"):
        spool.put(ALERT)


def test_links_are_not_followed(spool: Spool) -> None:
    """Another user may write there, and must not make this process read files for it."""
    spool.put(ALERT)
    spool.note(AlertState({"a": 2}))
    [waiting] = spool.waiting()
    for path in (waiting.path, spool.paths.alerts_runtime("mail") / ".state"):
        elsewhere = spool.paths.root / path.name
        path.rename(elsewhere)
        path.symlink_to(elsewhere)
    with pytest.raises(OSError, match="symbolic links"):
        waiting.read()
    assert spool.state() == AlertState()


def test_files_beyond_their_limit_are_not_read(spool: Spool) -> None:
    spool.put(ALERT)
    spool.note(AlertState({"a": 2}))
    [waiting] = spool.waiting()
    notes = spool.paths.alerts_runtime("mail") / ".state"
    for path in (waiting.path, notes):
        path.write_bytes(path.read_bytes().ljust(ALERT_BYTES))
    assert (waiting.read(), spool.state()) == (ALERT, AlertState({"a": 2}))
    for path in (waiting.path, notes):
        path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(OSError, match="larger than"):
        waiting.read()
    assert spool.state() == AlertState()
