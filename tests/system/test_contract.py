"""Each call of the contract on the installed product: it succeeds, and does at WeChat what it says.

Each is made through the controller and at the account's port. Parameters, errors, forms and methods are tried in
process (tests/contract), with a scripted route to WeChat.
"""

import base64
import hashlib
import itertools
import json
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import quote

import pytest

from tests.contract.document import ENDPOINTS, Reply, covers
from tests.patience import PATIENCE
from tests.system.actors import CONTROLLER, Caller, Json, Phone, Webhook, log_in, until, use_sandbox
from tests.system.host import Host
from wxcontroller.core.jsontypes import JsonValue, text

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
# The first name is beyond ASCII: each request through the controller carries it.
NAME = "安娜 Ben"
PICTURES = (b"\xff\xd8", b"\x89PNG", b"GIF8")
GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
Given: TypeAlias = Mapping[str, str | bytes]
# Yields the parameters of a call, is sent the response, and looks at WeChat's side.
Case: TypeAlias = Generator[Given, Json, None]


class Answer(Reply):
    @property
    def json(self) -> Json:
        return json.loads(self.body)


@dataclass
class World:
    """An account with friends and groups; ``groups`` are the ids by their purpose."""

    host: Host
    phone: Phone
    hook: Webhook
    pool: ThreadPoolExecutor
    uin: str
    groups: dict[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def unique(self, word: str) -> str:
        return f"{word}{next(self._numbers)}"

    def ask(self, account: str, call: str, given: Given, direct: bool = False, method: str = "GET") -> Answer:
        """Make a call through the controller, or at the account's port."""
        pairs = given if direct else {**given, "client": account}
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs.items())
        base = f"http://127.0.0.1:{self.account(account)['port']}" if direct else CONTROLLER
        status, headers, body = self.host.http(method, f"{base}/openwx/{call}?{query}", timeout=PATIENCE)
        answer = Answer(status, headers.get("Content-Type", ""), body, headers)
        assert "Access-Control-Allow-Origin" not in answer.headers, answer  # no other page may read it (5.3 no. 43)
        assert answer.headers["Server"] in ("wxcontroller", "wxclient")
        if answer.content_type == "application/json" and answer.body:
            # UTF-8, sorted keys, no spaces, "/" escaped (openwx-api 0).
            form = json.dumps(answer.json, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
            assert answer.body == form.replace("/", "\\/").encode(), answer
        return answer

    def account(self, name: str) -> Json:
        return Caller(self.host).account(name)

    def get(self, call: str, **given: str) -> Json:
        return self.ask(NAME, call, given, direct=True).json

    def side(self) -> Json:
        """Return the account as WeChat has it."""
        return self.phone.world(self.uin)

    def friend(self, number: int) -> Json:
        return [one for one in self.side()["contacts"] if one["kind"] == "friend"][number]

    def members(self, purpose: str) -> list[Json]:
        [found] = [one for one in self.side()["groups"] if one["username"] == self.groups[purpose]]
        return list(found["members"])

    def inside(self, purpose: str) -> set[str]:
        return {one["username"] for one in self.members(purpose)}

    def until_sent(self, text: str) -> Json:
        def look() -> Json:
            return next((one for one in self.phone.sent(self.uin, 0, 0) if one["text"] == text), None)

        return until(look, f"{text} at WeChat")

    def receive(self, **message: str) -> None:
        self.phone.call("POST", f"/accounts/{self.uin}/receive", message)


def contacts_are_complete(kind: str) -> Callable[[World], Case]:
    def case(world: World) -> Case:
        listed = {one["id"] for one in (yield {})}
        assert {one["username"] for one in world.side()[kind] if one.get("saved", True)} <= listed

    return case


def get_user_info(world: World) -> Case:
    answer = yield {}
    assert (answer["id"], answer["name"]) == (world.side()["username"], world.side()["nickname"])


def search_friend(world: World) -> Case:
    wanted = world.friend(22)["username"]
    assert [one["id"] for one in (yield {"id": wanted})] == [wanted]


def search_group(world: World) -> Case:
    assert [one["id"] for one in (yield {"id": world.groups["invite"]})] == [world.groups["invite"]]


def get_avatar(world: World) -> Case:
    yield {"id": world.friend(22)["username"]}


def get_client_info(world: World) -> Case:
    yield {}


def check_event(world: World) -> Case:
    last = world.unique("the last news ")
    world.phone.write(world.uin, "filehelper", last)
    while last not in [event.get("content") for event in world.get("check_event")]:
        pass
    world.receive(**{"from": world.unique("新朋友")}, kind="friend_request", text="你好")
    assert [one["event"] for one in (yield {})] == ["friend_request"]


def message_to(whom: Callable[[World], str]) -> Callable[[World], Case]:
    def case(world: World) -> Case:
        text = world.unique("hello ")
        yield {"id": whom(world), "content": text}
        assert world.until_sent(text)["to_username"] == whom(world)

    return case


def consult(world: World) -> Case:
    text = world.unique("how are you ")

    def reply() -> None:
        world.receive(**{"from": world.until_sent(text)["to_username"]}, text=f"re: {text}")

    replying = world.pool.submit(reply)
    answer = yield {"id": world.friend(22)["username"], "content": text, "timeout": "10"}
    replying.result()
    assert answer["reply"] == f"re: {text}"


def upload_media(world: World) -> Case:
    picture = GIF + world.unique("picture ").encode()
    yield {"media_data": picture}
    digest = hashlib.md5(picture).hexdigest()
    assert world.host.http("GET", f"http://127.0.0.1:2100/sandbox/contents/{digest}")[0] == 200


def revoke_message(world: World) -> Case:
    text = world.unique("never mind ")
    yield {"id": str(world.get("send_friend_message", id="filehelper", content=text)["id"])}
    assert world.until_sent(text)["revoked"]


def create_group(world: World) -> Case:
    people, name = {world.friend(number)["username"] for number in (3, 4)}, world.unique("new group ")
    answer = yield {"friends": ",".join(people), "displayname": name}
    newest = world.side()["groups"][-1]
    assert (newest["name"], newest["username"]) == (name, answer["group_id"])
    assert {one["username"] for one in newest["members"]} == people | {world.side()["username"]}


def invite_friend(world: World) -> Case:
    friends = (one["username"] for one in world.side()["contacts"] if one["kind"] == "friend")
    invited = next(one for one in friends if one not in world.inside("invite"))
    yield {"id": world.groups["invite"], "friends": invited}
    assert invited in world.inside("invite")


def kick_group_member(world: World) -> Case:
    def look() -> str:
        known = {one["id"] for group in world.get("get_group_info") for one in group["member"]}
        return next(
            (i["username"] for i in world.members("kick") if i["kind"] == "friend" and i["username"] in known), ""
        )

    removed = until(look, "a member that the account knows")
    yield {"id": world.groups["kick"], "members": removed}
    assert removed not in world.inside("kick")


def set_group_displayname(world: World) -> Case:
    name = world.unique("named ")
    yield {"id": world.groups["rename"], "new_displayname": name}
    assert name in {one["name"] for one in world.side()["groups"] if one["username"] == world.groups["rename"]}


def stick(world: World) -> Case:
    before = world.friend(20)
    yield {"id": before["username"], "op": "0" if before["pinned"] else "1"}
    assert world.friend(20)["pinned"] == (not before["pinned"])


def set_markname(world: World) -> Case:
    name = world.unique("called ")
    yield {"id": world.friend(21)["username"], "new_markname": name}
    assert world.friend(21)["remark"] == name


def make_friend(world: World) -> Case:
    members = [one for group in world.side()["groups"] for one in group["members"]]
    known = {one["id"] for group in world.get("get_group_info") for one in group["member"]}
    stranger = next(one for one in members if one["kind"] == "stranger" and one["username"] in known)
    greeting = world.unique("it is me ")
    yield {"id": stranger["username"], "verify": greeting}
    newest = world.phone.call("GET", f"/accounts/{world.uin}/asked")[-1]
    assert (newest["wxid"], newest["greeting"]) == (stranger["wxid"], greeting)


def accept_friend_request(world: World) -> Case:
    name = world.unique("新朋友")
    world.receive(**{"from": name}, kind="friend_request", text="你好")
    report = world.hook.wait_for(
        lambda report: report.get("event") == "friend_request" and report["params"][1] == name, "friend request"
    )
    person, _, _, ticket = report["params"]
    yield {"id": person, "displayname": name, "ticket": ticket}
    assert name in {one["name"] for one in world.side()["contacts"]}


CASES: Mapping[str, Callable[[World], Case]] = {
    "get_friend_info": contacts_are_complete("contacts"),
    "get_group_info": contacts_are_complete("groups"),
    "get_group_basic_info": contacts_are_complete("groups"),
    "send_friend_message": message_to(lambda world: str(world.friend(22)["username"])),
    "send_group_message": message_to(lambda world: world.groups["invite"]),
    "set_friend_markname": set_markname,
    **{
        case.__name__: case
        for case in (
            *(get_user_info, search_friend, search_group, get_avatar, get_client_info, check_event, consult),
            *(upload_media, revoke_message, create_group, invite_friend, kick_group_member, set_group_displayname),
            *(stick, set_markname, make_friend, accept_friend_request),
        )
    },
}


@pytest.fixture(scope="module")
def world(host: Host) -> Iterator[World]:
    use_sandbox(host)
    phone = Phone(host)
    with Webhook(host) as hook, ThreadPoolExecutor(1) as pool:
        uin = phone.account(NAME, seed=7, friends=40)
        log_in(Caller(host), phone, NAME, uin, post_api=hook.address)
        made = World(host, phone, hook, pool, uin)
        for purpose, size in (("invite", 2), ("kick", 14), ("rename", 2)):
            friends = ",".join(made.friend(number)["username"] for number in range(1, size + 1))
            made.groups[purpose] = made.get("create_group", friends=friends, displayname=f"组 {purpose}")["group_id"]
        known = {*made.groups.values()}
        until(lambda: known <= {one["id"] for one in made.get("get_group_info")}, "the groups")
        yield made


def test_all_calls_are_tried() -> None:
    assert set(CASES) == set(CALLS) - {"stop_client"}


@pytest.mark.parametrize("call", CASES)
def test_call_succeeds_with_its_documented_effect(world: World, call: str) -> None:
    is_picture, example = bool(CALLS[call].get("success_content_type")), CALLS[call]["success_example"]
    for direct in (False, True):
        case = CASES[call](world)
        answer = world.ask(NAME, call, next(case), direct)
        assert answer.status == 200, answer
        if is_picture:
            assert answer.content_type.startswith("image/")
            assert answer.body.startswith(PICTURES)
        else:
            assert answer.content_type == "application/json"
            covers(answer.json, example)
            check_code(answer.json, example)
        with pytest.raises(StopIteration):
            case.send(None if is_picture else answer.json)


def check_code(answer: Json, example: JsonValue) -> None:
    """Compare code and status with the example's; where that has null, with those of any success (5.1 no. 3)."""
    if isinstance(example, dict) and "status" in example:
        status = re.escape(str(example["status"] or "success"))
        assert answer["code"] == 0, answer
        assert re.fullmatch(re.sub(r"[0-9]+", "[0-9]+", status), answer["status"]), answer


def test_calls_of_the_controller_start_and_stop_an_account(world: World) -> None:
    def ask(call: str, method: str = "GET") -> Answer:
        return world.ask("shop01", call, {}, method=method)

    started = ask("start_client").json
    covers(started, OWN["start_client"]["success_example"])
    assert (started["code"], started["status"]) == (0, "success")
    assert world.account("shop01")["unit_state"] == "active"
    again = ask("start_client").json
    assert (again["code"], again["status"]) == (0, "client already exists")
    Caller(world.host).until_state("shop01", "scaning")
    example = OWN["check_client"]["success_example"]
    assert isinstance(example, dict)
    covers(without_options(ask("check_client").json), without_options(example))
    assert ask("get_qrcode").body.startswith(b"\xff\xd8")
    for call in ("check_client", "get_qrcode"):
        head = ask(call, "HEAD")
        assert (head.status, head.content_type, head.body) == (200, ask(call).content_type, b"")
    stopped = ask("stop_client").json
    covers(stopped, OWN["stop_client"]["success_example"])
    assert (stopped["code"], stopped["port"]) == (0, started["port"])
    for call in ("stop_client", "check_client", "get_qrcode", "get_user_info"):
        assert ask(call).json == {"code": 1, "status": "client not exists"}


def without_options(answer: Json) -> Json:
    """Return check_client's response without options that are numbers or texts, as they were set (openwx-api 4.4)."""
    either = {"log_console", "disable_color"}
    return {**answer, "client": [{k: v for k, v in one.items() if k not in either} for one in answer["client"]]}


def test_requests_to_wechat_followed_its_protocol(world: World) -> None:
    assert world.phone.call("GET", f"/requests?uin={world.uin}")["violations"] == []


def test_stop_at_an_accounts_port_ends_it(world: World) -> None:
    answer = world.ask(NAME, "stop_client", {}, direct=True)
    assert (answer.status, answer.json["code"]) == (200, 0)
    Caller(world.host).until_state(NAME, "stop")
