"""Credentials that systemd passes to a service."""

import re
from pathlib import Path

import pytest

from wxcontroller.core.access.systemdcredentials import read_credential, require_copies
from wxcontroller.core.errors import BadSettings, FileFailed

NAME = "webhook-secret"
UNIT = Path(__file__).parents[3] / "systemd/wxclient@.service"


def environment(directory: Path, **files: bytes) -> dict[str, str]:
    for name, content in files.items():
        (directory / name.replace("_", "-").replace("common-", "common.")).write_bytes(content)
    return {"CREDENTIALS_DIRECTORY": str(directory)}


@pytest.mark.parametrize(
    ("own", "common", "expected"),
    [
        (b"s3cret", b"other", "s3cret"),
        (b"\n", b"  other\n", "other"),
        (b"", b"\n", None),
        # Two secrets, while one replaces the other.
        ("neu\nä\n".encode(), b"", "neu\nä"),
    ],
)
def test_own_credential_takes_precedence_over_the_common_one(
    tmp_path: Path, own: bytes, common: bytes, expected: str | None
) -> None:
    assert read_credential(NAME, environment(tmp_path, webhook_secret=own, common_webhook_secret=common)) == expected


def test_credentials_of_the_unit_take_precedence_over_copies(tmp_path: Path) -> None:
    unit, copies = tmp_path / "unit", tmp_path / "copies"
    for directory in (unit, copies):
        directory.mkdir()
    environ = environment(unit, common_webhook_secret=b"common of the unit")
    assert read_credential(NAME, environ, copies) == "common of the unit"
    (copies / NAME).write_bytes(b"own copy\n")
    assert read_credential(NAME, environ, copies) == "own copy"
    assert read_credential(NAME, {}, copies) == "own copy"
    (unit / NAME).write_bytes(b"own of the unit\n")
    assert read_credential(NAME, environ, copies) == "own of the unit"


def test_account_with_a_secret_that_cannot_be_read_is_refused_until_it_can_be(tmp_path: Path) -> None:
    require_copies("alice", "alice", tmp_path)
    (tmp_path / "failed").write_text("alice.proxy\nwebhook-secret\n")
    with pytest.raises(FileFailed, match=r"account alice: cannot read alice\.proxy, webhook-secret") as caught:
        require_copies("alice", "alice", tmp_path)
    assert "journalctl -u wxclient-credentials@alice" in caught.value.remedy
    prevent = re.search("^RestartPreventExitStatus=(.*)$", UNIT.read_text(), re.MULTILINE)
    assert prevent and str(caught.value.exit_code) not in prevent[1].split()


def test_credential_of_more_than_a_mebibyte_is_refused(tmp_path: Path) -> None:
    environ = environment(tmp_path, webhook_secret=b"s" * (1 << 20))
    assert read_credential(NAME, environ) == "s" * (1 << 20)
    environment(tmp_path, webhook_secret=b"s" * ((1 << 20) + 1))
    with pytest.raises(BadSettings, match="is larger than 1048576 bytes"):
        read_credential(NAME, environ)


def test_missing_credential_is_none(tmp_path: Path) -> None:
    assert read_credential(NAME, {}) is None
    assert read_credential(NAME, environment(tmp_path)) is None
    assert read_credential(NAME, {"CREDENTIALS_DIRECTORY": str(tmp_path / "nowhere")}) is None


@pytest.mark.parametrize(
    ("content", "words"), [(b"hidden\xff", "not UTF-8"), pytest.param(b"hidden" * 200_000, "larger than", id="large")]
)
def test_an_invalid_credential_is_reported_without_its_content(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(BadSettings, match=f"credential {NAME} is {words}") as caught:
        read_credential(NAME, environment(tmp_path, webhook_secret=content))
    assert "hidden" not in str(caught.value)
    assert "/etc/wxcontroller/credentials" in caught.value.remedy
