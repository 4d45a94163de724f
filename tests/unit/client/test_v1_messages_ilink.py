"""/v1/messages on the iLink route: reply windows, and what that route does not have."""

import aiohttp

from tests.unit.client.conftest import Start, Webhook
from tests.unit.client.test_ilink_account import begin, enter
from tests.unit.client.test_reply_window import until_sent, write
from tests.unit.client.test_v1_messages import PNG, history, until_history
from tests.unit.drivers.ilink_kit import Bench
from wxcontroller.core.jsontypes import items, obj, text


async def test_a_closed_window_holds_a_send_and_the_persons_message_releases_it(
    start: Start, wechat: Bench, webhook: Webhook
) -> None:
    client = begin(start, wechat, webhook)
    await enter(client, wechat)
    status, held = await client.v1("POST", "messages", {"to": wechat.peer, "text": "first"}, "k")
    assert (status, held["state"], held["reason"]) == (202, "held", "no-context")
    assert held["held_until"] and held["detail"]
    assert await client.v1("POST", "messages", {"to": wechat.peer, "text": "first"}, "k") == (202, held)
    status, waiting = await client.v1("GET", f"messages/{held['id']}")
    assert (status, waiting["state"], waiting["text"], waiting["chat"]) == (200, "held", "first", wechat.peer)
    refused = (await client.v1("POST", "messages", {"to": wechat.peer, "text": "now", "hold": 0}))[1]
    assert (refused["state"], refused["reason"]) == ("refused", "not-wanted")
    await write(wechat, webhook, "hello")
    assert await until_sent(wechat, 1) == ["first"]
    # The same id, with its end: in the history, and for who repeats the request.
    *_, question, answer = await until_history(client, 3, f"?chat={wechat.peer}")
    assert (question["direction"], question["text"]) == ("in", "hello")
    assert (answer["id"], answer["state"]) == (held["id"], "delivered")
    status, again = await client.v1("POST", "messages", {"to": wechat.peer, "text": "first"}, "k")
    assert (status, again["id"], again["state"]) == (200, held["id"], "delivered")
    assert wechat.requests("sendmessage") == 1


async def test_kinds_quotes_and_what_the_route_does_not_have(start: Start, wechat: Bench, webhook: Webhook) -> None:
    client = begin(start, wechat, webhook)
    await enter(client, wechat)
    await write(wechat, webhook, "when?")
    [question] = await until_history(client, 1)
    form = aiohttp.FormData({"to": wechat.peer, "text": "soon", "reply_to": text(question["id"])})
    form.add_field("file", PNG, filename="plan.png")
    status, sent = await client.v1("POST", "messages", form)
    assert (status, sent["state"], len(items(sent["parts"]))) == (200, "delivered", 2)
    words, picture = wechat.sent()
    assert words.text.endswith("\nsoon") and "when?" in words.text
    assert picture.kind == "image"
    assert obj((await history(client))[1]["quote"])["id"] == question["id"]
    before = wechat.requests("sendmessage")
    for method, path, body in (
        ("DELETE", f"messages/{sent['id']}", None),
        ("POST", "messages", {"to": wechat.peer, "media_id": "x", "media_type": "emoticon"}),
    ):
        status, refused = await client.v1(method, path, body)
        assert (status, obj(refused["error"])["code"]) == (409, "unsupported")
        assert "ilink" in text(obj(refused["error"])["message"])
    assert (await client.v1("GET", "groups"))[1]["groups"] == []
    [person] = items((await client.v1("GET", "contacts"))[1]["contacts"])
    assert obj(person)["id"] == wechat.peer
    assert wechat.requests("sendmessage") == before
