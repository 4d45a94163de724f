"""The option proxy of an account's process: its credential, and an invalid value."""

from pathlib import Path

import pytest

from wxcontroller.client.config import read_config
from wxcontroller.core.errors import BadSettings, FileFailed
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.account import PORT


def credentials(directory: Path, **files: str) -> dict[str, str]:
    for name, content in files.items():
        (directory / name.replace("_", ".")).write_text(content)
    return {PORT: "3000", "CREDENTIALS_DIRECTORY": str(directory)}


def test_credential_overrides_the_option(tmp_path: Path) -> None:
    environ = credentials(tmp_path, proxy="socks5://u:p@own:1080\n", common_proxy="http://all:3128")
    for option in ("http://asked:1", ""):
        config = read_config("alice", {**environ, "WXCLIENT_PROXY": option}, Paths(tmp_path))
        assert config.options["proxy"] == "socks5://u:p@own:1080"
    (tmp_path / "proxy").write_text("\n")
    assert read_config("alice", environ, Paths(tmp_path)).options["proxy"] == "http://all:3128"
    copies = Paths(tmp_path).credentials
    copies.mkdir(parents=True)
    (copies / "failed").write_text("alice.proxy\n")  # the account must not start without its proxy
    with pytest.raises(FileFailed, match=r"alice\.proxy"):
        read_config("alice", environ, Paths(tmp_path))


def test_invalid_proxy_is_reported_without_its_password(tmp_path: Path) -> None:
    bad = "http://somebody:hidden@h"
    credential = "account alice: the credential proxy must be http://", "credentials/alice.proxy"
    option = "account alice: WXCLIENT_PROXY must be http://", "clients/alice.env"
    by_option = {PORT: "3000", "WXCLIENT_PROXY": bad}
    for environ, (words, file) in ((by_option, option), (credentials(tmp_path, proxy=bad), credential)):
        with pytest.raises(BadSettings, match=words) as caught:
            read_config("alice", environ, Paths(tmp_path))
        assert "hidden" not in str(caught.value)
        assert f"/etc/wxcontroller/{file}" in caught.value.remedy
