"""/v1/messages on the iLink route: reply windows, and what that route does not have."""

from tests.unit.client.conftest import Start, Webhook
from tests.unit.client.test_ilink_account import entered
from tests.unit.client.test_reply_window import until_sent, write
from tests.unit.client.test_v1_messages import until_history
from tests.unit.drivers.ilink_kit import Bench


async def test_a_closed_window_holds_a_send_and_the_persons_message_releases_it(
    start: Start, wechat: Bench, webhook: Webhook
) -> None:
    client = await entered(start, wechat, webhook)
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
