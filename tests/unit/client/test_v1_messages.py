"""/v1/messages and related calls at the account's port, on an account with friends, groups and recall."""

import asyncio
import json

import aiohttp
import pytest

from tests.patience import until
from tests.unit.client.conftest import POST_API, RunningClient, Start
from tests.unit.client.scripted import BEN, HELPER, ME, TEAM, message
from wxcontroller.client.sends import acceptance
from wxcontroller.core.errors import WeChatError
from wxcontroller.core.jsontypes import JsonObject, integer, items, obj, text
from wxcontroller.core.model import Contact, Direction, Group, Member, MessageKind, MessageMedia
from wxcontroller.core.records.accountrecords import StatusRecord
from wxcontroller.core.records.decoding import decode
from wxcontroller.drivers.base import Accepted, DriverEvent, LoginWay, Online, Profile, RosterLoaded

ANN_NUMBER, TEAM_NUMBER = "140737488355327", "7000000001"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


async def enter(client: RunningClient, number: int = 1) -> None:
    """Log in; people are the same in each login, with other ids."""
    ann = Contact(id=f"@ann{number}", name="Ann", markname="安", uid=int(ANN_NUMBER))
    members = (Member("@me", "我"), Member(ann.id, "Ann", display="A", uid=ann.uid))
    team = Group(id=f"@@team{number}", name="team", members=members, uid=int(TEAM_NUMBER))
    people = RosterLoaded((ann, BEN, HELPER), (team, TEAM))
    client.driver.play([Accepted(LoginWay.SCAN), Profile(ME), people, Online()])
    await client.until_state("running")


async def history(client: RunningClient, query: str = "") -> list[JsonObject]:
    status, page = await client.v1("GET", f"messages{query}")
    assert status == 200, page
    return [obj(message) for message in items(page["messages"])]


async def test_pages_have_a_most(start: Start) -> None:
    client = start(**{POST_API: "http://127.0.0.1:1/"})
    people = tuple(Contact(f"@{number}", f"n{number}") for number in range(1001))
    entered: list[DriverEvent] = [Accepted(LoginWay.SCAN), Profile(ME), RosterLoaded(people, ()), Online()]
    client.driver.play([*entered, *(message("hi", chat=each.id, sender=each.id) for each in people)])
    await client.until_state("running")
    await client.until_v1(lambda page: integer(page["pending"]) > 1001, "deliveries?limit=1")
    for path, most in (("messages", 200), ("chats", 200), ("contacts", 1000), ("events", 1000), ("deliveries", 1000)):
        page = await client.get_v1(f"{path}?limit=5000")
        assert len(items(page[path])) == most, path


async def until_history(client: RunningClient, number: int, query: str = "?limit=200") -> list[JsonObject]:
    return await until(lambda: history(client, query), lambda found: len(found) >= number)


@pytest.fixture
async def client(start: Start) -> RunningClient:
    one = start()
    await enter(one)
    return one


async def test_a_text_is_sent_answered_and_in_the_history_by_one_id(client: RunningClient) -> None:
    status, sent = await client.v1("POST", "messages", {"to": ANN_NUMBER, "text": "hi"}, "k1")
    assert (status, sent["state"], sent["reason"], sent["chat"]) == (200, "delivered", None, ANN_NUMBER)
    assert await client.v1("POST", "messages", {"to": ANN_NUMBER, "text": "hi"}, "k1") == (status, sent)
    status, refused = await client.v1("POST", "messages", {"to": ANN_NUMBER, "text": "ho"}, "k1")
    assert (status, obj(refused["error"])["code"]) == (422, "key-reused")
    assert [send[:2] for send in client.driver.sends] == [("@ann1", "hi")]
    [shown] = await history(client, f"?chat={ANN_NUMBER}")
    assert (shown["id"], shown["direction"], shown["text"], shown["state"]) == (sent["id"], "out", "hi", "delivered")
    assert obj(shown["sender"])["id"] == str(ME.uid)
    assert await client.v1("GET", f"messages/{sent['id']}") == (200, shown)
    # The same person by the id of the login.
    assert (await history(client, "?chat=@ann1"))[0] == shown


async def test_a_text_quotes_a_message_of_its_chat(client: RunningClient) -> None:
    """People get the text form of quotes, because no route can send native ones."""
    said = "one  line\nand more: " + "z" * 100
    client.driver.play([message(said, id="m1", chat="@ann1", sender="@ann1")])
    [heard] = await until_history(client, 1)
    status, sent = await client.v1("POST", "messages", {"to": ANN_NUMBER, "text": "yes", "reply_to": heard["id"]})
    assert (status, sent["state"]) == (200, "delivered")
    shown = f"one line and more: {'z' * 80}…"
    assert len(shown) == 100
    ruler = "- " * 14 + "-"
    assert client.driver.sends[-1][1] == f"「安：{shown}」\n{ruler}\nyes"
    refused = {"to": TEAM_NUMBER, "text": "yes", "reply_to": heard["id"]}
    status, answer = await client.v1("POST", "messages", refused)
    assert (status, "message of another chat" in str(answer)) == (400, True)
    status, answer = await client.v1("POST", "messages", {**refused, "reply_to": "m2"})
    assert (status, obj(answer["error"])["code"]) == (404, "no-such-message")
    assert len(client.driver.sends) == 1


async def test_media_are_uploaded_fetched_and_sent_again(client: RunningClient) -> None:
    form = aiohttp.FormData({"to": TEAM_NUMBER, "text": "look"}, quote_fields=False)
    form.add_field("file", PNG, filename="图 b.png", content_type="image/png")
    status, sent = await client.v1("POST", "messages", form)
    assert (status, sent["state"], len(items(sent["parts"]))) == (200, "delivered", 2)
    words, picture = await history(client)
    assert (words["text"], picture["kind"], picture["is_group"]) == ("look", "image", True)
    media = obj(picture["media"])
    assert (media["name"], media["mime"], media["size"]) == ("图 b.png", "image/png", len(PNG))
    status, again = await client.v1("POST", "messages", {"to": BEN.id, "media_id": media["id"]})
    assert (status, again["state"]) == (200, "delivered")
    assert [target for target, _ in client.driver.media_sends] == ["@@team1", BEN.id]
    client.driver.contents["m1"] = PNG
    client.driver.play([message("", id="m1", chat="@ann1", sender="@ann1", kind=MessageKind.IMAGE,
                                media=MessageMedia(MessageKind.IMAGE, "m1"))])  # fmt: skip
    got = obj((await until_history(client, 4))[-1]["media"])
    assert "url" not in got  # which the controller adds
    async with client.http.get(f"http://127.0.0.1:{client.port}/v1/media/{got['file']}") as answer:
        assert await answer.read() == PNG


async def test_pages_of_long_texts_are_cut_and_together_complete(client: RunningClient) -> None:
    texts = [f"{number} " + "长\x01" * 6000 for number in range(100)]
    for number, words in enumerate(texts):
        client.driver.play([message(words, id=f"m{number}", chat="@ann1", sender="@ann1")])
    await until(lambda: history(client, "?limit=1"), lambda found: found and text(found[0]["text"])[:3] == "99 ")
    for back, path in ((True, "messages"), (False, "messages"), (False, "events")):
        seen: list[JsonObject] = []
        key, next_ = ("before", "") if back else ("after", "0")
        while True:
            at = f"&{key}={next_}" if next_ else ""
            async with client.http.get(f"http://127.0.0.1:{client.port}/v1/{path}?limit=200{at}") as answer:
                content = await answer.read()
            assert len(content) < 4 << 20
            page = json.loads(content)
            seen = [*page[path], *seen] if back else [*seen, *page[path]]
            if not page["more"]:
                break
            assert len(page[path]) < 100
            next_ = text(seen[0 if back else -1]["cursor" if path == "messages" else "id"])
        found = [text(obj(each.get("report", each)).get("content", each.get("text"))) for each in seen]
        assert [each for each in found if "长" in each] == texts


async def test_history_is_paged_both_ways_over_a_restart_and_login(start: Start, client: RunningClient) -> None:
    for number in range(25):
        other = number % 5 == 4
        chat = ("@ben", "@ben") if other else ("@ann1", "@ann1")
        client.driver.play([message(f"{number}", id=f"m{number}", chat=chat[0], sender=chat[1])])
    await until_history(client, 25)
    await client.stop()
    again = start()
    await enter(again, 2)  # everybody has another id
    again.driver.play([message("25", id="m25", chat="@ann2", sender="@ann2")])
    await until_history(again, 26)
    wanted = [str(number) for number in range(26) if number % 5 != 4]
    newest = await history(again, f"?chat={ANN_NUMBER}&limit=8")
    assert [one["text"] for one in newest] == wanted[-8:]
    seen = newest
    while older := await history(again, f"?chat={ANN_NUMBER}&limit=8&before={seen[0]['cursor']}"):
        seen = older + seen
    assert [one["text"] for one in seen] == wanted
    forward = await history(again, f"?chat={ANN_NUMBER}&limit=3&after={seen[4]['cursor']}")
    assert [one["text"] for one in forward] == wanted[5:8]
    assert await history(again, "?before=00000000-5") == []
    assert len(await history(again, "?after=00000000-5&limit=200")) == 26
    _, chats = await again.v1("GET", "chats")
    shown = [obj(chat) for chat in items(chats["chats"])]
    assert [(one["id"], one["name"], obj(one["last"])["text"]) for one in shown] == [
        (ANN_NUMBER, "安", "25"),
        ("@ben", "Ben", "24"),
    ]
    _, rest = await again.v1("GET", f"chats?before={obj(shown[0]['last'])['cursor']}")
    assert [obj(chat)["id"] for chat in items(rest["chats"])] == ["@ben"]


async def test_receiver_is_what_a_report_gives(client: RunningClient) -> None:
    for to in (ANN_NUMBER, int(ANN_NUMBER), "@ann1"):
        status, sent = await client.v1("POST", "messages", {"to": to, "text": "hi"})
        assert (status, sent["state"], sent["chat"]) == (200, "delivered", ANN_NUMBER)


async def test_a_message_is_recalled_or_cancelled(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    client = start(MOJO_WEIXIN_SEND_INTERVAL="60")
    await enter(client)
    first = (await client.v1("POST", "messages", {"to": ANN_NUMBER, "text": "one"}))[1]
    status, waiting = await client.v1("POST", "messages", {"to": ANN_NUMBER, "text": "two", "wait": 0})
    assert (status, waiting["state"]) == (202, "waiting")
    _, page = await client.v1("GET", f"messages?chat={ANN_NUMBER}")
    [pending] = [obj(one) for one in items(page["pending"])]
    assert (pending["id"], pending["text"], pending["state"], pending["cursor"]) == (
        waiting["id"], "two", "waiting", None,
    )  # fmt: skip
    assert (await client.v1("DELETE", f"messages/{waiting['id']}"))[1]["result"] == "cancelled"
    with monkeypatch.context() as silent:
        silent.setattr(acceptance, "RECALL_ANSWER_SECONDS", 0.05)
        silent.setattr(client.driver, "revoke", lambda *_: asyncio.Event().wait())
        status, late = await client.v1("DELETE", f"messages/{first['id']}")
        assert (status, obj(late["error"])["code"]) == (504, "too-slow")
    assert (await client.v1("DELETE", f"messages/{first['id']}"))[1]["result"] == "recalled"
    assert client.driver.commands[-1][0] == "revoke"
    one, two = await until_history(client, 2)
    assert (one["state"], one["recalled"], two["state"], two["reason"]) == ("delivered", True, "refused", "cancelled")
    client.driver.play([message("x", id="m1", chat="@ann1", sender="@ann1")])
    await until_history(client, 3)
    for identifier, code in (
        ("m1", "not-recallable"),
        (text(two["id"]), "not-recallable"),
        ("no", "no-such-message"),
    ):
        status, refused = await client.v1("DELETE", f"messages/{identifier}")
        assert (status // 100, obj(refused["error"])["code"]) == (4, code)


async def test_invalid_arguments_change_nothing(start: Start) -> None:
    client = start()
    await client.until_state("loading")
    status, refused = await client.v1("POST", "messages", {"to": ANN_NUMBER, "text": "hi"}, "k")
    assert (status, obj(refused["error"])["code"]) == (409, "not-logged-in")
    await enter(client)
    form = aiohttp.FormData({"to": ANN_NUMBER, "media_url": "http://127.0.0.1:1/x"})
    form.add_field("file", PNG, filename="x")
    wrong: list[tuple[object, int, str]] = [
        ({"text": "hi"}, 400, "bad-request"),
        ({"to": ANN_NUMBER}, 400, "bad-request"),
        ({"to": ANN_NUMBER, "text": "hi", "color": "red"}, 400, "bad-request"),
        ({"to": True, "text": "hi"}, 400, "bad-request"),
        ({"to": 5, "text": "hi"}, 404, "no-such-peer"),
        ({"to": ANN_NUMBER, "text": "hi", "hold": -1}, 400, "bad-request"),
        ({"to": ANN_NUMBER, "text": "hi", "interim": "yes"}, 400, "bad-request"),
        ({"to": ANN_NUMBER, "media_url": "/etc/passwd"}, 400, "bad-request"),
        ({"to": ANN_NUMBER, "media_id": "a", "media_type": "hologram"}, 400, "bad-request"),
        ({"to": ANN_NUMBER, "media_id": "a", "media_type": "card"}, 409, "unsupported"),
        ({"to": "nobody", "text": "hi"}, 404, "no-such-peer"),
        (["hi"], 400, "bad-request"),
        ({"to": ANN_NUMBER, "text": "half of \ud83d"}, 400, "bad-request"),
        (form, 400, "bad-request"),
    ]
    for body, wanted, code in wrong:
        status, answer = await client.v1("POST", "messages", body)
        assert (status, obj(answer["error"])["code"]) == (wanted, code), body
    for query in ("?before=x", "?after=1-x", "?before=1&after=2", "?limit=x"):
        assert (await client.v1("GET", f"messages{query}"))[0] == 400, query
    assert (client.driver.sends, client.driver.media_sends, await history(client)) == ([], [], [])
    # The key of the refused request is free.
    assert (await client.v1("POST", "messages", {"to": ANN_NUMBER, "text": "hi"}, "k"))[1]["state"] == "delivered"
    client.driver.outcomes.append(WeChatError("no", ret=1101))
    status, sent = await client.v1("POST", "messages", {"to": ANN_NUMBER, "text": "ho"})
    assert (status, sent["state"], sent["reason"]) == (200, "refused", "bad-recipient")


async def test_message_of_another_device_is_the_accounts_own(client: RunningClient) -> None:
    client.driver.play([message("x", id="m1", chat="@ann1", sender="@me", direction=Direction.SENT_ELSEWHERE)])
    [shown] = await until_history(client, 1, f"?chat={ANN_NUMBER}")
    assert (shown["direction"], shown["origin"], shown["state"]) == ("out", "device", None)


async def test_status_before_the_first_count_is_one_that_the_controller_reads(client: RunningClient) -> None:
    status, answer = await client.v1("GET", "status")
    assert status == 200
    assert decode(json.dumps(answer).encode(), StatusRecord).instance == "alice"
