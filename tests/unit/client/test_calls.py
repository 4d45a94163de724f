"""Calls about people, pictures, questions and the forms of answers."""

import asyncio

from tests.patience import PATIENCE, until
from tests.unit.client.conftest import RunningClient, Start, running
from tests.unit.client.scripted import message
from wxcontroller.core.errors import WeChatError
from wxcontroller.core.jsontypes import items, obj
from wxcontroller.core.model import Direction

SUCCESS = {"code": 0, "status": "success"}


async def test_remarks_and_friend_requests(client: RunningClient) -> None:
    assert await client.get("set_markname", markname="安", new_markname="小安") == SUCCESS
    assert await client.get("set_friend_markname", id="@ann") == SUCCESS
    assert obj(items(await client.get("search_friend", id="@ann"))[0])["markname"] == ""
    assert await client.get("set_markname", group_id="@@team", id="@c", new_markname="x") == SUCCESS
    assert await client.get("make_friend", id="@c", verify="hi") == SUCCESS
    request = {"id": "@new", "displayname": "Nia", "ticket": "v2_x@stranger"}
    assert await client.get("accept_friend_request", **request) == {**SUCCESS, **request}
    assert client.driver.commands == [
        ("set_remark", "@ann", "小安"),
        ("set_remark", "@ann", ""),
        ("set_remark", "@c", "x"),
        ("ask_friend", "@c", "hi"),
        ("accept_friend", "@new", "v2_x@stranger"),
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


async def test_jsonp_is_off_unless_the_settings_say_otherwise(start: Start) -> None:
    client = start()
    await client.until_state("loading")
    asked = {"datatype": "jsonp", "callback": "f"}
    assert obj(await client.get("get_client_info", **asked))["code"] == 0


async def test_jsonp_is_returned_when_enabled(start: Start) -> None:
    client = await running(start, WXCLIENT_JSONP="1")
    asked = {"datatype": "jsonp", "callback": "my.call_1$"}
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
