"""iLink messages: polls, reply windows, both budgets, throttling, and what sends are refused with."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.unit.sandbox.agent import OTHER_UIN, UIN, Agent, Json, ilink_sandbox, notes, requests
from wxcontroller.sandbox.faults import FaultKind
from wxcontroller.sandbox.ilink import phone
from wxcontroller.sandbox.ilink.model import Bot, ILinkBehavior, SendVerdict, TokenPolicy
from wxcontroller.sandbox.sandbox import Sandbox

_SHUT = {"ret": -14, "errmsg": "session timeout"}
_LATER = {"ret": -2, "errmsg": ""}
_INVALID = {"ret": -3, "errmsg": "invalid arguments"}
_ARGUMENTS = {"ret": -2, "errmsg": "invalid arguments"}
_HOUR = 3600.0


@pytest.fixture
async def pair() -> AsyncIterator[tuple[Sandbox, Agent]]:
    """A bot that its user has written to."""
    async with ilink_sandbox() as (sandbox, agent):
        await agent.log_in(sandbox)
        await write(sandbox, agent, "hello")
        yield sandbox, agent


async def write(sandbox: Sandbox, agent: Agent, said: str) -> Json:
    phone.write_text(sandbox, sandbox.accounts[UIN], said)
    [message] = (await agent.updates())["msgs"]
    return message


def settings(sandbox: Sandbox) -> ILinkBehavior:
    return sandbox.ilink.users[UIN].settings


def bot_of(sandbox: Sandbox) -> Bot:
    bot = sandbox.ilink.users[UIN].bot
    assert bot is not None
    return bot


async def test_delivery_is_consumption(pair: tuple[Sandbox, Agent]) -> None:
    sandbox, agent = pair
    before = agent.cursor
    await write(sandbox, agent, "once")
    agent.cursor = before
    assert (await agent.updates())["msgs"] == []
    assert "getupdates: get_updates_buf is not the newest cursor" in notes(sandbox)
    agent.cursor = ""
    assert (await agent.updates())["msgs"] == []
    # What waits for a client that is away is there when it comes back; what was lost on the way is not.
    for number in range(3):
        phone.write_text(sandbox, sandbox.accounts[UIN], str(number))
    got = (await agent.updates())["msgs"]
    assert [one["item_list"][0]["text_item"]["text"] for one in got] == ["0", "1", "2"]
    phone.write_text(sandbox, sandbox.accounts[UIN], "lost")
    sandbox.faults.add("getupdates", FaultKind.RESET, "after", 1, UIN)
    with pytest.raises(aiohttp.ClientError):
        await agent.updates()
    assert (await agent.updates())["msgs"] == []


async def test_ten_sends_go_and_the_next_message_opens_the_window_again(pair: tuple[Sandbox, Agent]) -> None:
    sandbox, agent = pair
    answers = [await agent.send_text(str(number)) for number in range(11)]
    assert [answer["ret"] for answer in answers] == [0] * 10 + [-2]
    assert answers[10] == _LATER
    await write(sandbox, agent, "go on")
    assert (await agent.send_text("10"))["ret"] == 0
    assert len(sandbox.ilink.users[UIN].sent) == 11


async def test_the_rolling_budget_counts_over_messages_of_the_peer(pair: tuple[Sandbox, Agent]) -> None:
    sandbox, agent = pair
    settings(sandbox).budget_24h = 3
    for number in range(3):
        await write(sandbox, agent, "next")
        assert (await agent.send_text(str(number)))["ret"] == 0
    await write(sandbox, agent, "next")
    assert await agent.send_text("3") == _LATER
    sandbox.forward(24 * _HOUR)
    await write(sandbox, agent, "a day later")
    assert (await agent.send_text("3"))["ret"] == 0


async def test_attempts_lengthen_the_throttle_and_silence_ends_it(pair: tuple[Sandbox, Agent]) -> None:
    sandbox, agent = pair
    settings(sandbox).burst, settings(sandbox).refusal_text = 3, "rate limited"
    answers = [await agent.send_text(str(number)) for number in range(4)]
    assert answers[3] == {"ret": -2, "errmsg": "rate limited"}
    settings(sandbox).burst = 0
    bot = bot_of(sandbox)
    until = [bot.throttled_until]
    for _ in range(2):
        assert (await agent.send_text("now?"))["ret"] == -2
        until.append(bot.throttled_until)
    hours = [round((one - sandbox.clock.now()) / _HOUR) for one in until]
    assert hours == [1, 2, 4]
    sandbox.forward(3 * _HOUR)
    assert (await agent.send_text("too early"))["ret"] == -2
    sandbox.forward(9 * _HOUR)
    assert (await agent.send_text("after silence"))["ret"] == 0
    assert len(requests(sandbox, "sendmessage")) == 8


async def test_a_window_lasts_24_hours_and_its_end_is_no_logout(pair: tuple[Sandbox, Agent]) -> None:
    sandbox, agent = pair
    sandbox.forward(23.9 * _HOUR)
    assert (await agent.send_text("just in time"))["ret"] == 0
    sandbox.forward(_HOUR)
    assert await agent.send_text("too late") == _SHUT
    assert (await agent.updates())["msgs"] == []
    await write(sandbox, agent, "back")
    assert (await agent.send_text("in time"))["ret"] == 0
    bot_of(sandbox).windows[agent.user_id].closed = True
    assert await agent.send_text("closed") == _SHUT


async def test_a_lost_authorization_looks_like_a_logout(pair: tuple[Sandbox, Agent]) -> None:
    _, agent = pair
    body = {"get_updates_buf": "", "base_info": {"channel_version": "2.4.9"}}
    for lost in (None, "", f"Bearer{agent.token}", "Bearer other", f"Basic {agent.token}"):
        assert (await agent.post("getupdates", body, Authorization=lost))["errcode"] == -14
    assert (await agent.updates())["msgs"] == []
    # Clients that send nothing else are served.
    bare = {"iLink-App-Id": None, "iLink-App-ClientVersion": None, "AuthorizationType": None, "X-WECHAT-UIN": None}
    assert (await agent.post("getupdates", {}, **bare))["msgs"] == []


async def test_ids_are_compared_byte_for_byte(pair: tuple[Sandbox, Agent]) -> None:
    sandbox, agent = pair
    context = agent.contexts[agent.user_id]
    for altered in (agent.user_id.lower(), f"user:{agent.user_id}", f"{agent.user_id} "):
        assert await agent.send_text("hello", to=altered, context_token=context) == _INVALID
    assert await agent.send_text("hello", to="", context_token=context) == _ARGUMENTS
    other = sandbox.ilink.users[OTHER_UIN].user_id
    assert await agent.send_text("hello", to=other, context_token=context) == _SHUT  # has never written
    assert (await agent.send_text("hello"))["ret"] == 0


async def test_what_is_refused_whatever_the_window(pair: tuple[Sandbox, Agent]) -> None:
    _, agent = pair
    item = {"type": 1, "text_item": {"text": "x"}}
    assert await agent.send(item, item) == _ARGUMENTS
    assert await agent.send(item, message_state=1) == _ARGUMENTS
    assert await agent.send_text("好" * 5462) == _ARGUMENTS  # 16 386 bytes
    assert (await agent.send_text("好" * 5461))["ret"] == 0


async def test_context_tokens_as_the_setting_says(pair: tuple[Sandbox, Agent]) -> None:
    sandbox, agent = pair
    assert await agent.send_text("no token", context_token="") == _INVALID
    assert (await agent.send_text("forged", context_token="forged"))["ret"] == 0
    settings(sandbox).tokens = TokenPolicy.CHECKED
    assert await agent.send_text("forged", context_token="forged") == {"ret": -2, "errmsg": "prepare failed"}
    assert (await agent.send_text("real"))["ret"] == 0
    settings(sandbox).tokens = TokenPolicy.IGNORED
    sandbox.forward(48 * _HOUR)
    assert (await agent.send_text("no token", context_token=""))["ret"] == 0
    assert await agent.send_text("real") == _SHUT


async def test_repeated_client_ids(pair: tuple[Sandbox, Agent]) -> None:
    sandbox, agent = pair
    first = await agent.send_text("one", client_id="same")
    assert (await agent.send_text("one", client_id="same"))["message_id"] != first["message_id"]
    settings(sandbox).drop_repeats = True
    sandbox.faults.add("sendmessage", FaultKind.RESET, "after", 1, UIN)
    with pytest.raises(aiohttp.ClientError):
        await agent.send_text("two", client_id="other")
    answer = await agent.send_text("two", client_id="other")
    assert answer["message_id"] == int(sandbox.ilink.users[UIN].sent[-1].message_id)
    assert [one.text for one in sandbox.ilink.users[UIN].sent] == ["one", "one", "two"]
    assert "sendmessage: client_id was used before" in notes(sandbox)


async def test_faults_have_the_form_of_each_call(pair: tuple[Sandbox, Agent]) -> None:
    sandbox, agent = pair
    settings(sandbox).refusal_text = "prepare failed"
    for endpoint, code in (("sendmessage", -2), ("getupdates", -14), ("getuploadurl", -1)):
        sandbox.faults.add(endpoint, FaultKind.RETCODE, code, 1, UIN)
    assert await agent.send_text("x") == {"ret": -2, "errmsg": "prepare failed"}
    assert await agent.updates() == {"errcode": -14, "errmsg": "session timeout"}
    assert await agent.call("getuploadurl") == {"ret": -1, "errmsg": ""}
    assert (await agent.updates())["msgs"] == []
    assert (await agent.send_text("x"))["ret"] == 0
    sandbox.faults.add("getupdates", FaultKind.GARBAGE, '{"msgs":[]}', 1, OTHER_UIN)
    assert "get_updates_buf" in await agent.updates()
    sandbox.faults.add("getupdates", FaultKind.STATUS, 524, 1, UIN)
    with pytest.raises(AssertionError, match="524"):
        await agent.updates()


async def test_the_hint_and_a_gateway_that_ends_long_polls(pair: tuple[Sandbox, Agent]) -> None:
    sandbox, agent = pair
    settings(sandbox).timeout_hint, settings(sandbox).edge = 12_000, 16
    assert (await agent.updates())["msgs"] == []
    settings(sandbox).edge = 0.05
    with pytest.raises(AssertionError, match="524"):
        await agent.updates()
    phone.write_text(sandbox, sandbox.accounts[UIN], "at once")
    answer = await agent.updates()
    assert answer["longpolling_timeout_ms"] == 12_000
    assert "ret" not in answer  # as in reality


@pytest.mark.parametrize(
    ("answer", "body"),
    [(SendVerdict.NO_ID, {"ret": 0}), (SendVerdict.OBJECT, {}), (SendVerdict.EMPTY, {})],
    ids=str,
)
async def test_a_restricted_user_sees_nothing(pair: tuple[Sandbox, Agent], answer: SendVerdict, body: Json) -> None:
    sandbox, agent = pair
    settings(sandbox).answer = answer
    assert await agent.send_text("hello?") == body
    assert sandbox.ilink.users[UIN].sent[-1].problem == "the user is restricted"
    assert [line.text for line in sandbox.accounts[UIN].chats["clawbot"]] == ["hello"]
    assert bot_of(sandbox).windows[agent.user_id].sent == 1
    settings(sandbox).answer = SendVerdict.ID
    assert "message_id" in await agent.send_text("again")
