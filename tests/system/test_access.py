"""Who may call, on the installed system: tokens, their scopes and accounts, and the accounts' ports."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.system.actors import CONTROLLER, until
from tests.system.callers import SETTINGS, ask, forget_tokens, started, token
from tests.system.host import Host
from tests.system.test_units import probe_in_account
from tests.system.units import show
from wxcontroller.core import access
from wxcontroller.core.access import About, Endpoint, Scope

pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
def no_tokens_are_left(host: Host) -> Iterator[None]:
    yield
    forget_tokens(host)


def test_the_first_token_closes_every_door_and_the_last_one_opens_them(host: Host) -> None:
    port = started(host, "alice")
    controller, account = (show(host, f"{unit}.service", "MainPID") for unit in ("wxcontroller", "wxclient@alice"))
    info = "/openwx/get_client_info"
    assert ask(host, "/v1/accounts") == (200, None)
    assert ask(host, info, port=port) == (200, None)
    admin, own = token(host, "admin"), token(host, "own", "read", "alice")
    assert ask(host, "/v1/accounts") == (401, "no-token")
    assert ask(host, "/openwx/check_client") == (403, -6)
    assert ask(host, info, port=port) == (403, -6)
    assert ask(host, "/v1/status", port=port) == (401, "no-token")
    assert ask(host, "/") == (200, None)
    for shown in (admin, own):
        assert ask(host, "/v1/accounts", shown) == (200, None)
        assert ask(host, f"{info}?client=alice", shown) == (200, None)
    # An account's port takes the account's own tokens only.
    assert ask(host, info, own, port=port) == (200, None)
    assert ask(host, info, admin, port=port) == (403, -6)
    host.run("wxctl", "token", "revoke", "own")
    assert ask(host, "/v1/accounts", own) == (401, "bad-token")
    assert ask(host, info, own, port=port) == (403, -6)
    host.run("wxctl", "token", "revoke", "admin")
    assert ask(host, "/v1/accounts") == (200, None)
    assert ask(host, info, port=port) == (200, None)
    assert show(host, "wxcontroller.service", "MainPID") == controller
    assert show(host, "wxclient@alice.service", "MainPID") == account


def test_wxctl_finds_what_it_needs(host: Host) -> None:
    started(host, "alice")
    shown = token(host, "bo", "read")
    assert "alice" in host.text("wxctl", "list")  # root
    assert host.run("wxctl", "restart", "alice", "--no-wait").returncode == 0
    refused = host.run("wxctl", "list", user="nobody", check=False)
    assert (refused.returncode, b"wxctl token create" in refused.stderr) == (7, True)
    assert b"alice" in host.run("env", f"WXCTL_TOKEN={shown}", "wxctl", "list", user="nobody").stdout
    host.run("install", "-m", "600", "-o", "nobody", "/dev/null", "/var/tmp/bo.token")
    host.run("sh", "-c", "cat >/var/tmp/bo.token", input=shown.encode())
    assert b"alice" in host.run("wxctl", "list", "--token-file", "/var/tmp/bo.token", user="nobody").stdout
    refused = host.run("wxctl", "stop", "alice", "--token-file", "/var/tmp/bo.token", user="nobody", check=False)
    assert (refused.returncode, b"needs the scope control" in refused.stderr) == (7, True)
    refused = host.run("wxctl", "token", "create", "eve", user="nobody", check=False)
    assert (refused.returncode, b"run it as root" in refused.stderr) == (1, True)
    for path in ("/etc/wxcontroller/tokens", "/run/wxcontroller/local-token", "/var/lib/wxclient-access/tokens"):
        assert host.run("cat", path, user="nobody", check=False).returncode != 0, path
    assert host.text("stat", "-c", "%a %U:%G", "/etc/wxcontroller/tokens").strip() == "640 root:wxcontroller"
    # Also while the controller is down.
    host.run("systemctl", "stop", "wxcontroller.socket", "wxcontroller.service")
    host.run("wxctl", "token", "revoke", "bo")
    again = token(host, "bo", "read")
    host.run("systemctl", "start", "wxcontroller.socket", "wxcontroller.service")
    assert ask(host, "/v1/accounts", shown) == (401, "bad-token")
    assert ask(host, "/v1/accounts", again) == (200, None)


def target(endpoint: Endpoint, account: str) -> str:
    path = endpoint.path.replace("{name}", account).replace("{id}", "a-1").replace("{file}", "none")
    path = (
        path.replace("{account}", account)
        .replace("{consumer}", "helper")
        .replace("{code}", "0")
        .replace("{target}", "ops")
    )
    return f"{path}?client={account}" if endpoint.about in (About.CLIENT, About.OWN) else path


def test_scopes_and_accounts(host: Host) -> None:
    """The whole table: who has too little is refused, and who is bound elsewhere."""
    for name in ("alice", "bob"):
        started(host, name)
    before = [show(host, f"wxclient@{name}.service", "MainPID") for name in ("alice", "bob")]
    tokens = {scope: token(host, scope.value, scope.value) for scope in access.LADDER}
    host.write(SETTINGS, b"ilink_serve = true\n")
    host.run("systemctl", "reload", "wxcontroller.service")
    tokens[Scope.ILINK] = token(host, "agent", "ilink", "alice")
    bound = token(host, "bound", "admin", "bob")
    script = "/" + re.findall(r'"(page/[0-9a-f]{16}/main\.js)"', host.http("GET", f"{CONTROLLER}/")[2].decode())[0]
    refused = 0
    for endpoint in (*access.CONTROLLER, *access.ACCOUNT):
        if endpoint.path.startswith(("/ilink/", "/for/")) or endpoint.scope in (Scope.NOTIFY, Scope.FLEET):
            continue  # answered in another form
        if endpoint.path == "/v1/login-code":
            continue  # what opens it is a link, not a token
        for method in endpoint.methods:
            if endpoint.scope is None:
                assert ask(host, endpoint.path.replace("/page/{digest}/{file}", script)) == (200, None)
                continue
            nobody = (401, "no-token") if endpoint.path.startswith("/v1") else (403, -6)
            assert ask(host, target(endpoint, "alice"), method=method)[0] in (nobody[0], 429)
            too_little = [shown for scope, shown in tokens.items() if not scope.covers(endpoint.scope)]
            if endpoint.about in (About.CLIENT, About.NAME):
                too_little.append(bound)
            for shown in too_little:
                assert ask(host, target(endpoint, "alice"), shown, method) in ((403, "not-allowed"), (403, -6))
                refused += 1
    assert refused > 60
    assert [show(host, f"wxclient@{name}.service", "MainPID") for name in ("alice", "bob")] == before
    for path in ("/v1/accounts", "/v1/health", "/v1/accounts/alice", "/openwx/check_client?client=alice"):
        assert ask(host, path, tokens[Scope.READ]) == (200, None)
    assert ask(host, "/openwx/get_user_info?client=alice", tokens[Scope.READ]) == (200, None)
    assert ask(host, "/openwx/send_friend_message?client=alice&id=x&content=y", tokens[Scope.SEND]) == (200, None)
    status, _, body = host.http("GET", f"{CONTROLLER}/v1/accounts?token={bound}")
    assert (status, [each["name"] for each in json.loads(body)["accounts"]]) == (200, ["bob"])
    assert ask(host, "/v1/accounts/bob/restart", bound, "POST") == (200, None)
    host.run("systemctl", "restart", "wxcontroller.service")  # which forgets how many were refused


def test_an_agent_has_its_own_token_until_it_is_revoked(host: Host) -> None:
    started(host, "alice")
    host.write(SETTINGS, b"ilink_serve = true\n")
    host.run("systemctl", "reload", "wxcontroller.service")
    agent = token(host, "agent", "ilink", "alice")

    def notify() -> object:
        headers = {"Authorization": f"Bearer {agent}"}
        return json.loads(host.http("POST", f"{CONTROLLER}/ilink/bot/msg/notifystart", b"{}", headers)[2])["ret"]

    assert notify() == 0
    assert ask(host, "/v1/accounts") == (200, None)  # still open to programs of the machine
    assert "online" in host.text("wxctl", "ilink", "consumers", "alice")
    kept = "/var/lib/wxcontroller/ilink-tokens"
    assert host.text("stat", "-c", "%a %U", kept).strip() == "640 wxcontroller"
    assert agent.encode() not in host.read(kept)
    host.run("systemctl", "restart", "wxcontroller.service", "wxclient@alice.service")
    until(lambda: notify() == 0, "the agent again")
    host.run("wxctl", "ilink", "revoke", "alice", "agent")
    assert notify() == -14


def test_the_controller_reaches_its_accounts_whoever_was_restarted(host: Host) -> None:
    port = started(host, "alice")
    shown = token(host, "admin")
    secret = "/run/wxclient/alice/port-secret"
    info = "/openwx/get_client_info"
    seen = [host.read(secret)]

    def closed_but_for_the_controller() -> None:
        until(lambda: ask(host, f"{info}?client=alice", shown) == (200, None), "alice through the controller")
        assert json.loads(host.http("GET", f"{CONTROLLER}/v1/accounts/alice?token={shown}")[2])["client"]
        assert ask(host, info, port=port) == (403, -6)

    closed_but_for_the_controller()
    host.run("wxctl", "restart", "alice", "--no-wait")
    closed_but_for_the_controller()
    seen.append(host.read(secret))
    host.run("systemctl", "kill", "-s", "KILL", "wxclient@alice.service")
    until(lambda: show(host, "wxclient@alice.service", "SubState") == "running", "alice again")
    closed_but_for_the_controller()
    seen.append(host.read(secret))
    host.run("systemctl", "restart", "wxcontroller.service")
    closed_but_for_the_controller()
    host.run("systemctl", "kill", "-s", "KILL", "wxcontroller.service")
    closed_but_for_the_controller()
    assert len(set(seen)) == 3
    user = host.text("stat", "-c", "%U", "/run/wxclient/alice").strip()
    assert host.text("stat", "-c", "%a %U:%G", secret).strip() == f"640 {user}:wxcontroller"


def test_events_and_deliveries_with_tokens(host: Host) -> None:
    """Through the controller to the account's own port; a stream ends when its token is revoked."""
    port = started(host, "alice")
    started(host, "bob")
    token(host, "admin")
    shown = token(host, "reader", "read", "alice")
    stream = f"{CONTROLLER}/v1/events?types=state_change&token={shown}"
    reader = ("--unit=reader", "-p", "StandardOutput=file:/root/stream", "curl", "-sN", "-m", "100", stream)
    host.write("/root/stream", b"")
    host.run("systemd-run", "-q", *reader)
    until(lambda: b"event: heartbeat" in host.read("/root/stream"), "the stream's first word")
    for name in ("bob", "alice"):
        host.run("wxctl", "restart", name, "--no-wait")
    until(lambda: b"event: state_change" in host.read("/root/stream"), "an event of alice")
    assert b'"bob"' not in host.read("/root/stream")
    assert ask(host, f"/v1/events?account=bob&token={shown}") == (403, "not-allowed")
    status, _, body = host.http("GET", f"{CONTROLLER}/v1/deliveries?token={shown}")
    [counts] = json.loads(body)["accounts"]
    assert (status, counts["account"], counts["error"]) == (200, "alice", None)
    deliveries = "/v1/accounts/alice/deliveries"
    assert ask(host, f"{deliveries}?state=kept", shown) == (200, None)
    assert ask(host, f"{deliveries}/nothing", shown) == (404, None)
    assert ask(host, "/v1/accounts/alice/media/nothing", shown) == (404, None)
    assert ask(host, f"{deliveries}/replay", shown, "POST") == (403, "not-allowed")
    for path in ("/v1/events", "/v1/deliveries"):
        assert ask(host, path, shown, port=port) == (200, None)
        assert ask(host, path, port=port) == (401, "no-token")
    assert show(host, "reader.service", "ActiveState") == "active"
    host.run("wxctl", "token", "revoke", "reader")
    until(lambda: show(host, "reader.service", "ActiveState") != "active", "the end of the stream")


def test_a_tokens_file_that_was_copied_here_closes_the_accounts_ports_too(host: Host) -> None:
    port = started(host, "alice")
    token(host, "admin")
    host.run("cp", "-p", "/etc/wxcontroller/tokens", "/root/tokens")
    host.run("wxctl", "token", "revoke", "admin")
    assert ask(host, "/openwx/get_client_info", port=port) == (200, None)
    host.run("cp", "-p", "/root/tokens", "/etc/wxcontroller/tokens")
    until(lambda: ask(host, "/openwx/get_client_info", port=port) == (403, -6), "the account's port closed")
    host.run("sh", "-c", "echo broken >/etc/wxcontroller/tokens")
    assert ask(host, "/v1/accounts")[0] == 503
    assert host.run("wxctl", "list").returncode == 0


def test_what_an_account_that_was_taken_over_may_do(host: Host) -> None:
    victim = started(host, "victim")
    with probe_in_account(host, "mallory") as inside:
        # The trust of loopback: that is why there are tokens.
        assert inside.do("get", "127.0.0.1", 2000, "/v1/accounts") == 200
        assert inside.do("get", "127.0.0.1", victim, "/openwx/get_client_info") == 200
        shown = token(host, "victims", "send", "victim")
        wide = token(host, "admin")
        assert inside.do("get", "127.0.0.1", 2000, "/v1/accounts") == 401
        assert inside.do("get", "127.0.0.1", 2000, "/openwx/stop_client?client=victim") == 403
        assert inside.do("get", "127.0.0.1", victim, "/openwx/get_client_info") == 403
        for secret in (
            "/etc/wxcontroller/tokens",
            "/run/wxcontroller/local-token",
            "/run/wxclient/victim/port-secret",
        ):
            assert inside.do("read", secret) in ("EACCES", "ENOENT"), secret
            assert inside.do("write", secret) in ("EACCES", "ENOENT", "EROFS"), secret
        told = inside.do("read", "/var/lib/wxclient-access/tokens")
        assert json.loads(told)["closed"] is True
        kept = host.read("/etc/wxcontroller/tokens").decode()
        for hidden in (shown, wide, *re.findall(r'"(?:sha256|id|name)": "([^"]+)"', kept)):
            assert hidden not in told
        assert inside.do("write", "/var/lib/wxclient-access/tokens") in ("EACCES", "EROFS")


def test_no_token_is_written_down_anywhere(host: Host) -> None:
    host.write(SETTINGS, b"http_debug = true\n")
    host.run("systemctl", "reload", "wxcontroller.service")
    port = started(host, "alice")
    admin, own = token(host, "admin"), token(host, "own", "send", "alice")
    wrong = "wxc_12345678_" + "5" * 64
    for shown in (admin, own, wrong):
        ask(host, f"/openwx/start_client?client=alice&log_level=debug&token={shown}")
        ask(host, f"/openwx/get_client_info?client=alice&token={shown}")
        ask(host, "/openwx/send_friend_message?client=alice", method="POST", body=f"token={shown}&id=x".encode())
        ask(host, "/openwx/send_friend_message", method="POST", port=port, body=f"token={shown}&id=x".encode())
        ask(host, f"/openwx/check_client?client=%ff&token={shown}")
        ask(host, f"/v1/accounts/alice/start?token={shown}", method="POST")
        ask(host, f"/openwx/get_client_info?token={shown}", port=port)
        ask(host, f"/v1/accounts/alice/deliveries?token={shown}")
        ask(
            host, f"/v1/accounts/alice/deliveries/replay?token={shown}", method="POST", body=f"token={shown}".encode()
        )
        ask(host, f"/v1/accounts/alice/media/none?token={shown}")
        host.run("sh", "-c", f"curl -sN -m 1 '{CONTROLLER}/v1/events?token={shown}' >/dev/null", check=False)
        ask(host, "/v1/accounts", shown)
    host.run("wxctl", "restart", "alice", "--no-wait")
    host.run("journalctl", "--sync")
    texts = {shown: shown.rpartition("_")[2] for shown in (admin, own, wrong)}
    journal = host.text("journalctl", "-b", "--no-pager", "-o", "export", timeout=60)
    assert "/openwx/start_client" in journal
    assert "access-refused" in journal
    places = ["/etc/wxcontroller", "/var/lib/wxcontroller", "/var/lib/private/wxclient", "/var/lib/wxclient-access"]
    for secret in texts.values():
        assert secret not in journal
        found = host.run("grep", "-rl", secret, *places, "/run/wxclient", "/run/wxcontroller", check=False)
        assert (found.returncode, found.stdout) == (1, b"")
        environment = host.text(
            "sh", "-c", "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'"
        )
        assert secret not in environment
    host.run("rm", SETTINGS)
    host.run("systemctl", "reload", "wxcontroller.service")
