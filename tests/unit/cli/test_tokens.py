"""wxctl token and target, and where wxctl finds its own token."""

import errno
import json
import stat
import time
from pathlib import Path
from typing import NoReturn

import pytest

from tests.unit.cli.conftest import Wxctl
from tests.unit.cli.host import RUNNING, Host
from tests.unit.controller.machine import ROOT_TOKEN
from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.connection.credential import Finder
from wxcontroller.cli.connection.requests import Connection
from wxcontroller.cli.verbs.host import tokens
from wxcontroller.cli.verbs.host.tokens import expiry
from wxcontroller.core.access.porttokens import port_book
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.access.tokenfile import TokenFile, minted
from wxcontroller.core.errors import NotAllowed, WxError
from wxcontroller.core.paths import Paths


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A system where wxcontroller is installed."""
    paths = Paths(tmp_path / "root")
    paths.tokens_file.parent.mkdir(parents=True)
    paths.port_tokens.parent.mkdir(parents=True)
    return paths.root


def kept(root: Path) -> TokenFile:
    return TokenFile(Paths(root).tokens_file)


def test_token_is_created_listed_and_revoked_without_a_controller(wxctl: Wxctl, root: Path, unused_url: str) -> None:
    wxctl.url = unused_url
    options = ("--scope", "send", "--account", "小店", "--expires", "2w", "--root", str(root))
    made = wxctl("token", "create", "bot", *options)
    assert made.returncode == 0
    shown = made.stdout.strip()
    token = kept(root).read().find(shown)
    assert token is not None
    assert (token.name, token.scope, token.accounts) == ("bot", Scope.SEND, ("小店",))
    assert token.expires is not None
    assert abs(token.expires - time.time() - 14 * 86400) < 60
    assert shown not in made.stderr
    assert stat.S_IMODE(kept(root).path.stat().st_mode) == 0o640
    assert port_book(Paths(root)).current().closed  # the accounts' ports know at once
    listed = wxctl("token", "list", "--root", str(root))
    assert [token.id, "bot", "send", "小店"] == listed.stdout.splitlines()[1].split()[:4]
    assert shown.rpartition("_")[2] not in listed.stdout
    revoked = wxctl("token", "revoke", "bot", "--root", str(root))
    assert (revoked.returncode, revoked.stdout) == (0, f"token bot ({token.id}) is revoked\n")
    assert "this was the last token" in revoked.stderr
    assert not kept(root).read().required
    assert not port_book(Paths(root)).current().closed


@pytest.mark.parametrize(("when", "hours"), [("12h", 12), ("30d", 720), ("8w", 1344), ("1y", 8760)])
def test_expiry_after_a_time(when: str, hours: int) -> None:
    assert abs((expiry(when) or 0) - time.time() - hours * 3600) < 60


def test_tokens_of_agents_are_listed_and_revoked_as_others_are(wxctl: Wxctl, root: Path, unused_url: str) -> None:
    wxctl.url = unused_url
    agents = TokenFile(Paths(root).ilink_tokens)
    agents.path.parent.mkdir(parents=True)
    for account in ("alice", "bob"):
        for name in ("helper", f"only-{account}"):
            agents.put(minted(f"{account}.{name}", Scope.ILINK, (account,), None)[1])
    where = ("--root", str(root))
    assert wxctl("token", "create", "admin", "--scope", "admin", *where).returncode == 0
    listed = json.loads(wxctl("--json", "token", "list", *where).stdout)
    rows = {(token["name"], token["scope"], *token["accounts"]) for token in listed}
    assert rows == {
        ("admin", "admin"),
        *((name, "ilink", account) for account in ("alice", "bob") for name in ("helper", f"only-{account}")),
    }
    several = wxctl("token", "revoke", "helper", *where)
    assert (several.returncode, several.stdout) == (2, "")
    [helper] = [token["id"] for token in listed if token["name"] == "helper" and token["accounts"] == ["alice"]]
    assert helper in several.stderr
    for which in (helper, "only-bob"):
        assert wxctl("token", "revoke", which, *where).returncode == 0
    assert {token.name for token in agents.read().by_id.values()} == {"alice.only-alice", "bob.helper"}
    assert wxctl("token", "revoke", "only-bob", *where).returncode == 4
    # The last other token: agents' tokens do not close the API.
    assert "this was the last token" in wxctl("token", "revoke", "admin", *where).stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("create", "a", "--expires", "soon"), 2, "write it like"),
        (("create", "a", "--expires", "2001-01-01"), 2, "in the past"),
        (("create", "a", "--scope", "ilink"), 2, "--account"),
        (("create", "a/b"), 2, "token name"),
        (("create", "a", "--account", "../b"), 2, "account name"),
        (("create", "taken"), 2, "taken already"),
        (("revoke", "nobody"), 4, "no token nobody"),
    ],
)
def test_invalid_token_options_are_refused(
    wxctl: Wxctl, root: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    wxctl("token", "create", "taken", "--root", str(root))
    before = kept(root).path.read_bytes()
    refused = wxctl("token", *arguments, "--root", str(root))
    assert (refused.returncode, refused.stdout) == (code, "")
    assert words in refused.stderr
    assert kept(root).path.read_bytes() == before


def test_others_than_root_are_told_that_the_tokens_are_roots(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token, the first file that they cannot write is the one for the accounts' ports."""

    def denied(*_: object) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tokens, "publish", denied)
    with pytest.raises(WxError, match="/etc/wxcontroller/tokens belongs to root") as refused:
        tokens._publish(kept(root).read(), root)
    assert "run it as root" in refused.value.remedy


def test_token_comes_from_a_private_file_or_the_environment(wxctl: Wxctl, host: Host, tmp_path: Path) -> None:
    token = host.token()
    assert wxctl("list").returncode == 7
    file = tmp_path / "secret"
    file.write_text(f"{token}\n")
    file.chmod(0o600)
    assert wxctl("list", "--token-file", str(file)).returncode == 0
    assert wxctl("list", "--token-file", "-", stdin=f"{token}\n").returncode == 0
    assert wxctl("list", "--token-file", "-", stdin="wrong\n").returncode == 7
    file.chmod(0o640)
    refused = wxctl("list", "--token-file", str(file))
    assert (refused.returncode, f"chmod 600 {file}" in refused.stderr) == (2, True)
    wxctl.environment["WXCTL_TOKEN"] = "wrong"
    assert wxctl("list").returncode == 7
    wxctl.environment["WXCTL_TOKEN"] = host.token("bot", Scope.SEND)
    refused = wxctl("stop", "alice")
    assert (refused.returncode, "needs the scope control" in refused.stderr) == (7, True)


def test_the_token_and_a_reverse_proxys_password(wxctl: Wxctl, host: Host) -> None:
    token = host.token()
    wxctl.url = wxctl.url.replace("http://", "http://user:password@")
    assert wxctl("list", "--token-file", "-", stdin=token).returncode == 0
    headers = host.requests[-1].headers
    assert headers["Authorization"].startswith("Basic ")
    assert headers["X-Auth-Token"] == token


def test_token_is_never_shown(wxctl: Wxctl, host: Host, unused_url: str) -> None:
    host.token()
    for url in (host.url, unused_url):
        refused = wxctl("--url", url, "--token-file", "-", "list", stdin="wxc_12345678_" + "a" * 64)
        assert "a" * 64 not in refused.stdout + refused.stderr


def roots(tmp_path: Path, *addresses: tuple[str, int]) -> Finder:
    paths = Paths(tmp_path)
    paths.local_token.parent.mkdir(parents=True, exist_ok=True)
    paths.local_token.write_text(json.dumps({"token": "R", "addresses": [list(address) for address in addresses]}))
    return Finder(environment={}, paths=paths)


THIS_MACHINE = (
    *(("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "localhost"), ("::1", "localhost"), ("::1", "::1")),
    *(("0.0.0.0", "127.0.0.1"), ("192.0.2.10", "192.0.2.10")),
)
OTHERS = (
    *(("127.0.0.1", "127.0.0.2"), ("127.0.0.1", "wx.example"), ("0.0.0.0", "192.0.2.99")),
    ("192.0.2.10", "localhost"),
)


def test_roots_token_is_for_the_controller_of_this_machine_alone(tmp_path: Path) -> None:
    """Through a tunnel at another port may be another machine's controller: it must not get it."""
    for listening, host in THIS_MACHINE:
        finder = roots(tmp_path, (listening, 2000))
        assert (finder.token(host, 2000), finder.token(host, 8000)) == ("R", ""), (listening, host)
    for listening, host in OTHERS:
        assert roots(tmp_path, (listening, 2000)).token(host, 2000) == "", (listening, host)


def test_the_callers_token_precedes_roots_which_precedes_the_file(tmp_path: Path) -> None:
    finder = roots(tmp_path, ("127.0.0.1", 2000))
    home = tmp_path / "home/.config/wxctl"
    home.mkdir(parents=True)
    (home / "token").write_text("F")
    (home / "token").chmod(0o600)
    environment = {"HOME": str(tmp_path / "home")}
    assert Finder(None, environment, finder.paths).token("127.0.0.1", 2000) == "R"
    assert Finder(None, environment, finder.paths).token("wx.example", 2000) == "F"
    assert Finder(None, {**environment, "WXCTL_TOKEN": "E"}, finder.paths).token("127.0.0.1", 2000) == "E"
    file = home / "other"
    file.write_text("G")
    file.chmod(0o600)
    environment["WXCTL_TOKEN_FILE"] = str(file)
    assert Finder(None, environment, finder.paths).token("127.0.0.1", 2000) == "G"
    for content in ("", "{", "[]", '{"addresses": [["127.0.0.1", 2000]]}', '{"addresses": 5, "token": "R"}'):
        finder.paths.local_token.write_text(content)
        assert Finder(None, {}, finder.paths).token("127.0.0.1", 2000) == ""
    with pytest.raises(WxError):
        Finder("/nonexistent", {}).token("h", 1)


def test_home_that_cannot_be_looked_into_has_no_token(tmp_path: Path) -> None:
    """As after sudo -u, which keeps HOME=/root; root itself may look into any, but not at such a name."""
    finder = Finder(None, {"HOME": str(tmp_path / ("x" * 300))}, Paths(tmp_path))
    assert finder.token("127.0.0.1", 2000) == ""


def test_a_token_that_was_replaced_meanwhile_is_read_again_once(host: Host, tmp_path: Path) -> None:
    """A refused request had no effect: repeating it is no second start."""
    host.add("alice", RUNNING)
    host.token()
    finder = roots(tmp_path, ("127.0.0.1", host.port))
    api = Api(host.url, finder)

    def fresh(token: str) -> None:
        finder.paths.local_token.write_text(json.dumps({"token": token, "addresses": [["127.0.0.1", host.port]]}))

    fresh(ROOT_TOKEN)
    assert [account.name for account in api.accounts()] == ["alice"]
    fresh("another")
    api = Api(host.url, finder)
    fresh("and another")
    before = len(host.requests)
    with pytest.raises(NotAllowed):
        api.accounts()
    assert len(host.requests) - before == 2


def test_token_is_not_sent_unencrypted_over_the_network() -> None:
    finder = Finder(environment={"WXCTL_TOKEN": "T"})
    for url in ("http://wx.example:2000", "http://192.0.2.10:2000"):
        with pytest.raises(WxError, match="without encryption"):
            Connection(url, finder)
        with pytest.raises(WxError, match="without encryption"):
            Connection(url.replace("http://", "http://user:password@"), Finder(environment={}))
        Connection(url, finder, insecure=True)
        Connection(url, Finder(environment={}))
    for url in ("https://wx.example", "http://127.0.0.2:2000", "http://[::1]:2000", "http://localhost:2000"):
        Connection(url, finder)


def test_targets_are_added_shown_and_removed(wxctl: Wxctl, host: Host) -> None:
    wxctl.environment["WXCTL_TOKEN"] = ROOT_TOKEN
    host.add("alice", RUNNING)
    added = wxctl("target", "add", "ops", "alice", "家人", "--group")
    assert (added.returncode, added.stdout.startswith("wxc_")) == (0, True)
    assert f"{host.url}/notify/ops" in added.stderr
    shown = added.stdout.strip()
    assert host.machine.gate.notifier(shown) is not None
    listed = wxctl("target", "list")
    assert all(word in listed.stdout for word in ("ops", "alice", "家人"))
    assert shown.rpartition("_")[2] not in listed.stdout
    assert f"gotify: {host.url}/notify/ops/" in wxctl("target", "show", "ops").stdout
    wxctl.environment |= {"_WXCTL_COMPLETE": "bash_complete", "COMP_LINE": "wxctl target show o"}
    assert wxctl().stdout == "plain,ops\n"
    del wxctl.environment["_WXCTL_COMPLETE"]
    again = wxctl("target", "add", "ops", "alice", "filehelper")
    assert (again.returncode, again.stdout) == (8, "")
    assert wxctl("target", "add", "new", "nobody", "filehelper").returncode == 4
    for name in ("mcp", "message"):  # its path is taken
        assert "invalid target name" in wxctl("target", "add", name, "alice", "filehelper").stderr
    assert wxctl("target", "remove", "ops").returncode == 0
    assert host.machine.gate.notifier(shown) is None
    assert wxctl("target", "remove", "ops").returncode == 4
