"""The option proxy as an account's process gets it."""

import subprocess
import sys
from pathlib import Path

import pytest

from wxcontroller.client.config import read_config
from wxcontroller.core.account import PORT
from wxcontroller.core.errors import BadSettings
from wxcontroller.core.paths import Paths


def test_a_bad_one_is_told_by_its_variable_and_not_repeated(tmp_path: Path) -> None:
    given = {PORT: "3000", "WXCLIENT_PROXY": "http://somebody:hidden@h"}
    with pytest.raises(BadSettings, match="account alice: WXCLIENT_PROXY must be http://") as caught:
        read_config("alice", given, Paths(tmp_path))
    assert "hidden" not in str(caught.value)
    assert "/etc/wxcontroller/clients/alice.env" in caught.value.remedy


def test_an_empty_one_is_none(tmp_path: Path) -> None:
    assert read_config("alice", {PORT: "3000", "WXCLIENT_PROXY": ""}, Paths(tmp_path)).options["proxy"] == ""


def test_accounts_without_one_load_nothing_for_it() -> None:
    code = "import sys, wxcontroller.client.service; print([name for name in sys.modules if 'socks' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
