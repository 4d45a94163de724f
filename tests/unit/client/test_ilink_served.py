"""The iLink API of an account: messages to agents and from them, on the iLink and on the web route."""

import asyncio
import base64
import contextlib
import io
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.patience import until
from tests.unit.client.ilink_agent import Agent, Json, announcement
from tests.unit.client.stage import Stage, staged
from tests.unit.client.test_kept_sends import busy_disk
from tests.unit.drivers.kit import friend
from tests.unit.durability.routes import ILINK, PICTURE, WEB
from wxcontroller.client.ilink import agentcdn, consumerbook, contexts, getupdates, sendmessage, serving
from wxcontroller.client.ilink.agentmessages import number_of
from wxcontroller.core.aes import Decryptor, encrypted, outbound_form, read_key
from wxcontroller.sandbox.world.ilinkbots import SessionState
from wxcontroller.sandbox.world.world import Relation


@pytest.fixture(params=[ILINK, WEB], ids=lambda route: route.name)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path, request.param, Stage) as found:
        yield found


def texts(messages: list[dict[str, object]]) -> list[object]:
    return [message["item_list"][0]["text_item"]["text"] for message in messages]  # type: ignore[index]


async def test_each_consumer_gets_unacknowledged_messages_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await stage.enter()
    one, other = Agent(client, "one"), Agent(client, "other")
    await one.attend()
    await other.attend()
    await stage.hear("first")
    first = await one.until()
    assert texts(first) == ["first"]
    again = await one.messages("")
    assert [(each["message_id"], each["client_id"]) for each in again] == [
        (first[0]["message_id"], first[0]["client_id"])
    ]
    before = one.cursor
    await stage.hear("second")
    assert texts(await one.until()) == ["second"]  # and acknowledges the first
    assert texts(await one.messages("")) == ["second"]
    # The other consumer got nothing yet, and the cursor of the first does not count for it.
    assert texts(await other.messages(one.cursor)) == ["first", "second"]
    assert texts(await other.messages("")) == ["first", "second"]
    assert {"first", "second"} & {one.cursor, other.cursor} == set()
    # An old cursor of its own does not count either.
    await stage.hear("third")
    assert texts(await one.until()) == ["third"]
    assert texts(await one.messages(before)) == ["third"]
    await stage.restart()
    for agent in (one, other):
        agent.use(stage.client)
    assert texts(await other.messages("")) == ["first", "second", "third"]
    assert [consumer["name"] for consumer in await one.consumers()] == ["one", "other"]
    monkeypatch.setattr(getupdates, "HOLD_SECONDS", 0.05)
    assert await other.messages() == []
    assert [consumer["behind"] for consumer in await one.consumers() if consumer["name"] == "other"] == [0]


async def test_consumer_polls_once_at_a_time(stage: Stage) -> None:
    client = await stage.enter()
    agent = Agent(client)
    await agent.attend()
    older = asyncio.ensure_future(agent.call("getupdates", get_updates_buf=""))
    await agent.until_polling()
    newer = asyncio.ensure_future(agent.call("getupdates", get_updates_buf=""))
    assert (await older)["msgs"] == []
    await stage.hear("hello")
    assert len((await newer)["msgs"]) == 1
    waiting = asyncio.ensure_future(agent.call("getupdates", get_updates_buf=(await newer)["get_updates_buf"]))
    await agent.until_polling()
    assert (await agent.manage("DELETE", "/v1/consumers/agent"))[0] == 200
    assert (await waiting)["errcode"] == -14
    assert await agent.consumers() == []


async def test_only_the_controller_is_admitted(stage: Stage) -> None:
    """Also while the account's API needs no token."""
    agent = Agent(await stage.enter())
    for headers in ({}, {"X-Wx-Consumer": "agent"}, {**agent.headers, "X-Wx-Consumer": "Not A Name"}):
        async with agent.http.post(f"{agent.base}/ilink/bot/getupdates", json={}, headers=headers) as answer:
            assert answer.status == 403
    assert await agent.call("getcontacts", 404) == {"ret": -1, "errmsg": "no such call"}


async def meet(agent: Agent, stage: Stage, words: str = "hello", **where: str) -> str:
    """Let a person write and the agent hear it; return the person's id."""
    await stage.hear(words, **where)
    [message] = await agent.until()
    assert texts([message]) == [words]
    return str(message["from_user_id"])


async def test_held_message_is_refused_and_later_sent_once(ilink: Stage) -> None:
    agent = await ilink.attended(WXCLIENT_BUDGET_PER_INBOUND="2")
    peer = await meet(agent, ilink)
    for words in ("one", "two"):
        assert (await agent.send_text(words, peer))["ret"] == 0
    for fields in ({"client_id": "a"}, {"client_id": "a"}, {"client_id": "b"}, {}):
        answer = await agent.send_text("three", peer, **fields)
        assert (answer["ret"], answer["errmsg"][:6]) == (-2, "held: ")
    assert ((await agent.shown())["held"], (await agent.shown())["sent"]) == (1, 3)
    await meet(agent, ilink, "go on")
    assert await ilink.until_sent(3) == ["one", "two", "three"]
    answer = await agent.send_text("three", peer, client_id="a")  # it retries once more
    assert answer["ret"] == 0, answer
    assert str(answer["message_id"]) == ilink.ilink.sent()[-1].message_id
    assert len(ilink.sent()) == 3


@pytest.mark.parametrize("restarted", [False, True])
async def test_equal_answer_to_a_newer_message_is_sent(ilink: Stage, restarted: bool) -> None:
    agent = await ilink.attended(WXCLIENT_BUDGET_PER_INBOUND="2")
    peer = await meet(agent, ilink)
    for words in ("one", "two"):
        assert (await agent.send_text(words, peer))["ret"] == 0
    for client_id in ("a", "b"):
        assert (await agent.send_text("OK", peer, client_id=client_id))["ret"] == -2
    if restarted:
        await ilink.restart(WXCLIENT_BUDGET_PER_INBOUND="2")
        agent.use(ilink.client)
        assert (await agent.send_text("OK", peer, client_id="c"))["ret"] == -2
    await meet(agent, ilink, "is it done?")
    assert await ilink.until_sent(3) == ["one", "two", "OK"]
    await meet(agent, ilink, "and now?")
    answer = await agent.send_text("OK", peer, client_id="d")
    assert str(answer["message_id"]) == ilink.ilink.sent()[-1].message_id
    assert ilink.sent() == ["one", "two", "OK", "OK"]


async def test_equal_answer_to_a_newer_message_is_another_while_the_first_is_held(ilink: Stage) -> None:
    budget = {"WXCLIENT_BUDGET_24H": "2"}
    agent = await ilink.attended(**budget)
    peer = await meet(agent, ilink)
    for words in ("one", "two"):
        assert (await agent.send_text(words, peer))["ret"] == 0
    assert (await agent.send_text("OK", peer, client_id="a"))["ret"] == -2
    assert await ilink.client.stop() == 0
    with contextlib.closing(sqlite3.connect(ilink.client.paths.state("alice") / "events.db")) as db, db:
        db.execute("UPDATE sends SET time = time - 60")
    agent.use(ilink.begin(**budget))
    await ilink.client.until_state("running")
    await meet(agent, ilink, "and now?")
    assert (await agent.send_text("OK", peer, client_id="b"))["ret"] == -2
    assert [consumer["held"] for consumer in await agent.consumers()] == [2]


async def test_equal_messages_without_a_token_are_one_only_while_held(ilink: Stage) -> None:
    agent = await ilink.attended(WXCLIENT_BUDGET_PER_INBOUND="2")
    peer = await meet(agent, ilink)
    for words in ("one", "two"):
        assert (await agent.send_text(words, peer))["ret"] == 0
    for client_id in ("a", "b"):
        assert (await agent.send_text("ping", peer, client_id=client_id, context_token=""))["ret"] == -2
    await meet(agent, ilink, "what?")
    assert await ilink.until_sent(3) == ["one", "two", "ping"]
    await meet(agent, ilink, "again?")
    assert (await agent.send_text("ping", peer, client_id="c", context_token=""))["ret"] == 0
    assert ilink.sent() == ["one", "two", "ping", "ping"]


async def test_message_repeated_while_the_disk_is_slow_is_sent_once(
    ilink: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = await ilink.attended()
    peer = await meet(agent, ilink)
    await agent.set(wait=0)
    async with busy_disk(ilink.client):
        monkeypatch.setattr(sendmessage, "ANSWER_SECONDS", 0.2)
        await agent.send_text("once", peer, client_id="a")  # it gets no result in time
        monkeypatch.undo()
        again = asyncio.create_task(agent.send_text("once", peer, client_id="a"))
        await asyncio.sleep(0.2)
    assert (await again)["ret"] == 0
    await agent.set(wait=14)
    answer = await agent.send_text("once", peer, client_id="a")
    assert answer["ret"] == 0, answer
    assert [(one.text, one.message_id) for one in ilink.ilink.sent()] == [("once", str(answer["message_id"]))]


async def test_altered_ids_and_foreign_tokens_send_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "SENDS_PER_SECOND", 1000)
    client = await stage.enter()
    agent, other = Agent(client), Agent(client, "other")
    await agent.attend()
    await other.attend()
    peer = await meet(agent, stage)
    await other.until()
    own = agent.contexts[peer]
    forged = own[:-4] + ("AAAA" if own[-4:] != "AAAA" else "BBBB")
    tokens = [other.contexts[peer], forged, "x", agent.cursor]
    is_ilink = stage.route is ILINK
    if is_ilink:
        tokens += [token for window in stage.ilink.bot.windows.values() for token in window.tokens][:1]
    for token in tokens:
        assert (await agent.send_text("no", peer, context_token=token))["ret"] == -3
    swapped = peer.swapcase() if is_ilink else peer.upper()
    for wrong in (swapped, f"user:{peer}", peer.removesuffix("@im.wechat"), "", "filehelper@chatroom", "filehelper"):
        assert (await agent.send_text("no", wrong, context_token=own))["ret"] == -3
        assert (await agent.send_text("no", wrong, context_token=""))["ret"] == -3
    assert (await agent.send_text("no", peer, message_state=1))["ret"] == -2
    assert (await agent.send_text("no", peer, message_type=1))["ret"] == -2
    assert (await agent.send_text("", peer))["ret"] == -2
    assert await agent.send({"type": 11, "tool_call_start_item": {}}, to=peer) == {"ret": 0}  # shown nowhere
    assert (await agent.send_text("x" * 20_000, peer))["ret"] == -2
    assert stage.sent() == []
    assert (await agent.send_text("without a token", peer, context_token=""))["ret"] == 0
    await agent.set(peers=[] if is_ilink else ["filehelper@im.wechat"])
    assert (await agent.send_text("no", peer))["ret"] == -3
    assert stage.sent() == ["without a token"]


async def test_reply_to_a_group_members_message_goes_to_the_group(web: Stage) -> None:
    client = await web.enter()
    agent, private, named = Agent(client), Agent(client, "private"), Agent(client, "named")
    await agent.set(groups="on")
    await named.set(groups="at")
    for one in (agent, private, named):
        await one.attend()
    world = web.account.world
    group = next(group for group in world.groups.values() if len(group.members) > 3)
    [writer, *_] = [member.wxid for member in group.members if member.wxid != world.me.wxid]
    for words in ("who is in?", "@Alice\u2005and you?"):
        web.wechat.hear(web.account, words, group.wxid, writer)
    for chat, words in ((group.wxid, "somebody joined"), (friend(web.account), "you are friends now")):
        web.wechat.sandbox.notice(web.account, chat, words)
    await web.hear("in private")
    first, second, third = await agent.until(3)
    assert texts([first, second, third]) == ["who is in?", "@Alice and you?", "in private"]
    chat, member = first["group_id"], first["from_user_id"]
    assert (chat[-9:], second["group_id"], third["group_id"]) == ("@chatroom", chat, "")
    assert (first["openwx"]["at_me"], second["openwx"]["at_me"]) == (False, True)
    assert texts(await private.until()) == ["in private"]
    assert texts(await named.until(2)) == ["@Alice and you?", "in private"]
    token = first["context_token"]
    assert (await agent.send_text("to the sender", member, context_token=token))["ret"] == 0
    assert (await agent.send_text("to the group", chat, context_token=token))["ret"] == 0
    assert (await agent.send_text("x", third["from_user_id"], context_token=token))["ret"] == (
        0 if any(member.wxid == friend(web.account) for member in group.members) else -3
    )
    assert [one.wxid for one in web.account.sent][:2] == [group.wxid] * 2
    await agent.set(groups="off")
    assert (await agent.send_text("no", chat, context_token=token))["ret"] == -3


async def test_a_token_is_valid_for_its_conversation_and_a_week(web: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = await web.attended()
    peers = []
    for number in range(2):
        web.wechat.hear(web.account, "hello", friend(web.account, number))
        [message] = await agent.until()
        peers.append(message["from_user_id"])
    first, second = peers
    token = agent.contexts[first]
    assert (await agent.send_text("no", second, context_token=token))["ret"] == -3
    assert web.sent() == []
    assert (await agent.send_text("yes", first, context_token=token))["ret"] == 0
    # One that is over counts as none: the message goes to whom it names.
    monkeypatch.setattr(contexts, "LIFE_SECONDS", -1)
    assert (await agent.send_text("later", second, context_token=token))["ret"] == 0
    assert [one.wxid for one in web.account.sent] == [friend(web.account, number) for number in range(2)]


async def test_a_held_message_is_answered_as_its_consumer_wants(ilink: Stage) -> None:
    agent = await ilink.attended(WXCLIENT_BUDGET_PER_INBOUND="2")
    peer = await meet(agent, ilink)
    for words in ("one", "two"):
        assert (await agent.send_text(words, peer))["ret"] == 0
    await agent.set(when_held="drop")
    answer = await agent.send_text("dropped", peer)
    assert (answer["ret"], (await agent.shown())["held"]) == (-2, 0)
    await agent.set(when_held="accept")
    answer = await agent.send_text("accepted", peer)
    assert (answer["ret"], type(answer["message_id"]), (await agent.shown())["held"]) == (0, int, 1)
    await meet(agent, ilink, "go on")
    assert await ilink.until_sent(3) == ["one", "two", "accepted"]


async def test_a_queued_message_is_answered_after_the_consumers_wait(web: Stage) -> None:
    agent = await web.attended(MOJO_WEIXIN_SEND_INTERVAL="600")
    peer = await meet(agent, web)
    assert (await agent.send_text("one", peer))["ret"] == 0
    await agent.set(wait=0)
    begun = asyncio.get_running_loop().time()
    answer = await agent.send_text("two", peer)
    assert (answer["ret"], type(answer["message_id"])) == (0, int)
    assert asyncio.get_running_loop().time() - begun < consumerbook.ANSWER_SECONDS
    assert web.sent() == ["one"]
    status, _ = await agent.manage("PUT", f"/v1/consumers/{agent.name}", {"wait": 15})
    assert status == 400


async def test_a_consumer_that_sends_too_fast_is_told_when_to_go_on(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "SENDS_PER_SECOND", 2)
    agent = Agent(await stage.enter())
    url = f"{agent.base}/ilink/bot/sendmessage"
    body: Json = {"msg": {"item_list": []}}
    for expected in ((200, None), (200, None), (429, "1")):
        async with agent.http.post(url, json=body, headers=agent.headers) as answer:
            assert (answer.status, answer.headers.get("Retry-After")) == expected
            assert (await answer.json())["ret"] == -2
    assert (await Agent(stage.client, "other").call("sendmessage", **body))["ret"] == -2  # each has its own pace


async def test_typing_is_shown_to_people_who_have_written(ilink: Stage) -> None:
    agent = await ilink.attended()
    scanner = ilink.ilink.peer
    assert (await agent.call("getconfig", ilink_user_id=scanner))["ret"] == -4
    peer = await meet(agent, ilink)
    assert peer == scanner
    ticket = (await agent.call("getconfig", ilink_user_id=peer))["typing_ticket"]
    for wrong in ({"typing_ticket": "x"}, {"ilink_user_id": "other@im.wechat"}):
        fields = {"ilink_user_id": peer, "typing_ticket": ticket, "status": 1, **wrong}
        assert (await agent.call("sendtyping", **fields))["ret"] == -2
    assert ilink.ilink.requests("sendtyping") == 0
    assert (await agent.call("sendtyping", ilink_user_id=peer, typing_ticket=ticket, status=1))["ret"] == 0
    assert ilink.ilink.requests("sendtyping") == 1
    await agent.set(peers=[])
    assert (await agent.call("getconfig", ilink_user_id=peer))["ret"] == -4


async def test_a_poll_has_an_end_and_a_most(web: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = await web.attended()
    monkeypatch.setattr(getupdates, "MAX_MESSAGES", 2)
    for words in ("one", "two", "three"):
        await web.hear(words)
    answer = await agent.call("getupdates", get_updates_buf=agent.cursor)
    assert (texts(answer["msgs"]), answer["longpolling_timeout_ms"]) == (["one", "two"], 35_000)
    agent.cursor = answer["get_updates_buf"]
    assert texts(await agent.until()) == ["three"]


async def test_people_keep_their_ids_over_logins(web: Stage) -> None:
    client = await web.enter()
    agent = Agent(client)
    await agent.attend()
    peer = await meet(agent, web)
    assert peer.startswith("w") and len(peer) == len("w@im.wechat") + 20
    first = await agent.send_text("hello to you", peer, client_id="1")
    await client.stop()
    client.paths.cookie_file("alice").unlink()
    agent.use(web.begin())
    await web.client.until_state("scaning")
    assert await agent.send_text("hello to you", peer, client_id="1") == first  # it lost the answer
    assert (await agent.send_text("new", peer))["ret"] == -2
    await web.scan()
    assert (await agent.send_text("still there?", peer, client_id="2"))["ret"] == 0  # with the token of the old login
    assert await agent.send_text("hello to you", peer, client_id="1") == first
    assert [(one.wxid, one.text) for one in web.account.sent][-1] == (friend(web.account), "still there?")
    assert await meet(agent, web, "yes") == peer


async def test_content_that_arrives_is_offered_as_ciphertext(stage: Stage) -> None:
    agent = await stage.attended()
    paper = bytes(range(256)) * 4000  # some pieces
    await stage.show("image", PICTURE, "a.png")
    await stage.show("file", paper, "報告.pdf")
    image, file = [message["item_list"][0] for message in await agent.until(2)]
    assert (image["type"], file["type"], file["file_item"]["file_name"]) == (2, 4, "報告.pdf")
    assert (file["file_item"]["len"], image["image_item"]["mid_size"]) == (str(len(paper)), 2064)
    for found, content in ((image["image_item"], PICTURE), (file["file_item"], paper)):
        status, ciphertext = await agent.get(found["media"]["full_url"])
        key = read_key(found["media"]["aes_key"])
        decryptor = Decryptor(key)
        assert (status, len(ciphertext)) == (200, len(content) // 16 * 16 + 16)
        assert decryptor.update(ciphertext) + decryptor.finish() == content
        assert content not in ciphertext
    assert read_key("", image["image_item"]["aeskey"]) == read_key(image["image_item"]["media"]["aes_key"])
    url = image["image_item"]["media"]["full_url"]
    assert (await agent.get(url[:-3] + ("AAA" if url[-3:] != "AAA" else "BBB")))[0] == 404
    # The controller checks the token of the consumer in the link: under another name it is invalid.
    other = Agent(agent.client, "other")
    await other.set()
    assert (await other.get(url.replace("alice.agent.", "alice.other.")))[0] == 404
    assert (await agent.manage("DELETE", "/v1/consumers/agent"))[0] == 200
    assert (await agent.get(url))[0] == 404


async def test_content_that_an_agent_uploads_is_sent(stage: Stage) -> None:
    client = await stage.enter()
    agent, other = Agent(client), Agent(client, "other")
    await agent.attend()
    peer = await meet(agent, stage)
    key = bytes(range(16))
    picture = await agent.uploaded(1, PICTURE, key)
    paper = await agent.uploaded(3, bytes(16), key)
    image = {"type": 2, "image_item": {"media": {"encrypt_query_param": picture, "aes_key": outbound_form(key)}}}
    raw = base64.b64encode(key).decode()  # in this form, too
    file_item = {"media": {"encrypt_query_param": paper, "aes_key": raw}, "file_name": "a.pdf", "len": "16"}
    items = [{"type": 1, "text_item": {"text": "both"}}, image, {"type": 4, "file_item": file_item}]
    answer = await agent.send(*items, to=peer, client_id="1")
    assert answer["ret"] == 0, answer
    assert await agent.send(*items, to=peer, client_id="1") == answer
    assert stage.contents() == [("image", len(PICTURE)), ("file", 16)]
    assert [text for text in stage.sent() if text == "both"] == ["both"]
    # Received content is forwarded without another upload.
    await stage.show("image", PICTURE, "b.png")
    [message] = await agent.until()
    assert (await agent.send(*message["item_list"], to=peer, client_id="2"))["ret"] == 0
    assert stage.contents()[2:] == [("image", len(PICTURE))]
    assert (await other.send(image, to=peer, client_id="3", context_token=""))["ret"] in (-2, -3)
    assert len(stage.contents()) == 3


async def test_upload_must_match_its_announcement(ilink: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = Agent(await ilink.enter())
    key = bytes(range(16))
    ciphertext = b"".join(encrypted(io.BytesIO(PICTURE), key))
    url = (await agent.call("getuploadurl", **announcement(1, PICTURE, key)))["upload_full_url"]
    other = b"".join(encrypted(io.BytesIO(bytes(len(PICTURE))), key))
    for wrong in (other, ciphertext[:-16], ciphertext + bytes(16), bytes(len(ciphertext)), b"", b"x"):
        status, why = await agent.put(url, wrong)
        assert (status, bool(why)) == (400, True)
    assert (await agent.put(url, ciphertext))[0] == 200
    with monkeypatch.context() as earlier:
        earlier.setattr(agentcdn, "PERMIT_SECONDS", -1)
        old = (await agent.call("getuploadurl", **announcement(1, PICTURE, key)))["upload_full_url"]
    assert (await agent.put(old, ciphertext))[0] == 403
    assert await agent.uploaded(3, b"", key)
    assert await agent.uploaded(3, bytes(2_500_000), key)
    assert (await agent.call("getuploadurl", **announcement(4, PICTURE, key)))["ret"] == -2  # voice
    assert (await agent.call("getuploadurl", **announcement(3, b"", key) | {"rawsize": 1 << 40}))["ret"] == -2
    forged = url.replace("alice.agent.", "alice.agent.A")
    assert (await agent.put(forged, ciphertext))[0] == 403
    stranger = Agent(agent.client, "other")
    await stranger.set()
    assert (await stranger.put(url.replace("alice.agent.", "alice.other."), ciphertext))[0] == 403


async def test_permit_holds_one_file(ilink: Stage) -> None:
    """The official SDK repeats an upload up to three times."""
    client = await ilink.enter()
    agent, key = Agent(client), bytes(range(16))
    ciphertext = b"".join(encrypted(io.BytesIO(PICTURE), key))
    url = (await agent.call("getuploadurl", **announcement(1, PICTURE, key)))["upload_full_url"]
    answers = await asyncio.gather(*(agent.put(url, ciphertext) for _ in range(3)), agent.put(url, ciphertext))
    assert {status for status, _ in answers} == {200}
    [file] = client.paths.media("alice").iterdir()
    assert file.read_bytes() == PICTURE


async def test_upload_that_is_shorter_than_announced_is_stored_as_it_is(ilink: Stage) -> None:
    client = await ilink.enter()
    agent, key, content = Agent(client), bytes(range(16)), PICTURE + bytes(-len(PICTURE) % 16 + 1)
    longer = announcement(1, content, key) | {"rawsize": len(content) + 1}
    url = (await agent.call("getuploadurl", **longer))["upload_full_url"]
    assert (await agent.put(url, b"".join(encrypted(io.BytesIO(content), key))))[0] == 200
    [file] = client.paths.media("alice").iterdir()
    assert file.read_bytes() == content


async def test_uploads_of_agents_take_a_part_of_the_disk(ilink: Stage) -> None:
    size, key = 300_000, bytes(range(16))
    client = await ilink.enter(WXCLIENT_MEDIA_KEEP_BYTES=str(16 * size))
    media = client.paths.media("alice")
    agents = [Agent(client), Agent(client, "other")]
    for agent in agents:
        await agent.attend()
    for number in range(6):
        for agent in agents:
            assert await agent.uploaded(3, bytes([number]) * size, key)
            assert sum(file.stat().st_size for file in media.iterdir()) <= 4 * size
    # Each has half of a quarter, and the newest of it.
    assert sorted(file.read_bytes()[0] for file in media.iterdir()) == [4, 4, 5, 5]
    # One that is larger than this is taken, too, and alone.
    assert await agents[0].uploaded(3, bytes(4 * size), key)
    assert sorted(file.stat().st_size for file in media.iterdir()) == [size, size, 4 * size]


async def test_files_of_one_agent_that_wait_leave_room_for_those_of_others(ilink: Stage) -> None:
    size, key = 300_000, bytes(range(16))
    # A quarter of it is for content that waits, and a quarter of this for each agent.
    client = await ilink.enter(600.0, WXCLIENT_MEDIA_KEEP_BYTES=str(32 * size))
    agent, other = Agent(client), Agent(client, "other")
    for one in (agent, other):
        await one.attend()
    await ilink.hear("hello")
    peers = {one: str((await one.until())[0]["from_user_id"]) for one in (agent, other)}

    async def sent(one: Agent, client_id: str) -> str:
        """Send a file; return why it is refused."""
        media = {"encrypt_query_param": await one.uploaded(3, bytes(size), key), "aes_key": outbound_form(key)}
        item = {"type": 4, "file_item": {"media": media, "file_name": "a.pdf", "len": str(size)}}
        return str((await one.send(item, to=peers[one], client_id=client_id)).get("errmsg", ""))

    await agent.set(wait=0)
    await other.set(wait=0)
    reasons = [await sent(agent, str(number)) for number in range(5)]
    assert "of this token" in reasons[-1]
    assert not await sent(other, "first")


async def test_upload_beside_others_that_take_the_room_deletes_nothing(ilink: Stage) -> None:
    size, key = 300_000, bytes(range(16))
    client = await ilink.enter(WXCLIENT_MEDIA_KEEP_BYTES=str(16 * size))
    agent, media, go_on = Agent(client), client.paths.media("alice"), asyncio.Event()
    await agent.attend()
    contents = {times: bytes([times]) * (times * size) for times in (2, 3)}
    ciphertexts = {times: b"".join(encrypted(io.BytesIO(content), key)) for times, content in contents.items()}
    urls = {
        times: (await agent.call("getuploadurl", **announcement(3, content, key)))["upload_full_url"]
        for times, content in contents.items()
    }

    async def slowly() -> AsyncIterator[bytes]:
        yield ciphertexts[3][:1000]
        await go_on.wait()
        yield ciphertexts[3][1000:]

    assert await agent.uploaded(3, bytes(size), key)
    slow = asyncio.create_task(agent.put(urls[3], slowly()))
    await until(lambda: any(file.name.startswith(".in.") and file.stat().st_size for file in media.iterdir()))
    assert (await agent.put(urls[2], ciphertexts[2]))[0] == 503
    go_on.set()
    assert (await slow)[0] == 200
    assert sorted(file.stat().st_size for file in media.iterdir()) == [size, 3 * size]


async def test_old_messages_are_dropped_after_a_long_absence(web: Stage) -> None:
    client = await web.enter()
    agent, patient = Agent(client), Agent(client, "patient")
    await patient.set(backlog=3 * 1440)
    for one in (agent, patient):
        await one.attend()
    await web.hear("two days ago")
    with contextlib.closing(sqlite3.connect(client.paths.state("alice") / "events.db")) as db, db:
        db.execute("UPDATE events SET time = time - 2 * 86400")
    await web.restart()
    for one in (agent, patient):
        one.use(web.client)
    await web.hear("today")
    assert texts(await agent.until()) == ["today"]
    assert texts(await patient.until(2)) == ["two days ago", "today"]
    assert [consumer["skipped"] for consumer in await agent.consumers()] == [1, 0]


async def test_consumer_gets_only_the_messages_in_its_options(web: Stage) -> None:
    client = await web.enter()
    agent, curious = Agent(client), Agent(client, "curious")
    await curious.set(own=True, public=True)
    for one in (agent, curious):
        await one.attend()
    people = web.account.world.people
    official = next(person.wxid for person in people.values() if person.kind is Relation.OFFICIAL)
    web.wechat.hear(web.account, "news", official)
    for chat, words in ((friend(web.account), "from the phone"), ("filehelper", "note to self")):
        web.wechat.sandbox.deliver(web.account, chat, web.account.wxid, words, "phone")
    await web.hear("hello")
    assert texts(await agent.until()) == ["hello"]
    everything = await curious.until(4)
    assert texts(everything) == ["news", "from the phone", "note to self", "hello"]
    (_, own, _, hello) = everything
    assert (own["message_type"], own["to_user_id"]) == (2, hello["from_user_id"])
    # What the API sends is not from another device.
    assert (await curious.send_text("by itself", hello["from_user_id"]))["ret"] == 0
    await web.hear("after")
    assert texts(await curious.until()) == ["after"]
    for wrong in ({"peers": ["nobody"]}, {"groups": "yes"}, {"backlog": 0}, {"x": 1}, {"own": 1}):
        assert (await agent.manage("PUT", "/v1/consumers/agent", wrong))[0] == 400


async def test_cursor_from_after_a_restored_backup_loses_no_message(web: Stage) -> None:
    """The log of the backup gives the same sequences to other messages."""
    agent = await web.attended()
    await meet(agent, web, "before")
    await agent.client.stop()
    path = agent.client.paths.state("alice") / "events.db"
    backup = path.read_bytes()
    with contextlib.closing(sqlite3.connect(path)) as db, db:  # as after many more events
        db.execute("UPDATE sqlite_sequence SET seq = seq + 1000 WHERE name = 'events'")
    agent.use(web.begin())
    await web.client.until_state("running")
    await meet(agent, web, "is lost with the disk")
    await web.client.stop()
    for lost in path.parent.glob("events.db*"):
        lost.unlink()
    path.write_bytes(backup)
    agent.use(web.begin())
    await web.client.until_state("running")
    await web.hear("after")
    heard = texts(await agent.messages())
    while heard[-1:] != ["after"]:
        new = texts(await agent.messages())
        assert new, heard
        heard += new


def test_ids_of_messages_stay_numbers_up_to_64_bits() -> None:
    for number in (1, 2**53 + 1, 2**64 - 1):
        assert number_of(str(number)) == number
    derived = {number_of(other) for other in ("reminder", "", str(2**64), "٣")}
    assert len(derived) == 4
    assert all(0 <= number < 1 << 63 for number in derived)


async def test_logout_at_wechat_is_none_of_the_agents(ilink: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = await ilink.attended()
    peer = await meet(agent, ilink)
    ilink.ilink.bot.set_state(SessionState.DEAD)
    await agent.client.until_state("scaning")
    monkeypatch.setattr(getupdates, "HOLD_SECONDS", 0.05)
    assert await agent.messages() == []
    answer = await agent.send_text("later", peer)
    assert (answer["ret"], answer["errmsg"][:6]) == (-2, "held: ")
    assert (await agent.call("msg/notifystart"))["ret"] == 0
