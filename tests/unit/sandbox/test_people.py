"""Revokes, remarks, groups and friend requests: what the client does, and what others do."""

import pytest

from tests.unit.sandbox.conftest import UIN
from tests.unit.sandbox.wire import Browser, Json, sandbox_and_browser
from wxcontroller.sandbox.sandbox import Options


def ret(answer: Json) -> int:
    code: int = answer["BaseResponse"]["Ret"]
    return code


async def details(browser: Browser) -> Json:
    return await browser.api("GET", f"/accounts/{UIN}")


async def friends(browser: Browser) -> Json:
    return [c for c in (await details(browser))["contacts"] if c["kind"] == "friend"]


async def call(browser: Browser, name: str, query: str = "", **body: Json) -> Json:
    return await browser.post(name, {"BaseRequest": browser.base(), **body}, query=query)


async def violations(browser: Browser) -> list[str]:
    return [v["what"] for v in (await browser.api("GET", f"/requests?uin={UIN}"))["violations"]]


# -- revoking


async def test_revoking(online: Browser) -> None:
    sent = await online.send("filehelper", "oops")
    body = {"SvrMsgId": sent["MsgID"], "ToUserName": "filehelper", "ClientMsgId": "1"}
    for wrong, code in (
        ({"SvrMsgId": "5"}, -2),
        ({"ToUserName": (await friends(online))[0]["username"]}, -2),
    ):
        assert ret(await call(online, "webwxrevokemsg", **(body | wrong))) == code
    [message] = await online.api("GET", f"/accounts/{UIN}/sent")
    assert not message["revoked"]
    answer = await call(online, "webwxrevokemsg", **body)
    assert (ret(answer), answer["SysWording"]) == (0, "")
    [message] = await online.api("GET", f"/accounts/{UIN}/sent")
    assert message["revoked"]


async def test_revoking_too_late() -> None:
    async with sandbox_and_browser(Options(revoke_window=0)) as (_, browser):
        await browser.log_in(UIN)
        sent = await browser.send("filehelper", "oops")
        body = {"SvrMsgId": sent["MsgID"], "ToUserName": "filehelper", "ClientMsgId": "1"}
        assert ret(await call(browser, "webwxrevokemsg", **body)) == -2


# -- remarks and pins


async def test_remarks_and_pins(online: Browser) -> None:
    friend = (await friends(online))[0]
    who = friend["username"]
    assert ret(await call(online, "webwxoplog", CmdId=2, RemarkName="老王 & Co", UserName=who)) == 0
    [changed] = (await online.sync())["ModContactList"]
    assert (changed["UserName"], changed["RemarkName"]) == (who, "老王 &amp; Co")
    assert ret(await call(online, "webwxoplog", CmdId=3, OP=1, RemarkName="老王 & Co", UserName=who)) == 0
    [changed] = (await online.sync())["ModContactList"]
    assert changed["ContactFlag"] & 0x800
    assert changed["RemarkName"] == "老王 &amp; Co"
    assert await violations(online) == []
    assert ret(await call(online, "webwxoplog", CmdId=3, OP=0, UserName=who)) == 0
    [changed] = (await online.sync())["ModContactList"]
    assert not changed["ContactFlag"] & 0x800
    assert changed["RemarkName"] == "", "as the real server does to who forgets it"
    assert len(await violations(online)) == 1
    group = (await details(online))["groups"][0]["username"]
    assert ret(await call(online, "webwxoplog", CmdId=3, OP=1, RemarkName="", UserName=group)) == 0
    [changed] = (await online.sync())["ModContactList"]
    assert (changed["UserName"], changed["ContactFlag"] & 0x800) == (group, 0x800)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"CmdId": 2, "RemarkName": "x", "UserName": "@nobody"}, -2),
        ({"CmdId": 2, "RemarkName": "x", "UserName": "filehelper"}, -2),
        ({"CmdId": 2, "UserName": "FRIEND"}, 1),
        ({"CmdId": 3, "OP": 7, "RemarkName": "", "UserName": "FRIEND"}, 1),
        ({"CmdId": 4, "RemarkName": "", "UserName": "FRIEND"}, 1),
    ],
)
async def test_oplogs_that_are_refused(online: Browser, body: Json, code: int) -> None:
    friend = (await friends(online))[0]["username"]
    body = {key: friend if value == "FRIEND" else value for key, value in body.items()}
    assert ret(await call(online, "webwxoplog", **body)) == code
    assert (await online.sync())["ModContactList"] == []


# -- groups


async def create(browser: Browser, *people: str, topic: str = "新群 & Co") -> Json:
    members = [{"UserName": username} for username in people]
    return await call(browser, "webwxcreatechatroom", MemberCount=len(members), MemberList=members, Topic=topic)


async def test_a_group_of_ones_own(online: Browser) -> None:
    one, two, three = (await friends(online))[:3]
    answer = await create(online, one["username"], two["username"])
    assert ret(answer) == 0
    assert [m["UserName"] for m in answer["MemberList"]] == [one["username"], two["username"]]
    room = answer["ChatRoomName"]
    assert room.startswith("@@")
    news = await online.sync()
    assert [(c["UserName"], c["NickName"]) for c in news["ModContactList"]] == [(room, "新群 &amp; Co")]
    assert news["ModContactList"][0]["ChatRoomOwner"] == online.me
    assert [(m["MsgType"], m["FromUserName"]) for m in news["AddMsgList"]] == [(10000, room)]
    assert ret(await online.send(room, "hello")) == 0

    async def update(fun: str, **body: str) -> int:
        return ret(await call(online, "webwxupdatechatroom", f"fun={fun}", ChatRoomName=room, **body))

    assert await update("addmember", AddMemberList=three["username"]) == 0
    assert await update("addmember", AddMemberList=three["username"]) == -2, "inside already"
    assert await update("modtopic", NewTopic="T") == 0
    assert await update("delmember", DelMemberList=f"{one['username']},{two['username']}") == 0
    news = await online.sync()
    assert [len(c["MemberList"]) for c in news["ModContactList"]] == [2, 2, 2], "each time as it is by now"
    words = [m["Content"] for m in news["AddMsgList"]]
    assert words[0].endswith("加入了群聊") and words[0].startswith("你邀请")
    assert words[1] == "你修改群名为“T”"
    assert words[2].startswith("你将") and words[2].endswith("移出了群聊")
    assert await update("quitchatroom") == 0
    assert [c["UserName"] for c in (await online.sync())["DelContactList"]] == [room]
    assert await update("modtopic", NewTopic="T") == -2
    assert await violations(online) == ["somebody is in the group already", "ChatRoomName is no group of this login"]


async def test_large_groups_are_joined_by_invitation(browser: Browser) -> None:
    account = await browser.api("POST", "/accounts", {"friends": 60, "groups": 1, "members": 40})
    await browser.log_in(account["uin"])
    seen = await browser.api("GET", f"/accounts/{account['uin']}")
    inside = {m["wxid"] for m in seen["groups"][0]["members"]}
    room = seen["groups"][0]["username"]
    outside = next(c for c in seen["contacts"] if c["kind"] == "friend" and c["wxid"] not in inside)
    body = {"ChatRoomName": room, "AddMemberList": outside["username"]}
    assert ret(await call(browser, "webwxupdatechatroom", "fun=addmember", **body)) == 1
    body = {"ChatRoomName": room, "InviteMemberList": outside["username"]}
    assert ret(await call(browser, "webwxupdatechatroom", "fun=invitemember", **body)) == 0


async def test_groups_that_cannot_be(online: Browser) -> None:
    friend = (await friends(online))[0]["username"]
    me = await details(online)
    seen = me["groups"]
    stranger = next(m for m in seen[0]["members"] if m["kind"] == "stranger")["username"]
    foreign = next(g for g in seen if g["owner"] != me["wxid"])
    assert ret(await create(online)) == 1
    assert ret(await create(online, friend, friend)) == 1
    assert ret(await create(online, friend, stranger)) == -2
    assert ret(await create(online, friend, "@nobody")) == -2
    body = {"ChatRoomName": foreign["username"], "DelMemberList": foreign["members"][1]["username"]}
    assert ret(await call(online, "webwxupdatechatroom", "fun=delmember", **body)) == -2, "not the owner"
    assert ret(await call(online, "webwxupdatechatroom", "fun=dance", ChatRoomName=foreign["username"])) == 1
    assert ret(await call(online, "webwxupdatechatroom", "fun=modtopic", ChatRoomName=friend, NewTopic="x")) == -2
    assert ret(await call(online, "webwxupdatechatroom", "fun=modtopic", ChatRoomName=seen[0]["username"])) == 1
    assert (await online.sync())["ModContactList"] == []


@pytest.mark.parametrize(("switch", "code"), [("removed", 1101), ("pretend", 0)])
async def test_group_operations_that_no_longer_work(online: Browser, switch: str, code: int) -> None:
    await online.api("POST", f"/accounts/{UIN}/settings", {"group_operations": switch})
    one, two = (f["username"] for f in (await friends(online))[:2])
    room = (await details(online))["groups"][0]["username"]
    answer = await create(online, one, two)
    assert (ret(answer), answer["ChatRoomName"]) == (code, "")
    for fun, body in (("modtopic", {"NewTopic": "x"}), ("quitchatroom", {})):
        assert ret(await call(online, "webwxupdatechatroom", f"fun={fun}", ChatRoomName=room, **body)) == code
    news = await online.sync()
    assert (news["ModContactList"], news["DelContactList"], news["AddMsgList"]) == ([], [], []), "nothing happened"
    path = f"/accounts/{UIN}/settings"
    assert "error" in await online.api("POST", path, {"group_operations": "maybe"}, status=400)


# -- what others do to groups


async def test_members_come_and_go(online: Browser) -> None:
    me = await details(online)
    group = me["groups"][0]
    path = f"/accounts/{UIN}"
    first, second = group["members"][1], group["members"][2]
    by = {"group": group["wxid"], "by": first["wxid"]}
    joined = await online.api("POST", f"{path}/join", {"who": "路人甲", **by})
    await online.api("POST", f"{path}/join", {"group": group["wxid"], "who": "路人乙"})
    await online.api("POST", f"{path}/leave", {"who": second["wxid"], **by})
    await online.api("POST", f"{path}/change", {"who": group["wxid"], "name": "新名字", "by": first["wxid"]})
    news = await online.sync()
    room = group["username"]
    assert [c["UserName"] for c in news["ModContactList"]] == [room] * 4
    members = {m["UserName"]: m["NickName"] for m in news["ModContactList"][-1]["MemberList"]}
    assert len(members) == len(group["members"]) + 1
    assert second["username"] not in members
    assert {"路人甲", "路人乙"} <= set(members.values())
    assert all(m["FromUserName"] == room and m["MsgType"] == 10000 for m in news["AddMsgList"])
    words = [m["Content"] for m in news["AddMsgList"]]
    assert words[0].endswith('邀请"路人甲"加入了群聊')
    assert words[1].startswith('" 路人乙"通过扫描')
    assert words[2].endswith("移出了群聊")
    assert words[3].endswith("修改群名为“新名字”")
    body = {"from": joined["wxid"], "group": group["wxid"], "text": "hi"}
    await online.api("POST", f"{path}/receive", body)
    [message] = (await online.sync())["AddMsgList"]
    assert message["Content"].split(":<br/>")[0] in members
    await online.api("POST", f"{path}/leave", {"who": me["wxid"], **by})
    news = await online.sync()
    assert [g["UserName"] for g in news["DelContactList"]] == [room]
    assert news["AddMsgList"][0]["Content"].startswith("你被")
    for verb, body in (
        ("join", {"group": "小明", "who": "x"}),
        ("join", {"group": me["groups"][1]["wxid"], "who": me["groups"][1]["members"][1]["wxid"]}),
        ("leave", {"group": me["groups"][1]["wxid"], "who": "nobody"}),
        ("change", {"who": "小明", "name": "x", "by": "小明"}),
    ):
        assert "error" in await online.api("POST", f"{path}/{verb}", body, status=400)


# -- friends


async def verify(browser: Browser, opcode: int, who: str, ticket: str = "", **changed: Json) -> int:
    body: Json = {
        "Opcode": opcode,
        "VerifyUserListSize": 1,
        "VerifyUserList": [{"Value": who, "VerifyUserTicket": ticket}],
        "VerifyContent": "你好" if opcode == 2 else "",
        "SceneListCount": 1,
        "SceneList": [33],
        "skey": browser.values["skey"],
    }
    return ret(await call(browser, "webwxverifyuser", **(body | changed)))


async def test_accepting_brings_a_friend_under_another_name(online: Browser) -> None:
    asked = await online.api(
        "POST", f"/accounts/{UIN}/receive", {"kind": "friend_request", "from": "新朋友", "text": "hi"}
    )
    info = (await online.sync())["AddMsgList"][0]["RecommendInfo"]
    assert await verify(online, 3, info["UserName"], "v2_other@stranger") == -14
    assert await verify(online, 3, online.me, info["Ticket"]) == -14
    assert await verify(online, 3, info["UserName"], info["Ticket"]) == 0
    news = await online.sync()
    [friend] = news["ModContactList"]
    assert friend["NickName"] == "新朋友"
    assert friend["ContactFlag"] & 1
    assert friend["UserName"] != info["UserName"]
    [notice] = news["AddMsgList"]
    assert (notice["MsgType"], notice["FromUserName"]) == (10000, friend["UserName"])
    assert ret(await online.send(friend["UserName"], "welcome")) == 0
    assert await verify(online, 3, info["UserName"], info["Ticket"]) == -14, "only once"
    names = {c["wxid"]: c["name"] for c in await friends(online)}
    assert names[asked["wxid"]] == "新朋友"


async def test_asking_a_member_to_be_a_friend(online: Browser) -> None:
    group = (await details(online))["groups"][0]
    stranger = next(m for m in group["members"] if m["kind"] == "stranger")
    assert await verify(online, 2, stranger["username"]) == 0
    [asked] = await online.api("GET", f"/accounts/{UIN}/asked?wait=1")
    assert (asked["wxid"], asked["greeting"]) == (stranger["wxid"], "你好")
    await online.api("POST", f"/accounts/{UIN}/befriend", {"who": stranger["wxid"]})
    [friend] = (await online.sync())["ModContactList"]
    assert friend["UserName"] == stranger["username"]
    assert ret(await online.send(stranger["username"], "hi")) == 0
    assert "error" in await online.api("POST", f"/accounts/{UIN}/befriend", {"who": stranger["wxid"]}, status=400)
    assert await verify(online, 2, stranger["username"], skey="@crypt_wrong") == 1101
    assert await verify(online, 2, "@nobody") == -2
    assert await verify(online, 4, stranger["username"]) == 1
