"""wxctl config check reports each fault with its file, line and key."""

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import ROOT, Wxctl
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.access.tokenfile import TokenFile, minted
from wxcontroller.core.config.settings import Settings
from wxcontroller.core.names import parse_name
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.materialise import Materialiser


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A system with two accounts and valid settings."""
    found = Paths(tmp_path / "root")
    for directory in (found.settings_dropins, found.overrides, found.accounts):
        directory.mkdir(parents=True)
    found.settings_file.write_text((ROOT / "etc/wxcontroller.toml").read_text())
    template = ROOT / "etc/client.env.j2"
    found.settings_dropins.joinpath("here.toml").write_text(f'template_path = "{template}"\n')
    materialiser = Materialiser(found, Settings(template_path=template))
    for name in ("alice", "小店"):
        materialiser.start(parse_name(name), {"lang": "en_US"}, {"lang": "en_US"})
    return found


def check(wxctl: Wxctl, paths: Paths, code: int, *more: str) -> list[str]:
    done = wxctl("config", "check", "--root", str(paths.root), *more)
    assert done.returncode == code, done
    return [line for line in done.stdout.splitlines() if not line.startswith("    ")]


@pytest.mark.parametrize(
    ("file", "content", "line", "key", "words", "level"),
    [
        ("wxcontroller.toml.d/a.toml", "x = \n", 1, None, "not TOML", "fail"),
        (
            *("wxcontroller.toml.d/a.toml", "[limits]\nsend_tries = 3\n\n[client]\nlang = 'en_US'\nproxy = 'x'\n"),
            *(6, "client.proxy", "option proxy", "fail"),
        ),
        ("wxcontroller.toml.d/a.toml", "\nallow_hosts = [\n  'a',\n  'b c',\n]\n", 2, "allow_hosts", "b c", "fail"),
        (
            "wxcontroller.toml.d/a.toml",
            "\n[limits]\njson_depth = 3\n",
            3,
            "limits.json_depth",
            "is not a known key",
            "fail",
        ),
        ("wxcontroller.toml.d/a.toml", '\n\ntls_key = "/k"\n', 3, "tls_key", "needs both", "fail"),
        (
            *("wxcontroller.toml.d/a.toml", '[fleet]\nname = "a"\n[fleet.hosts.c]\n[fleet.hosts.b]\n\nurl = "b"\n'),
            *(6, "fleet.hosts.b.url", "must be like", "fail"),
        ),
        (
            "wxcontroller.toml.d/a.toml",
            '[fleet]\nname = "a"\n[fleet.hosts.b]\nurl = "https://b"\ntoken = "t"\nkey = "k"\n',
            *(6, "fleet.hosts.b.key", "needs both certificate and key", "fail"),
        ),
        (
            *("wxcontroller.toml.d/a.toml", '[fleet]\nname = "a"\n[fleet.hosts."b.c"]\n'),
            *(3, "fleet.hosts.b.c", "must consist of", "fail"),
        ),
        ("clients/alice.env", "\nMOJO_WEIXIN_LANG=xx\n", 2, "MOJO_WEIXIN_LANG", "must be one of", "fail"),
        ("clients/alice.env", '#\nMOJO_WEIXIN_LANG="x\n', 2, "MOJO_WEIXIN_LANG", "unclosed quote", "fail"),
        ("clients/alice.env", "WXCLIENT_PROXI=http://x:1\n", 1, "WXCLIENT_PROXI", "unknown variable", "warn"),
        ("clients/bob.env", "MOJO_WEIXIN_LANG=en_US\n", None, None, "no account has this id", "warn"),
        ("tokens", "\n{", 2, None, "Expecting property name", "fail"),
        ("credentials/alice.proxy", "nonsense\n", None, None, "must be http://", "fail"),
        ("clients/alice.env", None, None, None, "cannot be read: Is a directory", "fail"),
    ],
)
def test_each_error_is_reported_with_its_position(
    wxctl: Wxctl,
    paths: Paths,
    file: str,
    content: str | None,
    line: int | None,
    key: str | None,
    words: str,
    level: str,
) -> None:
    target = paths.root / "etc/wxcontroller" / file
    target.parent.mkdir(exist_ok=True)
    if content is None:
        target.mkdir()
    else:
        target.write_text(content)
        target.chmod(0o600 if "credentials" in file else 0o640)
    code = 78 if level == "fail" else 0
    [row] = json.loads("\n".join(wxctl("config", "check", "--root", str(paths.root), "--json").stdout.splitlines()))
    assert (row["level"], row["file"], row["line"], row["key"]) == (level, str(target), line, key), row
    assert words in row["message"]
    assert row["remedy"]
    assert len(check(wxctl, paths, code)) == 1
    check(wxctl, paths, 78, "--strict")


def test_duplicate_ports_are_reported(wxctl: Wxctl, paths: Paths) -> None:
    other = paths.account_file(parse_name("小店").instance)
    other.write_text(other.read_text().replace('"3001"', '"3000"'))
    [line] = check(wxctl, paths, 78)
    assert line.endswith("MOJO_WEIXIN_PLUGIN_OPENWX_PORT: the port 3000 is also that of alice")


def test_credentials_that_other_units_use_are_not_reported(wxctl: Wxctl, paths: Paths) -> None:
    place = paths.root / "etc/wxcontroller/credentials"
    place.mkdir()
    for name in ("fleet", "fleet-b", "etcd.pem", "etcd.key", "etcd-password", "tls.crt", "tls.key", "proxi"):
        (place / name).touch()
    (paths.settings_dropins / "fleet.toml").write_text(
        'tls_certificate = "tls.crt"\ntls_key = "tls.key"\nfleet.name = "host-a"\n'
        '[fleet.hosts.host-b]\nurl = "https://host-b.example:2443"\ntoken = "fleet-b"\n'
        '[fleet.etcd]\nendpoints = ["https://etcd.example:2379"]\ncertificate = "etcd.pem"\nkey = "etcd.key"\n'
        'user = "host-a"\npassword = "etcd-password"\n'
    )
    [line] = check(wxctl, paths, 0)
    assert "proxi: is not a credential of accounts" in line


def test_unsafe_modes_of_the_tokens_file_are_reported(wxctl: Wxctl, paths: Paths) -> None:
    file = paths.tokens_file
    TokenFile(file).add(minted("bot", Scope.READ, ("alice",), None)[1])
    assert check(wxctl, paths, 0) == ["the configuration is valid"]
    for mode, words in (
        (0o660, "others can write to it (mode 0660) and grant anyone access"),
        (0o644, "everyone can read it (mode 0644)"),
        (0o600, "the controller cannot read it (mode 0600): all requests are refused"),
    ):
        file.chmod(mode)
        assert check(wxctl, paths, 78) == [f"fail: {file}: {words}"]
    file.chmod(0o640)
    file.parent.chmod(0o777)
    [line] = check(wxctl, paths, 78)
    assert "others can write to it (mode 0777)" in line
