"""An account on the iLink route, with the sandbox as WeChat: its login, and quotes."""

import json
from pathlib import Path

import pytest

from tests.patience import until
from tests.unit.client.stage import Stage, staged
from tests.unit.durability.routes import ROUTES, Route
from wxcontroller.core.jsontypes import JsonObject, items, obj, text
from wxcontroller.sandbox.ilink import phone
from wxcontroller.sandbox.ilink.items import QuoteForm, quote_of, text_item


async def test_profile_names_the_person_and_pictures_are_unsupported(ilink: Stage) -> None:
    client = await ilink.enter()
    assert obj(await client.get("get_user_info"))["ilink_user_id"] == ilink.ilink.peer
    answer = obj(await client.get("get_avatar", id=ilink.ilink.peer))
    assert (answer["code"], "ilink" in str(answer["status"])) == (-10, True)


async def test_person_is_shown_by_the_name_that_the_operator_sets(ilink: Stage) -> None:
    client = await ilink.enter()
    peer = ilink.ilink.peer
    await ilink.report(ilink.route.write(ilink, "hi"))
    status, contact = await client.v1("PATCH", f"contacts/{peer}", {"remark": " 王芳\u202e"})
    assert (status, contact["name"], contact["remark"]) == (200, "王芳", "王芳")
    client = await ilink.restart()
    assert (await ilink.report(ilink.route.write(ilink, "again")))["sender"] == "王芳"
    for path, key, name in (
        ("contacts", "contacts", "name"),
        ("chats", "chats", "name"),
        ("messages", "messages", "chat_name"),
    ):
        assert obj(items((await client.get_v1(path))[key])[-1])[name] == "王芳"
    status, contact = await client.v1("PATCH", f"contacts/{peer}", {"remark": ""})
    assert (status, contact["name"]) == (200, peer)


@pytest.mark.parametrize(
    ("person", "body", "code"),
    [("nobody", {"remark": "x"}, "no-such-peer"), ("", {"remark": "x" * 65}, "bad-request"), ("", {}, "bad-request")],
)
async def test_invalid_name_of_a_person_changes_nothing(
    ilink: Stage, person: str, body: JsonObject, code: str
) -> None:
    client = await ilink.enter()
    status, refused = await client.v1("PATCH", f"contacts/{person or ilink.ilink.peer}", body)
    assert (status, obj(refused["error"])["code"]) == ({"no-such-peer": 404}.get(code, 400), code)


async def test_a_restart_needs_no_scan(ilink: Stage) -> None:
    client = await ilink.enter()
    assert await client.stop() == 0
    missed = ilink.route.write(ilink, "meanwhile")
    await ilink.begin().until_state("running")
    assert (await ilink.report(missed))["content"] == "meanwhile"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
async def test_logout_while_it_is_stopped_applies_at_the_next_start_once(tmp_path: Path, route: Route) -> None:
    async with staged(tmp_path, route, Stage) as stage:
        await stage.enter()
        assert await stage.client.stop() == 0
        stage.begin(WXCLIENT_LOGGED_OUT="5f0c")
        await stage.scan()
        await stage.restart(WXCLIENT_LOGGED_OUT="5f0c")


async def test_session_of_another_stopped_account_is_not_used(ilink: Stage) -> None:
    client = await ilink.enter()
    marks = client.state()["login_marks"]
    assert ilink.ilink.bot.bot_id not in str(marks) and ilink.ilink.peer not in str(marks)
    await client.stop()
    polls = ilink.ilink.requests("getupdates")
    book = client.paths.logins
    book.parent.mkdir(parents=True)
    book.write_text(json.dumps({"bob": {"account": "bob", "marks": marks}}))
    client = ilink.begin()
    await until(lambda: client.state().get("ended") == "taken")
    state = client.state()
    assert "account bob has it" in str(state["reason"]) and state["login_state"] == "parked"
    assert ilink.ilink.requests("getupdates") == polls
    await client.stop()
    book.write_text(json.dumps({"alice": {"account": "alice", "marks": marks}}))
    await ilink.begin().until_state("running")


async def test_quote_of_a_part_is_resolved(ilink: Stage) -> None:
    await ilink.enter()
    quoted = await ilink.hear("one two one three two four")
    theirs = ilink.ilink.user.messages[text(quoted["id"])]
    item = {**text_item("part"), "ref_msg": quote_of(theirs, QuoteForm.ID, "one three two")}
    reply = phone.write(ilink.wechat.sandbox, ilink.account, ilink.ilink.bot, item, "part")
    report = await ilink.report(text(reply["message_id"]))
    assert (report["quote_id"], report["quote_content"]) == (quoted["id"], "one three two")
    assert report["quote_sender_id"] == ilink.ilink.peer
