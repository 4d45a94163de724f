"""Each call of the contract on the installed product, through the controller and at the account's port.

Parameters, errors, forms and methods are tested in process (tests/contract), and so is what calls about friends and
groups do at WeChat (tests/unit/drivers).
"""

import base64
import itertools
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import quote

import pytest

from tests.contract.document import ENDPOINTS, Reply, covers
from tests.patience import PATIENCE
from tests.system import actors
from tests.system.actors import CONTROLLER, Json, Phone, Webhook, log_in, until, use_sandbox
from tests.system.host import Host
from wxcontroller.core.jsontypes import JsonValue, items, obj, text

pytestmark = pytest.mark.system
# By the last part of their paths; one with * is a rule for all others.
CALLS, OWN = (
    {
        text(row["path"]).rpartition("/")[2]: row
        for row in ENDPOINTS
        if row["scope"] == scope and "*" not in text(row["path"])
    }
    for scope in ("client", "controller")
)
# The name is beyond ASCII: each request through the controller carries it.
NAME = "安娜 Ben"
PICTURES = (b"\xff\xd8", b"\x89PNG", b"GIF8")
GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
Parameters: TypeAlias = Mapping[str, str | bytes]


@dataclass
class World(actors.World):
    """An account with friends and a group, which has the first of them as members."""

    friends: list[str] = field(default_factory=list)
    members: list[str] = field(default_factory=list)
    group: str = ""
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def unique(self, word: str) -> str:
        return f"{word}{next(self._numbers)}"

    def ask(
        self, account: str, call: str, parameters: Parameters, direct: bool = False, method: str = "GET"
    ) -> Reply:
        """Make a call through the controller, or at the account's port."""
        pairs = parameters if direct else {**parameters, "client": account}
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs.items())
        base = f"http://127.0.0.1:{self.caller.account(account)['port']}" if direct else CONTROLLER
        status, headers, body = self.host.http(method, f"{base}/openwx/{call}?{query}", timeout=PATIENCE)
        return Reply(status, headers.get("Content-Type", ""), body, headers)

    def get(self, call: str, **parameters: str) -> Json:
        return self.ask(NAME, call, parameters, direct=True).json

    def sends(self) -> list[Json]:
        return self.phone.sent(self.uin, 0, 0)

    def stranger(self) -> str:
        """Return a stranger whom the account knows from a group."""
        known = {each["id"] for group in self.get("get_group_info") for each in group["member"]}
        members = (member for group in self.phone.world(self.uin)["groups"] for member in group["members"])
        strangers = (str(member["username"]) for member in members if member["kind"] == "stranger")
        return next(stranger for stranger in strangers if stranger in known)

    def request_of_a_stranger(self) -> Parameters:
        name = self.unique("新朋友")
        message = {"from": name, "kind": "friend_request", "text": "你好"}
        self.phone.call("POST", f"/accounts/{self.uin}/receive", message)
        report = self.hook.wait_for(
            lambda report: report.get("event") == "friend_request" and report["params"][1] == name, "friend request"
        )
        person, _, _, ticket = report["params"]
        return {"id": person, "displayname": name, "ticket": ticket}


def members_of(world: World) -> set[str]:
    """Return the members of the group as the account knows them."""
    groups = world.get("get_group_info")
    return {member["id"] for group in groups if group["id"] == world.group for member in group["member"]}


def nothing(world: World) -> Parameters:
    return {}


def a_waiting_event(world: World) -> Parameters:
    world.request_of_a_stranger()
    return {}


def a_question_that_is_answered(world: World) -> Parameters:
    question = world.unique("how are you ")

    def reply() -> None:
        until(lambda: question in [send["text"] for send in world.sends()], question)
        world.phone.write(world.uin, friend, "fine")

    friend = world.friends[0]
    threading.Thread(target=reply).start()
    return {"id": friend, "content": question, "timeout": "10"}


PARAMETERS: Mapping[str, Callable[[World], Parameters]] = {
    **dict.fromkeys(("get_user_info", "get_friend_info", "get_group_info", "get_group_basic_info"), nothing),
    "get_client_info": nothing,
    "check_event": a_waiting_event,
    **dict.fromkeys(("search_friend", "get_avatar"), lambda world: {"id": world.friends[0]}),
    "search_group": lambda world: {"id": world.group},
    "send_friend_message": lambda world: {"id": world.friends[0], "content": world.unique("hello ")},
    "send_group_message": lambda world: {"id": world.group, "content": world.unique("hello ")},
    "consult": a_question_that_is_answered,
    "upload_media": lambda world: {"media_data": GIF + world.unique("picture ").encode()},
    "revoke_message": lambda world: {
        "id": world.get("send_friend_message", id="filehelper", content="never mind")["id"]
    },
    "create_group": lambda world: {
        "friends": ",".join(world.friends[:2]),
        "displayname": world.unique("new group "),
    },
    "invite_friend": lambda world: {"id": world.group, "friends": world.friends.pop()},
    "kick_group_member": lambda world: {"id": world.group, "members": world.members.pop()},
    "set_group_displayname": lambda world: {"id": world.group, "new_displayname": world.unique("named ")},
    "stick": lambda world: {"id": world.friends[1], "op": "1"},
    **dict.fromkeys(
        ("set_markname", "set_friend_markname"),
        lambda world: {"id": world.friends[2], "new_markname": world.unique("called ")},
    ),
    "make_friend": lambda world: {"id": world.stranger(), "verify": "it is me"},
    "accept_friend_request": World.request_of_a_stranger,
}


@pytest.fixture(scope="module")
def world(host: Host) -> Iterator[World]:
    use_sandbox(host)
    with Webhook(host) as hook:
        made = World(host, hook, Phone(host).account(NAME, seed=7, friends=40))
        log_in(made.caller, made.phone, NAME, made.uin, post_api=hook.address)
        contacts = made.phone.world(made.uin)["contacts"]
        friends = [contact["username"] for contact in contacts if contact["kind"] == "friend"]
        made.members, made.friends = friends[:14], friends[14:]
        made.group = made.get("create_group", friends=",".join(made.members), displayname="组")["group_id"]
        until(lambda: {*made.members} <= members_of(made), "the group and its members")
        yield made


def test_all_calls_are_tried() -> None:
    assert set(PARAMETERS) == set(CALLS) - {"stop_client"}


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("call", PARAMETERS)
def test_call_returns_its_documented_response(world: World, call: str, direct: bool) -> None:
    parameters, example = PARAMETERS[call](world), CALLS[call]["success_example"]
    answer = world.ask(NAME, call, parameters, direct)
    assert answer.status == 200, answer
    if CALLS[call].get("success_content_type"):
        assert answer.content_type.startswith("image/")
        assert answer.body.startswith(PICTURES)
        return
    assert answer.content_type == "application/json"
    if call == "check_event":  # the example's parameters are those of another event
        example = [{key: value for key, value in obj(event).items() if key != "params"} for event in items(example)]
    covers(answer.json, example)
    check_code(answer.json, example)
    if call.startswith("send_"):
        sent = world.sends()[-1]
        assert (sent["text"], sent["to_username"]) == (parameters["content"], parameters["id"])
    if call == "revoke_message":
        assert world.sends()[-1]["revoked"]


def check_code(answer: Json, example: JsonValue) -> None:
    """Compare code and status with the example's; where that has null, with those of any success (5.1 no. 3)."""
    if isinstance(example, dict) and "status" in example:
        status = re.escape(str(example["status"] or "success"))
        assert answer["code"] == 0, answer
        assert re.fullmatch(re.sub(r"[0-9]+", "[0-9]+", status), answer["status"]), answer


def test_calls_of_the_controller_start_and_stop_an_account(world: World) -> None:
    def ask(call: str, method: str = "GET") -> Reply:
        return world.ask("shop01", call, {}, method=method)

    started: Json = ask("start_client").json
    covers(started, OWN["start_client"]["success_example"])
    assert (started["code"], started["status"]) == (0, "success")
    assert world.caller.account("shop01")["unit_state"] == "active"
    again: Json = ask("start_client").json
    assert (again["code"], again["status"]) == (0, "client already exists")
    world.caller.until_state("shop01", "scaning")
    assert ask("get_qrcode").body.startswith(b"\xff\xd8")
    for call in ("check_client", "get_qrcode"):
        head = ask(call, "HEAD")
        assert (head.status, head.content_type, head.body) == (200, ask(call).content_type, b"")
    stopped: Json = ask("stop_client").json
    covers(stopped, OWN["stop_client"]["success_example"])
    assert (stopped["code"], stopped["port"]) == (0, started["port"])
    for call in ("stop_client", "check_client", "get_qrcode", "get_user_info"):
        assert ask(call).json == {"code": 1, "status": "client not exists"}


def test_requests_to_wechat_followed_its_protocol(world: World) -> None:
    assert world.phone.call("GET", f"/requests?uin={world.uin}")["violations"] == []


def test_stop_at_an_accounts_port_ends_it(world: World) -> None:
    answer: Json = world.ask(NAME, "stop_client", {}, direct=True).json
    assert answer["code"] == 0
    world.caller.until_state(NAME, "stop")
