"""A client as its users see it: HTTP API, state file, reports."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from tests.patience import PATIENCE, until
from tests.unit.client.conftest import RunningClient, Webhook
from tests.unit.client.scripted import ANN, BEN, HELPER, ME, TEAM, logged_in, message
from wxcontroller.core.jsontypes import JsonValue, items, obj
from wxcontroller.core.messages import Text, text_from
from wxcontroller.core.model import Contact, Direction
from wxcontroller.drivers.base import (
    Accepted,
    Ended,
    EndReason,
    InputKind,
    InputRequired,
    Loading,
    LoginRefused,
    LoginStalled,
    LoginWay,
    LossReason,
    Offline,
    Online,
    Profile,
    QrReady,
    RosterChanged,
    RosterLoaded,
    Scanned,
    SessionLost,
)

Start = Callable[..., RunningClient]
QR = QrReady("https://login.weixin.qq.com/l/abc==", b"\xff\xd8jpeg", 1, 10)
POST_API = "MOJO_WEIXIN_PLUGIN_OPENWX_POST_API"


async def test_the_qr_file_lives_as_long_as_the_code(start: Start) -> None:
    client = start()
    client.driver.play([QR])
    state = await client.until_state("scaning")
    file = client.paths.qrcode_file("alice")
    assert file.read_bytes() == QR.image
    assert file.stat().st_mode & 0o777 == 0o640
    assert state["qrcode_link"] == QR.link
    client.driver.play(logged_in())
    state = await client.until_state("running")
    assert not file.exists()
    assert state["qrcode_link"] is None


async def test_people_and_groups_are_read_and_searched(start: Start) -> None:
    client = start()
    await client.login()
    assert obj(await client.get("get_user_info"))["displayname"] == "我"
    friends = await client.get("get_friend_info")
    assert isinstance(friends, list)
    assert [obj(f)["id"] for f in friends] == ["@ann", "@ben", "filehelper"]
    assert obj(friends[0])["displayname"] == "安"
    assert obj(friends[-1])["category"] == "系统帐号"
    found = await client.post("search_friend", displayname="安", city="深圳")
    assert isinstance(found, list)
    assert obj(found[0])["id"] == ANN.id
    assert await client.get("search_friend", displayname="安", city="") == {"code": 100, "status": "object not found"}
    assert await client.get("search_friend") == {"code": 100, "status": "object not found"}
    assert obj(await client.get("search_friend", set_markname="x"))["code"] == 102
    groups = await client.get("search_group", displayname="A、Cy")
    assert isinstance(groups, list)
    assert len(obj(groups[0])["member"]) == 3  # type: ignore[arg-type]
    basic = await client.get("get_group_basic_info")
    assert isinstance(basic, list)
    assert "member" not in obj(basic[0])


async def test_friends_are_those_of_the_moment(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address})
    await client.login()
    assert await client.get("get_friend_info") == await client.get("get_friend_info")
    client.driver.play([RosterChanged(contacts=(replace(ANN, markname="新"),), gone=(BEN.id,))])
    await webhook.event("lose_friend")
    friends = items(await client.get("get_friend_info"))
    assert [obj(one)["displayname"] for one in friends] == ["新", "文件传输助手"]
    client.driver.play([*logged_in()[:2], RosterLoaded((BEN, HELPER), ()), Online()])
    await webhook.until(lambda reports: sum(one.get("event") == "login" for one in reports) == 2)
    assert [obj(one)["id"] for one in items(await client.get("get_friend_info"))] == ["@ben", "filehelper"]


async def test_in_a_group_the_account_itself_is_one_of_the_members(start: Start, webhook: Webhook) -> None:
    """With its nickname as ``markname``, as members have it, and its name in that group."""
    client = start(**{POST_API: webhook.address})
    me, ann, cy = TEAM.members
    club = replace(TEAM, id="@@club", members=(replace(me, display="老板"), ann, cy))
    await client.login()
    client.driver.play([RosterChanged(groups=(club,))])
    in_group: dict[str, object] = {"chat": "@@club", "is_group": True}
    own = {"sender": "@me", "direction": Direction.SENT_ELSEWHERE}
    client.driver.play([message("in", **in_group), message("out", **in_group, **own)])
    await client.get("send_group_message", id="@@club", content="x")
    came, went, sent = await webhook.messages(3)
    expected = {"": "老板", "_id": "@me", "_name": "", "_markname": "我", "_account": "", "_uid": 4711}
    assert {key: came[f"receiver{key}"] for key in expected} == expected
    assert {key: went[f"sender{key}"] for key in expected} == expected
    assert {key: sent[f"sender{key}"] for key in expected} == expected
    client.driver.play([message("in", chat="@@team", is_group=True)])
    assert (await webhook.messages(4))[-1]["receiver"] == "我"


async def test_names_are_found_as_they_are_shown_and_as_the_original_showed_them(start: Start) -> None:
    client = start()
    shop, literal = Contact("@shop", "A&B <茶>"), Contact("@l", "A&amp;B <茶>")
    client.driver.play([Accepted(LoginWay.SCAN), Profile(ME), RosterLoaded((literal, shop), ()), Online()])
    await client.until_state("running")
    for name, found in (("A&B <茶>", "@shop"), ("A&amp;B &lt;茶&gt;", "@shop"), ("A&amp;B <茶>", "@l")):
        assert [obj(one)["id"] for one in items(await client.get("search_friend", name=name))] == [found]
        await client.get("send_friend_message", displayname=name, content="x")
        assert client.driver.sends[-1][0] == found


async def test_a_login_that_does_not_get_on_says_why(start: Start) -> None:
    client = start()
    client.driver.play([LoginStalled(Text("jslogin: can't connect"))])
    await until(lambda: "can't connect" in str(client.state().get("status")))
    state = client.state()
    assert (state["state"], state["reason"]) == ("loading", "jslogin: can't connect")
    client.driver.play([QR])
    assert (await client.until_state("scaning"))["reason"] == ""


async def test_a_login_is_running_only_once_wechat_has_answered(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address})
    *before, answered = logged_in()
    client.driver.play(before)
    await webhook.event("login")  # contacts and groups are there
    assert client.state()["state"] == "updating"
    client.driver.play([answered])
    await client.until_state("running")


async def test_session_lost_and_offline_are_never_called_running(start: Start) -> None:
    client = start()
    client.driver.play([*logged_in(), Offline(Text("no answer for 60 s"))])
    state = await client.until_state("updating")
    assert (state["login_state"], state["reason"]) == ("offline", "no answer for 60 s")
    client.driver.play([Online()])
    assert (await client.until_state("running"))["reason"] == ""
    client.driver.play([SessionLost(LossReason.LOGGED_OUT, 1100)])
    await client.until_state("loading")


async def test_a_client_that_can_do_no_more_stays_to_say_why(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address})
    client.driver.play([LoginRefused(1203, "not allowed", final=True), Ended(EndReason.REFUSED, Text("not allowed"))])
    state = await client.until_state("stop")
    answer = obj(await client.get("send_friend_message", id="@ann", content="x"))
    assert answer["code"] == -3
    assert "not allowed" in str(answer["status"])
    await webhook.until(lambda got: any(r.get("event") == "stop" for r in got))
    assert await client.stop() == 0
    assert (state["state"], state["login_state"]) == ("stop", "parked")
    assert "not allowed" in str(state["reason"])
    assert webhook.events("login") == [[-1, "not allowed"]]
    assert webhook.events("stop") == [[]]


async def test_a_driver_that_waits_for_a_person_parks_the_account_until_the_answer(
    start: Start, webhook: Webhook
) -> None:
    client = start(**{POST_API: webhook.address})
    prompt = "WeChat may be angry; to accept that, run: wxctl allow alice"
    client.driver.play([QR])
    await client.until_state("scaning")
    client.driver.play([InputRequired("allow", InputKind.CONSENT, Text(prompt))])
    state = await client.until_state("stop")
    assert (state["login_state"], state["reason"], state["qrcode_link"]) == ("parked", prompt, None)
    asked = obj(state["input"])
    assert text_from(asked.pop("prompt_text")) == Text(prompt)
    assert asked == {"id": "allow", "kind": "consent", "prompt": prompt, "digits": None}
    assert not client.paths.qrcode_file("alice").exists()
    assert await webhook.event("stop") == []

    async def answer(**body: object) -> tuple[int, JsonValue]:
        async with client.http.post(f"http://127.0.0.1:{client.port}/v1/input", json=body) as got:
            found = obj(await got.json())
            return got.status, obj(found.get("error")).get("code", found.get("answered"))

    assert await answer(id="other", value="yes") == (409, "not-asked")
    assert await answer(id="allow", value="no") == (400, "bad-request")
    assert await answer(id="allow", value=True) == (400, "bad-request")
    assert client.driver.commands == []
    assert await answer(id="allow", value="yes") == (200, True)
    assert client.driver.commands == [("answer", "allow", "yes")]
    client.driver.play([Loading()])
    state = await client.until_state("loading")
    assert (state["input"], state["reason"]) == (None, "")
    client.driver.play([QrReady(QR.link, QR.image, 2, 10), *logged_in()])
    await client.until_state("running")


async def test_what_a_driver_asked_for_is_over_when_it_ends(start: Start) -> None:
    client = start()
    client.driver.play([InputRequired("code", InputKind.CODE, Text("enter the code"), 6)])
    assert obj((await client.until_state("confirming"))["input"])["digits"] == 6
    client.driver.play([Ended(EndReason.LOGGED_OUT, Text("as was asked for"))])
    await until(lambda: client.state()["input"] is None)
    assert "as was asked for" in str(client.state()["reason"])


async def test_why_a_second_scan_is_needed_is_told_until_somebody_is_in(start: Start) -> None:
    client = start()
    client.driver.play([QR, Scanned()])
    await client.until_state("confirming")
    client.driver.play([LoginRefused(1203, "not this way", final=False, way=Text("in normal mode"))])
    why = "WeChat refused the login (1203: not this way); scan the new code: it is then tried in normal mode"
    async with asyncio.timeout(PATIENCE):
        while (state := client.state())["reason"] != why:
            await asyncio.sleep(0.01)
    assert (state["state"], state["status"]) == ("confirming", why)
    client.driver.play([QR])
    state = await client.until_state("scaning")
    assert (state["reason"], state["status"]) == (why, "waiting for a scan of QR code 1 of 10")
    client.driver.play([Scanned()])
    assert (await client.until_state("confirming"))["reason"] == ""  # it is tried now
    client.driver.play([QrReady(QR.link, QR.image, 2, 10)])  # and came to nothing
    assert (await client.until_state("scaning"))["reason"] == why
    client.driver.play(logged_in())
    assert (await client.until_state("running"))["reason"] == ""
    client.driver.play([SessionLost(LossReason.KICKED, 1101), QR])
    assert (await client.until_state("scaning"))["reason"] == ""


async def test_stop_client_keeps_the_api_until_it_stops(start: Start) -> None:
    client = start()
    await client.login()
    answer = obj(await client.post("stop_client"))
    assert (answer["code"], answer["status"]) == (0, f"success, client({answer['pid']}) will stop in 3 seconds")
    assert obj(await client.get("get_client_info"))["code"] == 0
    assert await asyncio.wait_for(client.task, PATIENCE) == 0
    assert client.driver.cancelled
