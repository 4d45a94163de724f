"""wxctl on the installed system: exports, imports, tokens of removed accounts, and without the controller."""

import json
from collections.abc import Iterator

import pytest

from tests.system import actors
from tests.system.actors import Json, Phone, Webhook, log_in, until, use_sandbox
from tests.system.host import Host
from tests.system.units import show

pytestmark = pytest.mark.system
NAME = "mover"
UNIT = f"wxclient@{NAME}.service"
BUNDLE, KEY = "/root/mover.wxaccount", "/root/key"
WITH_KEY = ("--passphrase-file", KEY)
PLACES = ("/var/lib/private/wxclient", "/etc/wxcontroller/clients", "/etc/wxcontroller/credentials")


class World(actors.World):
    def wxctl(self, *arguments: str, code: int = 0) -> str:
        """Run it as root; return what it printed on both outputs."""
        done = self.host.run("wxctl", *arguments, check=False)
        printed = (done.stdout + done.stderr).decode()
        assert done.returncode == code, printed
        return printed

    def token(self, name: str, *options: str) -> str:
        return self.host.run("wxctl", "token", "create", name, *options).stdout.decode().strip()

    def pending(self) -> list[tuple[str, int]]:
        """Ids and numbers of the reports of messages that wait."""
        rows = json.loads(self.host.run("wxctl", "deliveries", "list", NAME, "--json").stdout)
        return [(row["delivery"], row["seq"]) for row in rows if row["type"] == "friend_message"]

    def got(self) -> list[Json]:
        return [report for report in self.hook.reports if report["post_type"] == "receive_message"]

    def leftovers(self) -> list[str]:
        found = self.host.text("find", *PLACES, "-mindepth", "1", "-maxdepth", "1").splitlines()
        return sorted(line for line in found if line)


@pytest.fixture(scope="module")
def world(host: Host) -> Iterator[World]:
    use_sandbox(host)
    host.write(KEY, b"correct horse battery\n", 0o600)
    host.write("/root/wrong", b"another passphrase\n", 0o600)
    with Webhook(host) as hook:
        made = World(host, hook, Phone(host).account("搬家"))
        pauses = {"webhook_retry_first": "1", "webhook_retry_longest": "1"}
        log_in(made.caller, made.phone, NAME, made.uin, post_api=hook.address, **pauses)
        yield made


def test_account_moves_with_its_login_and_pending_reports(world: World) -> None:
    """As to another machine: in between, only the archive is here."""
    host = world.host
    host.write(f"/etc/wxcontroller/clients/{NAME}.env", b'MOJO_WEIXIN_LANG="en_US"\n', 0o640)
    host.run("chgrp", "wxcontroller", f"/etc/wxcontroller/clients/{NAME}.env")
    host.write(f"/etc/wxcontroller/credentials/{NAME}.webhook-secret", b"s3cret-of-mover\n", 0o600)
    world.wxctl("restart", NAME)
    world.hook.answer = lambda report: 503 if report["post_type"] == "receive_message" else 200
    world.write("first secret text", "second", "third")
    before = until(lambda: world.pending() if len(world.pending()) == 3 else None, "three reports that wait")
    port = world.caller.account(NAME)["port"]

    refused = world.wxctl("export", NAME, BUNDLE, *WITH_KEY, code=1)
    assert "is active; a copy of a running account" in refused
    world.wxctl("export", NAME, BUNDLE, "--stop", *WITH_KEY)
    assert world.caller.account(NAME)["desired"] == "stopped"
    assert host.text("stat", "-c", "%a %U", BUNDLE).split() == ["600", "root"]
    content = host.read(BUNDLE)
    for secret in (b"first secret text", b"s3cret-of-mover", b"wxsid", b"SQLite", b"mover"):
        assert secret not in content
    assert "exists already" in world.wxctl("export", NAME, BUNDLE, *WITH_KEY, code=8)
    assert host.read(BUNDLE) == content

    world.wxctl("remove", NAME, "--yes")
    host.run("rm", f"/etc/wxcontroller/clients/{NAME}.env", f"/etc/wxcontroller/credentials/{NAME}.webhook-secret")
    assert world.leftovers() == []
    world.write("while it was nowhere")
    codes = len(world.phone.call("GET", "/logins"))

    assert "passphrase is wrong" in world.wxctl("import", BUNDLE, "--passphrase-file", "/root/wrong", code=9)
    assert world.leftovers() == []
    assert f"with port {port}; start it: wxctl start {NAME}" in world.wxctl("import", BUNDLE, *WITH_KEY)
    files = (f"{place}/{NAME}{suffix}" for place, suffix in zip(PLACES, ("", ".env", ".webhook-secret"), strict=True))
    modes = host.text("stat", "-c", "%a %U:%G", *files)
    assert modes.splitlines() == ["700 root:root", "640 root:wxcontroller", "600 root:root"]
    assert "already" in world.wxctl("import", BUNDLE, *WITH_KEY, code=8)

    world.hook.answer = lambda _: 200
    world.wxctl("start", NAME, "--timeout", "60")
    # No code was asked for, and nobody scanned.
    assert len(world.phone.call("GET", "/logins")) == codes
    assert world.hook.wait_for(lambda report: report.get("event") == "login" and report["params"] == [0])
    until(lambda: len(world.got()) == 4, "all reports")
    contents = ["first secret text", "second", "third", "while it was nowhere"]
    assert [one["content"] for one in world.got()] == contents
    assert [one["_delivery"] for one in world.got()][:3] == [event_id for event_id, _ in before]
    last = world.got()[3]["_delivery"]
    assert last.partition("-")[0] == before[0][0].partition("-")[0]  # the log's name
    assert int(world.hook.headers[last]["X-Wx-Sequence"]) > before[2][1]
    assert host.text("stat", "-c", "%U", f"/var/lib/wxclient/{NAME}/events.db").strip() == f"wxc-{NAME}"


def test_failed_import_leaves_nothing(world: World) -> None:
    host = world.host
    world.caller.openwx("start_client", client="other")
    world.caller.until_state("other", "scaning")
    world.wxctl("export", "other", "/root/other", "--stop", *WITH_KEY)
    world.wxctl("remove", "other", "-y")
    before = world.leftovers()
    size = int(host.text("stat", "-c", "%s", "/root/other"))
    for cut in (size - 1, 40):
        host.run("sh", "-c", f"head -c {cut} /root/other > /root/cut")
        world.wxctl("import", "/root/cut", *WITH_KEY, code=9)
    # Files of an earlier account are not overwritten, and a refusal by the controller undoes everything.
    host.write("/etc/wxcontroller/clients/other.env", b"", 0o644)
    host.run("mkdir", "-m", "700", "/var/lib/private/wxclient/other")
    assert "of an earlier account other" in world.wxctl("import", "/root/other", *WITH_KEY, code=8)
    host.run("rmdir", "/var/lib/private/wxclient/other")
    host.run("rm", "/etc/wxcontroller/clients/other.env")
    host.run("mount", "-t", "tmpfs", "-o", "size=64k", "none", "/var/lib/private/wxclient")
    try:
        assert "No space left" in world.wxctl("import", "/root/other", *WITH_KEY, code=1)
    finally:
        host.run("umount", "/var/lib/private/wxclient")
    token = world.token("reader")
    weak = ("env", f"WXCTL_TOKEN={token}", "wxctl", "import", "/root/other", *WITH_KEY)
    refused = host.run(*weak, check=False)
    host.run("wxctl", "token", "revoke", "reader")
    assert (refused.returncode, b"needs the scope control" in refused.stderr) == (7, True)
    assert world.leftovers() == before
    assert world.caller.v1("GET", "/accounts/other")[0] == 404
    refused = host.run("wxctl", "export", NAME, "-", *WITH_KEY, user="nobody", check=False)
    assert (refused.returncode, b"root" in refused.stderr) == (1, True)


def test_drop_ins_are_moved_and_the_rest_is_named(world: World) -> None:
    host = world.host
    unit = "wxclient@other.service"
    place = f"/etc/systemd/system/{unit}.d"
    cred = "/etc/wxcontroller/credentials/other.proxy.cred"
    world.wxctl("add", "other")
    host.run("mkdir", "-p", place)
    host.write(f"{place}/10-nice.conf", b"[Service]\nNice=3\n")
    host.write(f"{place}/20-proxy.conf", f"[Service]\nLoadCredentialEncrypted=proxy:{cred}\n".encode())
    host.run("ln", "-s", "/dev/null", f"{place}/30-link.conf")
    host.run("sh", "-c", f"echo http://127.0.0.1:1 | systemd-creds encrypt --with-key=host --name=proxy - {cred}")
    host.run("systemctl", "daemon-reload")
    try:
        printed = world.wxctl("export", "other", "/root/dropped", *WITH_KEY)
        assert f"THE ENCRYPTED CREDENTIAL {cred} IS NOT IN IT" in printed
        assert "30-link.conf is not a regular file" in printed
        world.wxctl("remove", "other", "-y")
        host.run("rm", "-r", place, cred)
        host.run("systemctl", "daemon-reload")
        refused = world.wxctl("import", "/root/dropped", *WITH_KEY, code=2)
        assert "Nice=3" in refused
        assert "--no-drop-ins" in refused
        assert world.caller.v1("GET", "/accounts/other")[0] == 404
        world.wxctl("import", "/root/dropped", "--no-drop-ins", *WITH_KEY)
        assert host.run("test", "-e", place, check=False).returncode == 1
        world.wxctl("remove", "other", "-y")
        printed = world.wxctl("import", "/root/dropped", "--drop-ins", *WITH_KEY)
        assert f"its encrypted credential {cred} did not move with it" in printed
        assert host.text("systemctl", "show", "-P", "Nice", unit).strip() == "3"
        assert host.text("stat", "-c", "%a %U:%G", f"{place}/10-nice.conf").strip() == "644 root:root"
        world.wxctl("remove", "other", "-y")
        # Existing files are not overwritten.
        assert "10-nice.conf of an earlier account other exists already" in world.wxctl(
            "import", "/root/dropped", "--drop-ins", *WITH_KEY, code=8
        )
    finally:
        host.run("rm", "-rf", place, cred, "/root/dropped")
        host.run("systemctl", "daemon-reload")


# wxctl import that kills itself just before a step: an audit event of Python, by words in its arguments.
KILLED = """
import os, signal, sys
from wxcontroller.cli.__main__ import main
event, words, bundle = sys.argv[1:]
def killed(name, arguments):
    if name == event and words in repr(arguments):
        os.kill(os.getpid(), signal.SIGKILL)
sys.argv = ["wxctl", "import", bundle, "--passphrase-file", "/root/key"]
sys.addaudithook(killed)
main()
"""


def test_import_undoes_an_interrupted_one(world: World) -> None:
    host = world.host
    override, state = "/etc/wxcontroller/clients/other.env", "/var/lib/private/wxclient/other"
    world.wxctl("add", "other", "--option", "lang=en_US")
    host.write(override, b'MOJO_WEIXIN_LANG="en_US"\n', 0o644)
    host.run("mkdir", "-p", "-m", "700", state)
    host.write(f"{state}/file", b"x" * 300_000)
    world.wxctl("export", "other", "/root/killed", *WITH_KEY)
    before = sorted({*world.leftovers()} - {override, state})

    def forget() -> None:
        world.wxctl("remove", "other", "-y")
        host.run("rm", override)
        assert world.leftovers() == before

    def killed(event: str, words: str) -> set[str]:
        """Kill an import before a step; return what it leaves."""
        done = host.run("/usr/bin/python3", "-c", KILLED, event, words, "/root/killed", check=False)
        assert done.returncode in (-9, 137), done
        return {*world.leftovers()} - {*before}

    forget()
    [left] = killed("os.rename", "begun.json")  # everything is unpacked, nothing is in place
    assert "/.import-" in left
    for event, words in (("http.client.send", "POST /v1/accounts"), ("os.rename", state)):
        assert override in killed(event, words)
        assert "undid an interrupted import of other" in world.wxctl("import", "/root/killed", *WITH_KEY)
        assert host.read(f"{state}/file") == b"x" * 300_000
        forget()
    # Everything is in place.
    assert state in killed("os.remove", "begun.json")
    assert "already" in world.wxctl("import", "/root/killed", *WITH_KEY, code=8)
    assert host.read(f"{state}/file") == b"x" * 300_000
    forget()
    # The next boot removes the login.
    killed("os.rename", "begun.json")
    host.run("systemd-tmpfiles", "--remove", "--boot", "wxcontroller.conf")
    assert host.text("sh", "-c", "find /var/lib/private/wxclient/.import-* -path '*/state/*'").strip() == ""
    host.run("sh", "-c", "rm -r /var/lib/private/wxclient/.import-*")


def test_token_of_a_removed_account_is_not_valid_for_the_next_of_that_name(world: World) -> None:
    host = world.host

    def sees(token: str, name: str) -> int:
        return host.run("env", f"WXCTL_TOKEN={token}", "wxctl", "status", name, check=False, user="nobody").returncode

    world.wxctl("add", "other")
    own = world.token("own", "--account", "other")
    both = world.token("both", "--account", "other", "--account", NAME)
    try:
        assert [sees(own, "other"), sees(both, "other")] == [0, 0]
        assert "was for other only and is revoked" in world.wxctl("remove", "other", "-y")
        world.wxctl("add", "other")
        assert [sees(own, "other"), sees(both, "other"), sees(both, NAME)] == [7, 7, 0]
        # They stay with --keep-tokens, and if another machine removes the account.
        host.run("wxctl", "token", "revoke", "own")
        own = world.token("own", "--account", "other")
        world.wxctl("remove", "other", "-y", "--keep-tokens")
        world.wxctl("add", "other")
        assert sees(own, "other") == 0
        elsewhere = (
            "env",
            f"WXCTL_TOKEN={world.token('admin', '--scope', 'admin')}",
            "wxctl",
            "remove",
            "other",
            "-y",
        )
        printed = host.run(*elsewhere, user="nobody").stderr.decode()
        assert "the token own is still valid for the next account other" in printed
        assert "bound to the account other, which does not exist" in world.wxctl("config", "check")
    finally:
        for name in ("own", "both", "admin"):
            host.run("wxctl", "token", "revoke", name, check=False)


def test_without_the_controller_wxctl_names_what_starts_it(world: World) -> None:
    host = world.host
    world.wxctl("add", "静静")
    host.run("systemctl", "stop", "wxcontroller.socket", "wxcontroller.service")
    try:
        for verb in (("list",), ("status", NAME), ("stop", NAME), ("start", NAME)):
            assert "systemctl start wxcontroller.socket" in world.wxctl(*verb, code=3)
        assert show(host, UNIT, "ActiveState") == "active"
        completion = ("env", "_WXCTL_COMPLETE=bash_complete", "COMP_LINE=wxctl stop 静", "wxctl")
        assert host.text(*completion).splitlines() == ["plain,静静"]
        assert "logged in" in world.wxctl("logs", NAME)
        for verb in (("config", "check"), ("token", "list")):
            world.wxctl(*verb)
        # An account can be exported without the controller.
        world.wxctl("export", NAME, "/root/away", "--stop", *WITH_KEY)
        file = f"/var/lib/wxcontroller/clients/{NAME}.env"
        assert b'WXCLIENT_DESIRED="stopped"' in host.read(file)
        assert host.text("stat", "-c", "%U:%G %a", file).strip() == "wxcontroller:wxcontroller 640"
    finally:
        host.run("systemctl", "start", "wxcontroller.socket")
    assert world.caller.account(NAME)["desired"] == "stopped"
    world.wxctl("start", NAME)
    world.wxctl("remove", "静静", "-y")


def test_doctor_says_why_the_controller_does_not_start(world: World) -> None:
    """Its port is open nevertheless: systemd listens there."""
    wrong = "/etc/wxcontroller/wxcontroller.toml.d/zz.toml"
    world.host.run("systemctl", "stop", "wxcontroller.service")
    world.host.write(wrong, b"nonsense = 1\n")
    try:
        assert "journalctl -u wxcontroller" in world.wxctl("stop", NAME, code=3)
        printed = world.wxctl("doctor", "--quiet", code=1)
        assert f"fail  configuration: {wrong}:1: nonsense: is not a known key" in printed
        assert "fail  controller: " in printed
    finally:
        world.host.run("rm", wrong)
        world.host.run("systemctl", "reset-failed", "wxcontroller.service", "wxcontroller.socket", check=False)
        world.host.run("systemctl", "restart", "wxcontroller.socket", "wxcontroller.service")
