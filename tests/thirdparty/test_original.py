"""The contract beside the original: Mojo-Weixin and our client in one sandbox tell the same of the same.

Runs where MOJO_WEIXIN_LIB names Mojo-Weixin and its old Mojolicious. ``comparable`` evens out the differences that
docs/compatibility.md lists.
"""

import html
import http.client
import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial

import pytest

from tests.system.host import network_of
from tests.thirdparty.stage import ROOT, Json, Stage, stage
from tests.thirdparty.test_clients import CLIENTS
from wxcontroller.core.paths import Paths

MOJO = os.environ.get("MOJO_WEIXIN_LIB", "")
ORIGINAL, OURS = "original", "ours"
PORTS = {ORIGINAL: 3000, OURS: 3001}
# Fields that only we have, or fill; and those that are other ones for each account.
OTHER = re.compile(r"(?:.*_)?account|(?:.*_)?uid|app_type|app_articles|media_(?:name|path|data|mtime|size)|time")


@dataclass(frozen=True, slots=True)
class Pair:
    """Both clients, logged in as accounts (``uins``) of the same people."""

    world: Stage
    uins: dict[str, int]

    def call(self, who: str, call: str) -> Json:
        connection = http.client.HTTPConnection("127.0.0.1", PORTS[who], timeout=60)
        with network_of(self.world.process), closing(connection):
            connection.request("GET", f"/openwx/{call}")
            return json.loads(connection.getresponse().read())

    def told(self, path: str, body: Json) -> tuple[Json, Json]:
        """Let the same happen to both; return what each of them hands out of it."""
        for uin in self.uins.values():
            self.world.call("POST", f"/accounts/{uin}/{path}", body)
        theirs, ours = (comparable(self.call(who, "check_event")[-1], who) for who in PORTS)
        return theirs, ours


def comparable(value: Json, who: str) -> Json:
    if isinstance(value, dict):
        return {key: comparable(one, who) for key, one in value.items() if not OTHER.fullmatch(key)}
    if isinstance(value, list):
        return [comparable(one, who) for one in value]
    if not isinstance(value, str):
        return "" if value is None else value
    value = html.unescape(value) if who == ORIGINAL else value
    value = re.sub(r"@@?[0-9a-f]{20,}|[0-9]{15,}|v2_\w+", "ID", value)
    return re.sub(r"\(/[^)]*\)", "(PATH)", value)


def polls(world: Stage, uin: int) -> bool:
    return any(one["polling"] for one in world.call("GET", f"/accounts/{uin}")["sessions"])


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    if not MOJO:
        pytest.skip("Mojo-Weixin is not there: set MOJO_WEIXIN_LIB")
    place = tmp_path_factory.mktemp("pair")
    with stage(place) as world, ExitStack() as running:
        uins = {who: world.call("POST", "/accounts", {"nickname": "Al & Bo", "seed": 7})["uin"] for who in PORTS}
        paths = Paths(place / "root")
        for directory in (paths.runtime(OURS), paths.state(OURS)):
            directory.mkdir(parents=True)
        started = {
            ORIGINAL: (("perl", str(CLIENTS / "openwx_mojo.pl")), {"PERL5LIB": MOJO, "SSL_CERT_FILE": str(world.ca)}),
            OURS: (
                ("/usr/bin/python3", "-m", "wxcontroller.client", OURS),
                {
                    "PYTHONPATH": str(ROOT),
                    "MOJO_WEIXIN_PLUGIN_OPENWX_PORT": str(PORTS[OURS]),
                    "MOJO_WEIXIN_SEND_INTERVAL": "0",
                    "WXCLIENT_SERVER": "http://127.0.0.1:2100",
                    "MOJO_WEIXIN_STATE_PATH": str(paths.state_file(OURS)),
                    "MOJO_WEIXIN_QRCODE_PATH": str(paths.qrcode_file(OURS)),
                    "MOJO_WEIXIN_PID_PATH": str(paths.pid_file(OURS)),
                    "MOJO_WEIXIN_COOKIE_PATH": str(paths.cookie_file(OURS)),
                    "MOJO_WEIXIN_MEDIA_DIR": str(paths.media(OURS)),
                },
            ),
        }
        for who, (command, environment) in started.items():
            running.enter_context(world.client(command, {**environment, "PORT": str(PORTS[who])}))
            [login] = world.call("GET", "/logins?state=waiting&wait=20")
            world.call("POST", f"/logins/{login['uuid']}/confirm", {"uin": uins[who]})
            at_work = partial(polls, world, uins[who])
            world.until(at_work, f"the login of the {who}")
        made = Pair(world, uins)
        made.call(ORIGINAL, "check_event")  # of the file helper, as a new friend
        yield made


def people(pair: Pair) -> Json:
    return pair.world.call("GET", f"/accounts/{pair.uins[OURS]}")


def test_contacts_are_the_same_in_the_same_order(pair: Pair) -> None:
    for call in ("get_user_info", "get_user_info.json"):
        theirs, ours = (comparable(pair.call(who, call), who) for who in PORTS)
        assert ours == theirs
    theirs, ours = (comparable(pair.call(who, "get_friend_info"), who) for who in PORTS)
    for one in (*theirs, *ours):
        one.pop("signature", None)  # emoji stay HTML there
    assert ours[:-1] == theirs[:-1]
    assert theirs[-1].items() <= ours[-1].items()  # the file helper lacks fields there


@pytest.mark.parametrize("kind", ["text", "voice", "image", "emoticon", "link", "transfer", "card"])
def test_messages_of_a_friend(pair: Pair, kind: str) -> None:
    more = {
        "text": {"text": "a <b> & c"},
        "link": {"title": "T", "url": "http://x/", "description": "d", "app_name": "n"},
    }
    body = {"from": "Tom O'Neil", "kind": kind, **more.get(kind, {}), **({"who": "苏洋"} if kind == "card" else {})}
    original, ours = pair.told("receive", body)
    assert ours == original


def test_messages_of_a_group(pair: Pair) -> None:
    [group] = [one for one in people(pair)["groups"] if one["name"] == "产品需求讨论"]
    sender = group["members"][1]["wxid"]
    for path, body in (
        ("receive", {"from": sender, "group": group["name"], "text": "hi"}),
        ("receive", {"group": group["name"], "kind": "notice", "text": "a notice"}),
        ("phone-send", {"to": group["name"], "text": "from the phone"}),
    ):
        original, ours = pair.told(path, body)
        assert ours == original


def test_friends_that_come_and_go(pair: Pair) -> None:
    original, ours = pair.told("receive", {"from": "Stranger", "kind": "friend_request", "text": "hi & bye"})
    assert ours == original
    original, ours = pair.told("remove", {"who": "陈雨"})
    assert ours == original
