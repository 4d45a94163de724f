"""Calls about people and pictures, sends and states; callers that wait, and what happens if they hang up."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.patience import PATIENCE, until
from tests.serving import answering
from tests.unit.client.conftest import POST_API, RunningClient, Start, Webhook, running
from tests.unit.client.scripted import ANN, logged_in, message
from wxcontroller.client.incoming.checkevent import EventRing
from wxcontroller.client.login import session
from wxcontroller.client.sends.content.splitting import split_text
from wxcontroller.core.errors import WeChatError
from wxcontroller.core.jsontypes import items, obj
from wxcontroller.core.model import Contact, Direction
from wxcontroller.core.text.templates import Text
from wxcontroller.drivers import base

SLOW = {"MOJO_WEIXIN_SEND_INTERVAL": "60"}


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    """The address of a server that takes requests and never answers."""
    async with answering(None) as port:
        yield f"http://127.0.0.1:{port}/a.png"


async def queued(client: RunningClient) -> None:
    """Let the account send once, so that everything after it waits for its turn."""
    await client.login()
    await client.get("send_friend_message", id="@ben", content="first")
    await until(lambda: client.driver.sends)


async def test_send_that_times_out_reports_that_it_continues(start: Start) -> None:
    client = start(**SLOW, WXCLIENT_LIMIT_SEND_ANSWER_SECONDS="0.3")
    await queued(client)
    for call in ("send_friend_message", "consult"):
        answer = obj(await client.get(call, id="@ann", content="x"))
        assert (answer["id"], answer["code"]) == (None, -7)
        assert "still queued" in str(answer["status"])
    assert obj(await client.get("get_client_info"))["queued"] == 2


async def test_fetching_and_waiting_share_one_timeout(start: Start, silent: str) -> None:
    client = start(WXCLIENT_MEDIA_PRIVATE_URLS="1", WXCLIENT_LIMIT_SEND_ANSWER_SECONDS="0.3", **SLOW)
    await queued(client)
    async with asyncio.timeout(PATIENCE):  # fetching may take 120 s
        answer = obj(await client.get("send_friend_message", id="@ann", content="x", media_path=silent))
        assert (answer["code"], answer["media_id"]) == (-7, "")
        answer = obj(await client.get("upload_media", media_path=silent))
    assert (answer["code"], answer["media_id"]) == (-1, None)
    assert "not done in" in str(answer["status"])


async def test_disconnected_caller_does_not_cancel_its_message(start: Start) -> None:
    client = start()
    client.driver.send_gate = asyncio.Event()
    await client.login()
    await client.get("send_friend_message", id="@ann", content="first", **{"async": "1"})
    for number, call in enumerate(("openwx/send_friend_message?id=@ben&content=old", "v1/messages")):
        body = {"to": "@ben", "text": "new"} if number else None
        url = f"http://127.0.0.1:{client.port}/{call}"
        caller = asyncio.create_task(client.http.request("POST" if number else "GET", url, json=body))
        await client.until_queued(number + 2)
        caller.cancel()
        await asyncio.wait([caller])
    await client.get("get_client_info")  # by then the account has noticed
    client.driver.send_gate.set()
    assert obj(await client.get("send_friend_message", id="@ann", content="next"))["code"] == 0
    assert [text for _, text, _ in client.driver.sends] == ["first", "old", "new", "next"]


async def test_disconnected_check_event_consumes_no_event(
    start: Start, webhook: Webhook, waiting: list[EventRing]
) -> None:
    client = await running(start, **{POST_API: webhook.address})
    gone = asyncio.create_task(client.get("check_event"))
    await until(lambda: waiting)
    gone.cancel()
    await asyncio.wait([gone])
    await client.get("get_client_info")  # by then the account has noticed
    client.driver.play([message("kept")])
    await webhook.messages()
    assert [obj(one)["content"] for one in items(await client.get("check_event"))] == ["kept"]


async def test_all_waiters_get_an_event(client: RunningClient, waiting: list[EventRing]) -> None:
    polls = [asyncio.create_task(client.get("check_event")) for _ in range(40)]
    await until(lambda: len(waiting) == 40)
    for poll in polls[:20]:
        poll.cancel()
    await asyncio.wait(polls[:20])
    client.driver.play([message("for all")])
    for poll in polls[20:]:
        assert [obj(r)["content"] for r in items(await asyncio.wait_for(poll, PATIENCE))] == ["for all"]


async def test_empty_search_value_matches_nobody(client: RunningClient) -> None:
    """Most people have no account name and no remark: the first of them must not be chosen."""
    for empty in ("account", "markname", "displayname", "id"):
        assert await client.get("send_friend_message", content="x", **{empty: ""}) == {
            "id": None,
            "code": 100,
            "status": "object not found",
        }
        assert obj(await client.get("set_friend_markname", new_markname="x", **{empty: ""}))["code"] == 100
        with_id = {"content": "x", empty: "", "id": "@ben"}
        found = obj(await client.get("send_friend_message", **with_id))
        assert found["code"] == (100 if empty == "displayname" else 0)  # all that is given must fit
    assert obj(items(await client.get("search_friend", account=""))[0])["id"] == "@ann"


@pytest.mark.parametrize("chunked", [False, True])
async def test_request_bodies_are_limited_each_and_in_total(start: Start, chunked: bool) -> None:
    client = await running(start, WXCLIENT_API_BODY_MAX="20000", WXCLIENT_API_BODIES_MAX="15000")

    async def content(size: int) -> "aiohttp.ClientResponse":
        body = b"id=%40ann&content=" + b"x" * size

        async def pieces() -> "object":
            yield body

        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        data = pieces() if chunked else body
        return await client.http.post(client.address("send_friend_message"), data=data, headers=headers)

    for size, status in ((1000, 200), (16_000, 503), (30_000, 503 if chunked else 413), (14_000, 200)):
        answer = await content(size)
        assert (answer.status, obj(json.loads(await answer.read()))["code"]) == (status, 0 if status == 200 else -1)
    assert sum(len(text) for _, text, _ in client.driver.sends) == 1000 + 14_000


SUCCESS = {"code": 0, "status": "success"}


async def test_remarks_and_friend_requests(client: RunningClient) -> None:
    assert await client.get("set_markname", markname="安", new_markname="小安") == SUCCESS
    assert await client.get("set_friend_markname", id="@ann") == SUCCESS
    assert obj(items(await client.get("search_friend", id="@ann"))[0])["markname"] == ""
    assert await client.get("set_markname", group_id="@@team", id="@c", new_markname="x") == SUCCESS
    assert await client.get("make_friend", id="@c", verify="hi") == SUCCESS
    request = {"id": "@new", "displayname": "Nia", "ticket": "v2_x@stranger"}
    assert await client.get("accept_friend_request", **request) == {**SUCCESS, **request}
    unnamed = {"id": "@new", "ticket": "v2_x@stranger"}
    assert await client.get("accept_friend_request", **unnamed) == {**SUCCESS, **unnamed, "displayname": None}
    assert client.driver.commands == [
        ("set_remark", "@ann", "小安"),
        ("set_remark", "@ann", ""),
        ("set_remark", "@c", "x"),
        ("ask_friend", "@c", "hi"),
        *[("accept_friend", "@new", "v2_x@stranger")] * 2,
    ]


async def test_groups_and_pinned_chats(client: RunningClient) -> None:
    made = {**SUCCESS, "group_id": "@@new"}
    assert await client.get("create_group", friends="@ann,@ben", displayname="组") == made
    [new] = items(await client.get("search_group", id="@@new"))  # known at once
    assert [obj(member)["id"] for member in items(obj(new)["member"])] == ["@me", "@ann", "@ben"]
    for call, parameters in (
        ("invite_friend", {"id": "@@team", "friends": "@ann,@ben"}),
        ("kick_group_member", {"id": "@@team", "members": "@c"}),
        ("set_group_displayname", {"id": "@@team", "new_displayname": "新"}),
        ("stick", {"id": "@ann"}),
        ("stick", {"id": "@@team", "op": "0"}),
    ):
        assert await client.get(call, **parameters) == SUCCESS, call
    assert obj(await client.get("kick_group_member", id="@@team", members="@ben"))["code"] == 100  # no member
    [team] = items(await client.get("search_group", id="@@team"))
    assert ("@c" in str(team), obj(team)["displayname"]) == (False, "新")
    assert client.driver.commands == [
        ("create_group", "@ann", "@ben", "组"),
        ("invite", "@@team", "@ann", "@ben"),
        ("kick", "@@team", "@c"),
        ("rename_group", "@@team", "新"),
        ("pin", "@ann", "True"),
        ("pin", "@@team", "False"),
    ]


async def test_empty_group_name_does_not_end_the_client(client: RunningClient) -> None:
    assert obj(await client.get("set_group_displayname", id="@@team"))["code"] == -1
    assert client.driver.commands == []
    assert obj(await client.get("get_client_info"))["code"] == 0


async def test_revoking(client: RunningClient) -> None:
    sent = str(obj(await client.get("send_friend_message", id="@ann", content="x"))["id"])
    assert await client.get("revoke_message", id=sent) == {"id": sent, "code": 0, "status": "revoke success"}
    assert client.driver.commands == [("revoke", "771000", "@ann")]
    client.driver.outcomes = [WeChatError("too late", ret=1)]
    answer = obj(await client.get("revoke_message", id=sent))
    assert (answer["code"], answer["status"], answer["reason"]) == (-1, "revoke failure", "too late")
    assert obj(await client.get("revoke_message", id="nonsense"))["status"] == "revoke failure"


async def test_consult_returns_the_friends_next_message(client: RunningClient) -> None:
    first = asyncio.create_task(client.get("consult", id="@ann", content="?"))
    second = asyncio.create_task(client.get("consult", markname="安", content="??"))
    other = asyncio.create_task(client.get("consult", id="@ben", content="?", timeout="0.5"))
    await until(lambda: len(client.driver.sends) >= 3)
    client.driver.play(
        [
            message("not this", sender="@zed", chat="@zed"),
            message("mine", chat="@ann", sender="@me", direction=Direction.SENT_ELSEWHERE),
            message("group", chat="@@team", is_group=True),
            message("yes", id="42"),
        ]
    )
    expected = {"id": "42", "reply": "yes", **SUCCESS}
    assert await first == expected
    assert await second == expected
    assert obj(await other)["reply_status"] == "reply timeout"


async def test_consult_ignores_a_message_from_before_its_question(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address})
    client.driver.send_gate = asyncio.Event()
    await client.login()
    await client.get("send_friend_message", id="@ben", content="first", **{"async": "1"})
    asked = asyncio.create_task(client.get("consult", id="@ann", content="?"))
    await client.until_queued(2)
    client.driver.play([message("from before")])
    await webhook.messages(1)
    client.driver.send_gate.set()
    await until(lambda: len(client.driver.sends) == 2)
    client.driver.play([message("yes", id="42")])
    assert await asked == {"id": "42", "reply": "yes", **SUCCESS}


@pytest.mark.parametrize(
    ("content", "pieces"),
    [
        ("aaaa b bb\ncc dd", ["aaaa b bb\n", "cc dd"]),  # at a line end rather than at a space
        ("aaaaaa bbbbbbb", ["aaaaaa ", "bbbbbbb"]),
        ("ab cdefghijkl", ["ab cdefghi", "jkl"]),  # no piece of a few words
        ("aaaaaaaaae\u0301bbb", ["aaaaaaaaa", "e\u0301bbb"]),
        ("\u0301" * 15, ["\u0301" * 10, "\u0301" * 5]),
        ("aaaaaaaa\U0001f469\u200d\U0001f469bb", ["aaaaaaaa", "\U0001f469\u200d\U0001f469bb"]),
        *((f"aaaaaaaaa\U0001f44d{tone}bb", ["aaaaaaaaa", f"\U0001f44d{tone}bb"]) for tone in "\U0001f3fb\U0001f3ff"),
        *((f"aaaaaaaaa\u2764{form}bb", ["aaaaaaaaa", f"\u2764{form}bb"]) for form in "\ufe0e\ufe0f"),
        ("aab" + "\u0301" * 12, ["aa", "b" + "\u0301" * 9, "\u0301" * 3]),
        ("aaaa bbbbbbb", ["aaaa bbbbb", "bb"]),
        ("aaaaa bbbbbb", ["aaaaa ", "bbbbbb"]),
        ("aaaaaaaaaa b", ["aaaaaaaaaa", " b"]),
        ("a" * 10, ["a" * 10]),
    ],
)
def test_where_a_long_text_is_divided(content: str, pieces: list[str]) -> None:
    assert [*split_text(content, 10)] == pieces


async def test_consult_with_a_long_timeout_waits_longer_than_other_calls(start: Start) -> None:
    client = await running(start, WXCLIENT_LIMIT_SEND_ANSWER_SECONDS="2")
    asked = asyncio.create_task(client.get("consult", id="@ann", content="?", timeout="30"))
    short = obj(await client.get("consult", id="@ben", content="?", timeout="2"))
    assert short["reply_status"] == "reply timeout"
    await asyncio.sleep(0.3)
    client.driver.play([message("yes", id="42")])
    assert await asked == {"id": "42", "reply": "yes", **SUCCESS}


async def test_a_send_is_held_for_a_week_at_most(client: RunningClient) -> None:
    for hold, code in (("604801", -1), ("-1", -1), ("soon", -1), ("604800", 0)):
        assert obj(await client.get("send_friend_message", id="@ann", content="x", hold=hold))["code"] == code, hold


async def test_change_or_recall_without_an_answer_may_have_been_done(client: RunningClient) -> None:
    calls = {"stick": {"id": "@ann"}, "create_group": {"friends": "@ann"}, "revoke_message": {"id": "1:@ann"}}
    for call, parameters in calls.items():
        client.driver.outcomes = [WeChatError("connection lost", unsure=True)]
        answer = obj(await client.get(call, **parameters))
        words = "it may be revoked: " if call == "revoke_message" else "it may have been done: "
        assert (answer["code"], str(answer["reason"]).startswith(words)) == (-1, True), answer


async def test_consult_divides_a_long_text(client: RunningClient) -> None:
    asked = asyncio.create_task(client.get("consult", id="@ann", content="a" * 2000 + "b"))
    await until(lambda: len(client.driver.sends) >= 2)
    client.driver.play([message("yes", id="42")])
    assert await asked == {"id": "42", "reply": "yes", **SUCCESS}
    assert [text for _, text, _ in client.driver.sends] == ["a" * 2000, "b"]


async def test_consult_times_out_despite_other_messages(client: RunningClient) -> None:
    asked = asyncio.create_task(client.get("consult", id="@ann", content="?", timeout="1"))
    async with asyncio.timeout(PATIENCE):
        while not asked.done():
            client.driver.play([message("noise", sender="@ben", chat="@ben")])
            await asyncio.sleep(0.1)
    assert await asked == {"id": "771000:@ann", **SUCCESS, "reply": None, "reply_status": "reply timeout"}
    for wrong in ("0", "-1", "nan", "inf", "soon"):
        assert obj(await client.get("consult", id="@ann", content="?", timeout=wrong))["code"] == -1
    client.driver.outcomes = [WeChatError("not a friend", ret=1204)]
    assert obj(await client.get("consult", id="@ann", content="?"))["code"] == 1204


async def test_jsonp_is_returned_when_enabled(start: Start) -> None:
    asked = {"datatype": "jsonp", "callback": "my.call_1$"}
    client = await running(start)
    assert obj(await client.get("get_client_info", **asked))["code"] == 0
    await client.stop()
    client = await running(start, WXCLIENT_JSONP="1")
    async with client.http.get(client.address("search_friend"), params={**asked, "id": "@x"}) as answer:
        assert await answer.text() == 'my.call_1$({"code":100,"status":"object not found"})'
        assert answer.headers["Content-Type"] == "application/javascript"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for callback in ("alert(1)//", "<script>", "", "a" * 65, "f\n"):
        query = {**asked, "callback": callback}
        async with client.http.get(client.address("get_user_info"), params=query) as answer:
            assert answer.status == 400
            assert answer.content_type == "application/json"
    async with client.http.get(client.address("get_user_info"), params={"datatype": "jsonp"}) as answer:
        assert (await answer.text()).startswith("jsoncallback1")
    client.driver.contents["avatar @me"] = b"GIF89a...."
    async with client.http.get(client.address("get_avatar"), params={**asked, "id": "@me"}) as answer:
        assert await answer.read() == b"GIF89a...."


async def test_people_and_groups_are_listed_and_searched(client: RunningClient) -> None:
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
    for method in ("set_markname", "send", "stick", "__class__"):  # the original calls what is named
        for call in ("search_friend", "search_group"):
            assert obj(await client.get(call, **{method: "x"}))["code"] == 102
    assert client.driver.commands == []
    groups = await client.get("search_group", displayname="A、Cy")
    assert isinstance(groups, list)
    assert len(obj(groups[0])["member"]) == 3  # type: ignore[arg-type]
    client.driver.play([base.RosterChanged((Contact("@shop", "A&B <茶>"), Contact("@other", "A&amp;B <茶>")))])
    await until(lambda: client.get("search_friend", id="@other"), lambda listed: isinstance(listed, list))
    for name, shop in (("A&B <茶>", "@shop"), ("A&amp;B &lt;茶&gt;", "@shop"), ("A&amp;B <茶>", "@other")):
        [one] = items(await client.get("search_friend", name=name))
        assert obj(one)["id"] == shop  # names are also found as the original shows them
    basic = await client.get("get_group_basic_info")
    assert isinstance(basic, list)
    assert "member" not in obj(basic[0])


async def test_sends_return_wechats_id_and_are_reported(start: Start, webhook: Webhook) -> None:
    client = await running(start, **{POST_API: webhook.address})
    answer = await client.get("send_friend_message", markname="安", content="你好")
    assert answer == {"id": "771000:@ann", "code": 0, "status": "success"}
    answer = await client.post("send_group_message", id="@@team", content="all")
    assert answer == {"id": "771001:@@team", "code": 0, "status": "success"}
    friend, group = await webhook.until_sends(2)
    assert (friend["type"], friend["receiver"], friend["from"], friend["code"], friend["content"]) == (
        ("friend_message", "安", "api", "", "你好")
    )
    assert (group["type"], group["group"], group["receiver_id"]) == ("group_message", "A、Cy", "")


async def test_state_is_running_only_after_wechat_responded(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address})
    *before, answered = logged_in()
    client.driver.play(before)
    await webhook.event("login")  # contacts and groups are there
    assert client.state()["state"] == "updating"
    client.driver.play([answered])
    await client.until_state("running")


async def test_lost_session_and_outage_are_not_running(start: Start) -> None:
    client = start()
    client.driver.play([*logged_in(), base.Offline(Text("no answer for 60 s"))])
    state = await client.until_state("updating")
    assert (state["login_state"], state["reason"]) == ("offline", "no answer for 60 s")
    client.driver.play([base.Online()])
    assert (await client.until_state("running"))["reason"] == ""
    people = [await client.get(call) for call in ("get_user_info", "get_friend_info", "get_group_info")]
    [ann] = items(await client.get("search_friend", id="@ann"))
    client.driver.play([base.SessionLost(base.LossReason.LOGGED_OUT, 1100)])
    await client.until_state("loading")
    # The last known people; other calls are refused.
    assert [await client.get(call) for call in ("get_user_info", "get_friend_info", "get_group_info")] == people
    assert await client.get("search_friend", id="@ann") == [ann]
    assert obj(await client.get("stick", id="@ann"))["code"] == -3


async def test_code_is_shown_with_the_end_of_the_last_session(start: Start) -> None:
    client = start()
    shown = set()
    for reason, ret in (("LOGGED_OUT", 1100), ("KICKED", 1101), ("COOKIE", 1102), ("REPLACED", -14)):
        client.driver.play([*logged_in()])
        await client.until_state("running")
        lost = base.SessionLost(base.LossReason[reason], ret)
        client.driver.play([lost, base.QrReady("https://login.weixin.qq.com/l/x", b"code", 1, 3)])
        reason_shown = str((await client.until_state("scaning"))["reason"])
        assert str(ret) in reason_shown
        shown.add(reason_shown)
    assert len(shown) == 4
    client.driver.play([*logged_in()])
    assert (await client.until_state("running"))["reason"] == ""


async def test_stuck_login_gives_the_reason(start: Start) -> None:
    client = start()
    client.driver.play([base.LoginStalled(Text("jslogin: can't connect"))])
    stuck = await until(client.state, lambda state: "can't connect" in str(state.get("status")))
    assert (stuck["state"], stuck["reason"]) == ("loading", "jslogin: can't connect")
    client.driver.play([base.QrReady("https://login.weixin.qq.com/l/x", b"code", 1, 3)])
    assert (await client.until_state("scaning"))["reason"] == ""


async def test_unwritable_state_and_code_are_written_as_soon_as_possible(start: Start) -> None:
    client = start()
    await client.until_state("loading")
    present, away = client.paths.runtime("alice"), client.paths.runtime("alice").with_name("away")
    present.rename(away)  # in place of a full /run
    client.driver.play([base.QrReady("https://login.weixin.qq.com/l/x", b"code", 1, 3)])
    await client.until_v1(lambda status: status["state"] == "scaning")
    away.rename(present)
    await client.until_state("scaning")
    await until(lambda: any(path.read_bytes() == b"code" for path in present.glob("*qrcode*")))


async def test_state_file_has_the_time_of_wechats_last_response(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_FRESH", 0.0)
    client = start()
    assert (await client.until_state("loading"))["last_sync_uptime"] is None
    await client.login()
    first = client.state()["last_sync_uptime"]
    assert isinstance(first, float)
    await asyncio.sleep(0.1)  # it is given in tenths of a second
    client.driver.play([base.Progress(heard=True)])
    await until(lambda: client.state()["last_sync_uptime"] != first)
