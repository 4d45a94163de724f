"""Third-party clients, unmodified, log in by QR code, receive and send against the sandbox, on both routes.

They work with the real service, so a refusal of the sandbox is a defect of the sandbox.
`make test-deps` fetches them, but not Mojo-Weixin and the old Mojolicious that it needs, which are in none of the
registries: MOJO_WEIXIN_LIB can name their directories, as PERL5LIB would.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.programs import FETCHED, fetched, program
from tests.system.actors import until
from tests.thirdparty.stage import Json, Stage, stage

CLIENTS = Path(__file__).parent / "clients"
# With characters that clients get wrong: a slash, markup, beyond ASCII.
TEXT = 'are you there? 你好 https://example.invalid/?a=1 "x"'


@dataclass(frozen=True, slots=True)
class Client:
    """A program that answers "echo: TEXT" to every TEXT. ``notes`` are the breaches of the protocol that it makes;
    ``web_login`` is the only kind of login that its account is allowed. With ``media`` it sends every file back."""

    name: str
    command: Sequence[str]
    notes: frozenset[str]
    web_login: str
    environment: Mapping[str, str]
    media: bool = False


_PYTHON = ("/usr/bin/python3", str(CLIENTS / "echo_itchat.py"))
_MOJO = os.environ.get("MOJO_WEIXIN_LIB", "")
_PLUS = "sid holds a space in the query: encode + as %2B"


def _itchat(name: str, notes: set[str], web_login: str) -> Client:
    place = FETCHED / name
    return Client(name, _PYTHON, frozenset(notes), web_login, {"PYTHONPATH": str(place)})


ALL = (
    _itchat("itchat", {_PLUS, "SyncCheckKey sent as SyncKey"}, "normal"),
    # The release has an older extspam, which makes no desktop client any more; the prerelease has the present one.
    _itchat(
        "itchat-uos",
        {"BaseRequest.Skey is missing", "skey is missing in the query", "pass_ticket is wrong"},
        "normal",
    ),
    _itchat(
        "itchat-uos-dev",
        {_PLUS, "desktop mode needs mod=desktop, client-version and the right extspam together"},
        "desktop",
    ),
    Client(
        "wxpy",
        (_PYTHON[0], str(CLIENTS / "echo_wxpy.py")),
        frozenset({_PLUS}),
        "normal",
        {"PYTHONPATH": str(FETCHED / "wxpy")},
    ),
    Client(
        "Mojo-Weixin",
        ("perl", str(CLIENTS / "echo_mojo.pl")),
        frozenset({"BaseRequest.Sid holds a backslash: do not escape / in JSON", "Scene is missing"}),
        "normal",
        {"PERL5LIB": _MOJO},
    ),
)


_APP_HEADERS = "iLink-App-Id or iLink-App-ClientVersion is missing or wrong"


def _ilink(name: str, script: str, notes: set[str], media: bool) -> Client:
    place = FETCHED / name
    command = (_PYTHON[0], str(CLIENTS / script))
    return Client(name, command, frozenset(notes), "both", {"PYTHONPATH": str(place)}, media)


ILINK = (
    _ilink("wechatbot-sdk", "echo_wechatbot.py", {"AuthorizationType is missing or wrong"}, media=True),
    _ilink("openilink-sdk-python", "echo_openilink.py", {_APP_HEADERS}, media=False),
    _ilink("weilink", "echo_weilink.py", set(), media=True),
    Client(
        "openclaw-weixin",
        ("node", str(CLIENTS / "echo_openclaw.mjs")),
        frozenset(),
        "both",
        {"NODE_PATH": str(FETCHED / "openclaw-weixin" / "node_modules")},
        media=True,
    ),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A sandbox that is not strict."""
    with stage(tmp_path_factory.mktemp("stage")) as running:
        yield running


def check_installed(client: Client) -> None:
    program(client.command[0])
    if "Mojo" not in client.name:
        fetched(client.name)
    elif not _MOJO:
        pytest.skip("Mojo-Weixin is in none of the registries: set MOJO_WEIXIN_LIB")


def session(world: Stage, uin: int) -> Json:
    sessions = world.call("GET", f"/accounts/{uin}")["sessions"]
    return sessions[0] if sessions else {}


@pytest.mark.parametrize("client", [pytest.param(client, id=client.name) for client in ALL])
def test_web_client_logs_in_receives_and_sends(world: Stage, client: Client) -> None:
    check_installed(client)
    account = world.call("POST", "/accounts", {"nickname": client.name, "web_login": client.web_login})
    uin = account["uin"]
    environment = {**client.environment, "REQUESTS_CA_BUNDLE": str(world.ca), "SSL_CERT_FILE": str(world.ca)}
    with world.client(client.command, environment | {"NODE_EXTRA_CA_CERTS": str(world.ca)}) as printed:
        try:
            messages = converse(world, uin)
        except AssertionError as error:
            raise AssertionError(
                f"{error}\n{world.call('GET', f'/requests?uin={uin}')}\n{printed.read_text()}"
            ) from error
    assert messages == [f"echo: {TEXT}"]
    violations = world.call("GET", f"/requests?uin={uin}")["violations"]
    assert [v for v in violations if v["refused"] is not None] == []
    assert client.notes <= {v["what"] for v in violations}


def converse(world: Stage, uin: int) -> list[str]:
    """Scan the code, confirm, and write as a friend; return the answers."""
    waiting = world.call("GET", "/logins?state=waiting&wait=20")
    assert waiting, "no login waits for a scan"
    uuid = waiting[-1]["uuid"]
    world.call("POST", f"/logins/{uuid}/scan", {"uin": uin})
    world.call("POST", f"/logins/{uuid}/confirm")
    until(lambda: session(world, uin).get("polling"), "the poll for messages")
    friend = next(c for c in world.call("GET", f"/accounts/{uin}")["contacts"] if c["kind"] == "friend")
    world.call("POST", f"/accounts/{uin}/receive", {"from": friend["wxid"], "text": TEXT})

    def received() -> list[str]:
        sent = world.call("GET", f"/accounts/{uin}/sent")
        return [message["text"] for message in sent if message["to_wxid"] == friend["wxid"]]

    messages: list[str] = until(received, "the answer")
    return messages


@pytest.mark.parametrize("client", [pytest.param(client, id=client.name) for client in ILINK])
def test_ilink_client_logs_in_receives_and_sends(world: Stage, client: Client) -> None:
    check_installed(client)
    uin = world.call("POST", "/accounts", {"nickname": client.name})["uin"]
    environment = {**client.environment, "SSL_CERT_FILE": str(world.ca), "NODE_EXTRA_CA_CERTS": str(world.ca)}
    with world.client(client.command, environment) as printed:
        try:
            converse_by_ilink(world, uin, client.media)
        except AssertionError as error:
            requests = world.call("GET", "/ilink/requests")
            raise AssertionError(f"{error}\n{requests}\n{printed.read_text()}") from error
    violations = world.call("GET", f"/requests?uin={uin}")["violations"]
    assert {v["what"] for v in violations} <= client.notes
    assert [v for v in violations if v["refused"] is not None] == []
    everything = world.call("GET", "/requests")["violations"]  # requests before a scan have no uin
    assert client.notes <= {v["what"] for v in everything}


def converse_by_ilink(world: Stage, uin: int, media: bool) -> None:
    """Confirm the login, write to the account, and check the answers."""
    waiting = world.call("GET", "/logins?state=waiting&wait=20")
    assert waiting, "no login waits for a scan"
    world.call("POST", f"/logins/{waiting[-1]['uuid']}/confirm", {"uin": uin})
    until(lambda: (world.call("GET", f"/accounts/{uin}/ilink")["bot"] or {}).get("polling"), "the poll")
    world.call("POST", f"/accounts/{uin}/phone-send", {"to": "clawbot", "text": TEXT})
    [answer] = world.call("GET", f"/accounts/{uin}/ilink/sent?wait=20")
    assert (answer["text"], answer["problem"]) == (f"echo: {TEXT}", "")
    if not media:
        return
    file = {"to": "clawbot", "kind": "file", "name": "报告.bin", "size": 100_000}
    [item] = world.call("POST", f"/accounts/{uin}/phone-send", file)["message"]["item_list"]
    [answer] = world.call("GET", f"/accounts/{uin}/ilink/sent?after={answer['seq']}&wait=20")
    assert (answer["kind"], answer["name"], answer["problem"]) == ("file", "报告.bin", "")
    assert answer["md5"] == item["file_item"]["md5"]
