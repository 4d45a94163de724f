"""What an answer must be true of: the far side, where every call that changes something is looked for.

A call without an entry is one that only answers.
"""

import hashlib
from collections.abc import Callable, Mapping

from tests.system.contract_arguments import Given, Value
from tests.system.contract_world import Account, Answer, World

Effect = Callable[[World, Account, Given, Answer], None]


def _text(given: Given, name: str) -> str:
    value = given.get(name, "")
    return value if isinstance(value, str) else value.decode()


def _digest(content: Value) -> str:
    return hashlib.md5(content if isinstance(content, bytes) else content.encode()).hexdigest()


def sent(world: World, account: Account, given: Given, answer: Answer) -> None:
    """The text has arrived, with whom it was for."""
    target, content = _text(given, "id"), _text(given, "content")
    world.sent(account, lambda one: one["text"] == content and one["to_username"] == target, content)


def consulted(world: World, account: Account, given: Given, answer: Answer) -> None:
    sent(world, account, given, answer)
    assert answer.json["reply"] == f"re: {_text(given, 'content')}"


def uploaded(world: World, account: Account, given: Given, answer: Answer) -> None:
    """WeChat has the bytes."""
    digest = _digest(given["media_data"])
    status, _, _ = world.host.http("GET", f"http://127.0.0.1:2100/sandbox/contents/{digest}")
    assert status == 200, digest


def revoked(world: World, account: Account, given: Given, answer: Answer) -> None:
    message = _text(given, "id").partition(":")[0]
    assert next(one["revoked"] for one in world.phone.sent(account.uin, seconds=0) if str(one["msg_id"]) == message)


def group_made(world: World, account: Account, given: Given, answer: Answer) -> None:
    people = set(_text(given, "friends").split(","))
    newest = world.side(account)["groups"][-1]
    assert newest["name"] == _text(given, "displayname")
    assert {one["username"] for one in newest["members"]} == people | {world.side(account)["username"]}
    assert answer.json["group_id"] == newest["username"]


def invited(world: World, account: Account, given: Given, answer: Answer) -> None:
    people = _text(given, "friends").split(",")
    identifier = _text(given, "id")
    inside = {one["username"] for one in world.group(account, identifier)["members"]}
    assert inside.issuperset(people)
    for person in people:  # room for the next
        world.phone.call("POST", f"/accounts/{account.uin}/leave", {"group": identifier, "who": person})


def kicked(world: World, account: Account, given: Given, answer: Answer) -> None:
    people = _text(given, "members").split(",")
    identifier = _text(given, "id")
    assert not {one["username"] for one in world.group(account, identifier)["members"]}.intersection(people)
    for person in people:
        world.phone.call("POST", f"/accounts/{account.uin}/join", {"group": identifier, "who": person})


def renamed(world: World, account: Account, given: Given, answer: Answer) -> None:
    assert world.group(account, _text(given, "id"))["name"] == _text(given, "new_displayname")


def pinned(world: World, account: Account, given: Given, answer: Answer) -> None:
    [chat] = [one for one in world.friends(account) if one["username"] == _text(given, "id")]
    assert chat["pinned"] == (given.get("op", "1") not in ("0", ""))


def marked(world: World, account: Account, given: Given, answer: Answer) -> None:
    remark = _text(given, "new_markname")
    [person] = [one for one in world.side(account)["contacts"] if one["username"] == given["id"]]
    assert person["remark"] == remark


def asked(world: World, account: Account, given: Given, answer: Answer) -> None:
    newest = world.phone.call("GET", f"/accounts/{account.uin}/asked")[-1]
    wanted = _text(given, "id")
    members = [one for group in world.side(account)["groups"] for one in group["members"]]
    assert newest["wxid"] == next(one["wxid"] for one in members if one["username"] == wanted)
    assert newest["greeting"] == _text(given, "verify")


def befriended(world: World, account: Account, given: Given, answer: Answer) -> None:
    ticket = _text(given, "ticket")
    name = next(
        report["params"][1]
        for report in world.hook.reports
        if report.get("event") == "friend_request" and report["params"][3] == ticket
    )
    assert name in {one["name"] for one in world.friends(account)}


def searched(call: str) -> Effect:
    """The answer are all who have these attributes, and nobody else."""

    def check(world: World, account: Account, given: Given, answer: Answer) -> None:
        wanted = {name: value for name, value in given.items() if not name.startswith("_")}
        everybody = world.direct(account, call)
        expected = [one["id"] for one in everybody if all(str(one[key]) == v for key, v in wanted.items())]
        assert [one["id"] for one in answer.json] == expected

    return check


def whole_list(kind: str) -> Effect:
    """Nobody whom WeChat lists is missing."""

    def check(world: World, account: Account, given: Given, answer: Answer) -> None:
        there = {one["id"] for one in answer.json}
        assert {one["username"] for one in world.side(account)[kind] if one.get("saved", True)} <= there

    return check


def oneself(world: World, account: Account, given: Given, answer: Answer) -> None:
    side = world.side(account)
    assert (answer.json["id"], answer.json["name"]) == (side["username"], side["nickname"])


EFFECTS: Mapping[str, Effect] = {
    "get_user_info": oneself,
    "get_friend_info": whole_list("contacts"),
    "get_group_info": whole_list("groups"),
    "get_group_basic_info": whole_list("groups"),
    "search_friend": searched("get_friend_info"),
    "search_group": searched("get_group_basic_info"),
    "send_friend_message": sent,
    "send_group_message": sent,
    "consult": consulted,
    "upload_media": uploaded,
    "revoke_message": revoked,
    "create_group": group_made,
    "invite_friend": invited,
    "kick_group_member": kicked,
    "set_group_displayname": renamed,
    "stick": pinned,
    "set_markname": marked,
    "set_friend_markname": marked,
    "make_friend": asked,
    "accept_friend_request": befriended,
}
