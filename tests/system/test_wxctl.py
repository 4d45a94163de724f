"""wxctl on the installed system: exports, imports, tokens of removed accounts, tabs, and without the controller."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system import actors
from tests.system.actors import Json, Phone, Webhook, log_in, until, use_sandbox
from tests.system.host import Host
from tests.system.units import dropin

pytestmark = pytest.mark.system
NAME = "mover"
UNIT = f"wxclient@{NAME}.service"
BUNDLE, KEY = "/root/mover.wxaccount", "/root/key"
PLACES = ("/var/lib/private/wxclient", "/etc/wxcontroller/clients", "/etc/wxcontroller/credentials")


class World(actors.World):
    def wxctl(self, *arguments: str, code: int = 0) -> str:
        """Run it as root; return what it printed on both outputs."""
        done = self.host.run("wxctl", *arguments, check=False)
        told = (done.stdout + done.stderr).decode()
        assert done.returncode == code, told
        return told

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
    host.run("rm", "-f", BUNDLE)  # of a try before
    host.write(f"/etc/wxcontroller/clients/{NAME}.env", b'MOJO_WEIXIN_LANG="en_US"\n', 0o640)
    host.run("chgrp", "wxcontroller", f"/etc/wxcontroller/clients/{NAME}.env")
    host.write(f"/etc/wxcontroller/credentials/{NAME}.webhook-secret", b"s3cret-of-mover\n", 0o600)
    world.wxctl("restart", NAME)
    world.hook.answer = lambda report: 503 if report["post_type"] == "receive_message" else 200
    world.write("first secret text", "second", "third")
    before = until(lambda: world.pending() if len(world.pending()) == 3 else None, "three reports that wait")
    port = world.caller.account(NAME)["port"]

    refused = world.wxctl("export", NAME, BUNDLE, "--passphrase-file", KEY, code=1)
    assert "is active; a copy of a running account" in refused
    with dropin(host, UNIT, "[Service]\nNice=1\n"):
        told = world.wxctl("export", NAME, BUNDLE, "--stop", "--passphrase-file", KEY)
    assert "it stays stopped here" in told
    assert f"/run/systemd/system/{UNIT}.d/test.conf is not in it" in told
    account = world.caller.account(NAME)
    assert (account["desired"], account["unit_state"]) == ("stopped", "absent")
    assert host.text("stat", "-c", "%a %U", BUNDLE).split() == ["600", "root"]
    content = host.read(BUNDLE)
    for secret in (b"first secret text", b"s3cret-of-mover", b"wxsid", b"SQLite", b"mover"):
        assert secret not in content
    assert "exists already" in world.wxctl("export", NAME, BUNDLE, "--passphrase-file", KEY, code=8)
    assert host.read(BUNDLE) == content

    world.wxctl("remove", NAME, "--yes")
    host.run("rm", f"/etc/wxcontroller/clients/{NAME}.env", f"/etc/wxcontroller/credentials/{NAME}.webhook-secret")
    assert world.leftovers() == []
    world.write("while it was nowhere")
    codes = len(world.phone.call("GET", "/logins"))

    assert "passphrase is wrong" in world.wxctl("import", BUNDLE, "--passphrase-file", "/root/wrong", code=9)
    assert world.leftovers() == []
    told = world.wxctl("import", BUNDLE, "--passphrase-file", KEY)
    assert f"with port {port}; start it: wxctl start {NAME}" in told
    assert world.caller.account(NAME)["desired"] == "stopped"
    modes = host.text(
        "stat", "-c", "%a %U:%G", *(f"{place}/{name}" for place, name in zip(PLACES, names(), strict=True))
    )
    assert modes.splitlines() == ["700 root:root", "640 root:wxcontroller", "600 root:root"]
    assert "already" in world.wxctl("import", BUNDLE, "--passphrase-file", KEY, code=8)

    world.hook.answer = lambda _: 200
    world.wxctl("start", NAME, "--timeout", "60")
    # No code was asked for, and nobody scanned.
    assert len(world.phone.call("GET", "/logins")) == codes
    assert world.hook.wait_for(lambda report: report.get("event") == "login" and report["params"] == [0])
    until(lambda: len(world.got()) == 4, "all reports")
    assert [one["content"] for one in world.got()] == [
        "first secret text",
        "second",
        "third",
        "while it was nowhere",
    ]
    assert [one["_delivery"] for one in world.got()][:3] == [event_id for event_id, _ in before]
    last = world.got()[3]["_delivery"]
    assert last.partition("-")[0] == before[0][0].partition("-")[0]  # the log's name
    assert int(world.hook.headers[last]["X-Wx-Sequence"]) > before[2][1]
    options = json.loads(host.run("wxctl", "show", NAME, "--json").stdout)["options"]
    assert options["lang"] == {"value": "en_US", "default": "zh_CN", "from": "settings", "in_force": "en_US"}
    assert options["webhook_retry_first"]["from"] == "request"
    owner = host.text("stat", "-c", "%U", f"/var/lib/wxclient/{NAME}/events.db").strip()
    assert owner == f"wxc-{NAME}"
    assert world.wxctl("send", NAME, "filehelper", "from here") == "sent to friend 文件传输助手\n"


def names() -> tuple[str, str, str]:
    return NAME, f"{NAME}.env", f"{NAME}.webhook-secret"


def test_failed_import_leaves_nothing(world: World) -> None:
    host = world.host
    world.caller.openwx("start_client", client="other")
    world.caller.until_state("other", "scaning")
    world.wxctl("export", "other", "/root/other", "--stop", "--passphrase-file", KEY)
    world.wxctl("remove", "other", "-y")
    before = world.leftovers()
    size = int(host.text("stat", "-c", "%s", "/root/other"))
    for cut in (size - 1, 40):
        host.run("sh", "-c", f"head -c {cut} /root/other > /root/cut")
        world.wxctl("import", "/root/cut", "--passphrase-file", KEY, code=9)
    # Files of an earlier account are not overwritten, and a refusal by the controller undoes everything.
    host.write("/etc/wxcontroller/clients/other.env", b"", 0o644)
    host.run("mkdir", "-m", "700", "/var/lib/private/wxclient/other")
    assert "of an earlier account other" in world.wxctl("import", "/root/other", "--passphrase-file", KEY, code=8)
    host.run("rmdir", "/var/lib/private/wxclient/other")
    host.run("rm", "/etc/wxcontroller/clients/other.env")
    host.run("mount", "-t", "tmpfs", "-o", "size=64k", "none", "/var/lib/private/wxclient")
    try:
        assert "No space left" in world.wxctl("import", "/root/other", "--passphrase-file", KEY, code=1)
    finally:
        host.run("umount", "/var/lib/private/wxclient")
    token = host.run("wxctl", "token", "create", "reader").stdout.decode().strip()
    weak = ("env", f"WXCTL_TOKEN={token}", "wxctl", "import", "/root/other", "--passphrase-file", KEY)
    refused = host.run(*weak, check=False)
    host.run("wxctl", "token", "revoke", "reader")
    assert (refused.returncode, b"needs the scope control" in refused.stderr) == (7, True)
    assert world.leftovers() == before
    assert world.caller.v1("GET", "/accounts/other")[0] == 404
    refused = host.run("wxctl", "export", NAME, "-", "--passphrase-file", KEY, user="nobody", check=False)
    assert (refused.returncode, b"root" in refused.stderr) == (1, True)
    # Through a pipe, as with ssh.
    piped = "wxctl export other - --passphrase-file /root/key | cat > /root/piped"
    world.wxctl("import", "/root/other", "--passphrase-file", KEY)
    host.run("bash", "-o", "pipefail", "-c", piped)
    world.wxctl("remove", "other", "-y")
    host.run("bash", "-c", "wxctl import - --passphrase-file /root/key < /root/piped")
    world.wxctl("remove", "other", "-y")
    assert world.leftovers() == before


def test_drop_ins_are_moved_and_the_rest_is_named(world: World) -> None:
    host = world.host
    unit = "wxclient@other.service"
    place = f"/etc/systemd/system/{unit}.d"
    cred = "/etc/wxcontroller/credentials/other.proxy.cred"
    world.wxctl("add", "other")
    host.run("mkdir", "-p", place)
    host.write(f"{place}/10-nice.conf", b"[Service]\nNice=3\nEnvironmentFile=-/etc/other-%i.env\n")
    host.write(f"{place}/20-proxy.conf", f"[Service]\nLoadCredentialEncrypted=proxy:{cred}\n".encode())
    host.run("ln", "-s", "/dev/null", f"{place}/30-link.conf")
    host.run("sh", "-c", f"echo http://127.0.0.1:1 | systemd-creds encrypt --with-key=host --name=proxy - {cred}")
    host.run("systemctl", "daemon-reload")
    try:
        told = world.wxctl("export", "other", "/root/dropped", "--passphrase-file", KEY)
        assert "2 drop-ins of its unit" in told
        assert f"THE ENCRYPTED CREDENTIAL {cred} IS NOT IN IT" in told
        assert "refers to /etc/other-other.env, which is not included" in told
        assert "30-link.conf is not a regular file" in told
        world.wxctl("remove", "other", "-y")
        host.run("rm", "-r", place, cred)
        host.run("systemctl", "daemon-reload")
        refused = world.wxctl("import", "/root/dropped", "--passphrase-file", KEY, code=2)
        assert "Nice=3" in refused
        assert "--no-drop-ins" in refused
        assert world.caller.v1("GET", "/accounts/other")[0] == 404
        world.wxctl("import", "/root/dropped", "--no-drop-ins", "--passphrase-file", KEY)
        assert host.run("test", "-e", place, check=False).returncode == 1
        world.wxctl("remove", "other", "-y")
        told = world.wxctl("import", "/root/dropped", "--drop-ins", "--passphrase-file", KEY)
        assert f"its encrypted credential {cred} did not move with it" in told
        assert "names /etc/other-other.env, which is not here" in told
        assert host.text("systemctl", "show", "-P", "Nice", unit).strip() == "3"
        assert host.text("stat", "-c", "%a %U:%G", f"{place}/10-nice.conf").strip() == "644 root:root"
        world.wxctl("remove", "other", "-y")
        # Existing files are not overwritten.
        assert "10-nice.conf of an earlier account other exists already" in world.wxctl(
            "import", "/root/dropped", "--drop-ins", "--passphrase-file", KEY, code=8
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
    world.wxctl("export", "other", "/root/killed", "--passphrase-file", KEY)
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
        told = world.wxctl("import", "/root/killed", "--passphrase-file", KEY)
        assert "undid an interrupted import of other" in told
        assert host.read(f"{state}/file") == b"x" * 300_000
        forget()
    # Everything is in place.
    assert state in killed("os.remove", "begun.json")
    assert "already" in world.wxctl("import", "/root/killed", "--passphrase-file", KEY, code=8)
    assert host.read(f"{state}/file") == b"x" * 300_000
    forget()
    # A file that the administrator has changed since is kept.
    killed("http.client.send", "POST /v1/accounts")
    host.write(override, b"A=1\n", 0o644)
    world.wxctl("import", "/root/killed", "--passphrase-file", KEY, code=8)
    assert host.read(override) == b"A=1\n"
    host.run("rm", override)
    assert world.leftovers() == before
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
    own, both = (
        host.run("wxctl", "token", "create", name, *(word for each in bound for word in ("--account", each)))
        .stdout.decode()
        .strip()
        for name, bound in (("own", ("other",)), ("both", ("other", NAME)))
    )
    try:
        assert [sees(own, "other"), sees(both, "other")] == [0, 0]
        host.write("/etc/wxcontroller/clients/other.env", b"", 0o644)
        told = world.wxctl("remove", "other", "-y")
        assert "the token own" in told
        assert "was for other only and is revoked" in told
        assert f"is now for {NAME} only" in told
        assert "/etc/wxcontroller/clients/other.env is left" in told
        world.wxctl("add", "other")
        assert [sees(own, "other"), sees(both, "other"), sees(both, NAME)] == [7, 7, 0]
        # They stay with --keep-tokens, and if another machine removes the account.
        host.run("wxctl", "token", "revoke", "own")
        own = host.run("wxctl", "token", "create", "own", "--account", "other").stdout.decode().strip()
        world.wxctl("remove", "other", "-y", "--keep-tokens")
        world.wxctl("add", "other")
        assert sees(own, "other") == 0
        admin = host.run("wxctl", "token", "create", "admin", "--scope", "admin").stdout.decode().strip()
        elsewhere = ("env", f"WXCTL_TOKEN={admin}", "wxctl", "remove", "other", "-y")
        told = host.run(*elsewhere, user="nobody").stderr.decode()
        assert "the token own is still valid for the next account other" in told
        assert "bound to the account other, which does not exist" in world.wxctl("config", "check")
    finally:
        host.run("rm", "-f", "/etc/wxcontroller/clients/other.env")
        for name in ("own", "both", "admin"):
            host.run("wxctl", "token", "revoke", name, check=False)


def test_wxctl_asks_systemd_while_the_controller_is_stopped(world: World) -> None:
    host = world.host
    world.wxctl("add", "静静")
    host.run("systemctl", "stop", "wxcontroller.socket", "wxcontroller.service")
    try:
        told = world.wxctl("list", code=3)
        assert f"{UNIT}: active (running)" in told
        assert "静静, wxclient@x-" in told
        assert "this is what systemd knows" in world.wxctl("status", NAME, code=3)
        asked = host.run("wxctl", "list", "--json", check=False)
        [listed] = [each for each in json.loads(asked.stdout) if each["unit"] == UNIT]
        pid = host.text("systemctl", "show", "--property=MainPID", "--value", UNIT).strip()
        assert (listed["name"], str(listed["pid"])) == (NAME, pid)
        assert "running" in listed["status"]
        assert json.loads(host.run("wxctl", "status", NAME, "--json", check=False).stdout) == listed
        assert after_a_tab(host, "bash", "wxctl stop mo", "wxctl stop 静") == [
            "wxctl stop mover ",
            "wxctl stop 静静 ",
        ]
        chinese = host.text("env", "LC_ALL=zh_CN.UTF-8", "wxctl", "list", check=False)
        assert f"{UNIT}: active (running)" in chinese
        assert "systemd has stopped" in world.wxctl("stop", NAME)
        assert host.text("systemctl", "is-active", UNIT, check=False).strip() == "inactive"
        assert "it alone stores options" in world.wxctl("start", NAME, "-o", "lang=en_US", code=3)
        assert "systemd has started" in world.wxctl("start", NAME)
        assert host.text("systemctl", "is-active", UNIT).strip() == "active"
        assert "systemd has restarted" in world.wxctl("restart", NAME)
        assert "logged in" in world.wxctl("logs", NAME)
        assert "there is no account nobody" in world.wxctl("stop", "nobody", code=4)
        assert "there is no account nobody" in world.wxctl("status", "nobody", code=4)
        assert "slip is a new account" in world.wxctl("start", "slip")
        refused = host.run("wxctl", "stop", NAME, user="nobody", check=False)
        assert (refused.returncode, b"authentication" in refused.stderr) == (3, True)
        # An account can be exported without the controller.
        world.wxctl("export", NAME, "/root/away", "--stop", "--passphrase-file", KEY)
        file = f"/var/lib/wxcontroller/clients/{NAME}.env"
        assert b'WXCLIENT_DESIRED="stopped"' in host.read(file)
        assert host.text("stat", "-c", "%U:%G %a", file).strip() == "wxcontroller:wxcontroller 640"
    finally:
        host.run("systemctl", "start", "wxcontroller.socket")
    assert world.caller.account(NAME)["desired"] == "stopped"
    world.wxctl("start", NAME)
    world.wxctl("remove", "静静", "-y")
    world.wxctl("remove", "slip", "-y")


def test_wxctl_falls_back_to_systemd_without_the_controller(world: World) -> None:
    """Its port is open nevertheless: systemd listens there."""
    wrong = "/etc/wxcontroller/wxcontroller.toml.d/zz.toml"
    world.host.run("systemctl", "stop", "wxcontroller.service")
    world.host.write(wrong, b"nonsense = 1\n")
    try:
        assert "systemd has stopped" in world.wxctl("stop", NAME)
        assert "this is what systemd knows" in world.wxctl("list", code=3)
        told = world.wxctl("doctor", "--quiet", code=1)
        assert f"fail  configuration: {wrong}:1: nonsense: unknown key" in told
        assert "fail  controller: " in told
    finally:
        world.host.run("rm", wrong)
        world.host.run("systemctl", "reset-failed", "wxcontroller.service", "wxcontroller.socket", check=False)
        world.host.run("systemctl", "restart", "wxcontroller.socket", "wxcontroller.service")
    world.wxctl("start", NAME)


TYPING = Path(__file__).with_name("typing.py").read_text(encoding="utf-8")
# Lines before and after a tab.
COMPLETED = {
    # In zsh the first tab loads the file, and the second one does not.
    "wxctl doc": "wxctl doctor ",
    "wxctl deliveries re": "wxctl deliveries replay ",
    "wxctl add new --post": "wxctl add new --post-api ",
    "wxctl list --js": "wxctl list --json ",
    "wxctl token create bot --scope co": "wxctl token create bot --scope control ",
    "wxctl stop mo": "wxctl stop mover ",
    "wxctl stop 静": "wxctl stop 静静 ",
    "wxctl stop 小": r"wxctl stop 小店\ 一号 ",
    r"wxctl stop 小店\ ": r"wxctl stop 小店\ 一号 ",
    "wxctl stop '小店 ": "wxctl stop '小店 一号' ",
    "wxctl stop a@": "wxctl stop a@b ",
    "wxctl --url http://127.0.0.1:2000 logs mo": "wxctl --url http://127.0.0.1:2000 logs mover ",
    "wxctl events mover 静": "wxctl events mover 静静 ",
    "wxctl token create bot --account mo": "wxctl token create bot --account mover ",
    # The value follows without a space.
    "wxctl set mover send_int": "wxctl set mover send_interval=",
    "wxctl start mover -o lang=en": "wxctl start mover -o lang=en_US ",
    "wxctl set mover --unset send_int": "wxctl set mover --unset send_interval ",
    "wxctl import /etc/machine-i": "wxctl import /etc/machine-id ",
    "wxctl export mover --passphrase-file /etc/machine-i": "wxctl export mover --passphrase-file /etc/machine-id ",
    "wxctl send mover filehelper --file /etc/machine-i": "wxctl send mover filehelper --file /etc/machine-id ",
    "wxctl stop nobod": "wxctl stop nobod",
}


@pytest.fixture
def others(world: World) -> Iterator[None]:
    """More accounts, whose names need quotes."""
    names = ("静静", "小店 一号", "a@b")
    for name in names:
        world.wxctl("add", name)
    yield
    for name in names:
        world.wxctl("remove", name, "--yes")


def after_a_tab(host: Host, shell: str, *lines: str) -> list[str]:
    return host.text("/usr/bin/python3", "-c", TYPING, shell, *lines, timeout=120).splitlines()


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize("shell", ("bash", "zsh", "fish"))
def test_tab_completes_commands_options_and_names(host: Host, shell: str) -> None:
    shown = after_a_tab(host, shell, *COMPLETED)
    assert dict(zip(COMPLETED, shown, strict=True)) == COMPLETED
