"""iLink messages: polls, reply windows, both budgets, throttling, and what a phone does not show."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.unit.sandbox.agent import UIN, Agent, Json, ilink_sandbox, notes, permit, requests
from wxcontroller.sandbox.faults import FaultKind
from wxcontroller.sandbox.ilink import crypt, phone
from wxcontroller.sandbox.ilink.model import Bot, ILinkBehavior
from wxcontroller.sandbox.sandbox import Sandbox

_SHUT = {"ret": -14, "errmsg": "session timeout"}
_LATER = {"ret": -2, "errmsg": ""}
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


async def test_delivered_messages_do_not_return(pair: tuple[Sandbox, Agent]) -> None:
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


async def test_rolling_budget_outlives_messages_of_the_peer(pair: tuple[Sandbox, Agent]) -> None:
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


async def test_attempts_extend_the_throttle_and_silence_ends_it(pair: tuple[Sandbox, Agent]) -> None:
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


async def test_window_lasts_24_hours_and_its_end_is_not_a_logout(pair: tuple[Sandbox, Agent]) -> None:
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


async def test_sends_that_the_phone_does_not_show(pair: tuple[Sandbox, Agent]) -> None:
    sandbox, agent = pair
    _, there = await agent.put((await permit(agent))["upload_full_url"], bytes(16))

    def item(kind: str, number: int, parameter: str, key: str) -> Json:
        return {"type": number, f"{kind}_item": {"media": {"encrypt_query_param": parameter, "aes_key": key}}}

    for sent, problem in (
        (item("image", 2, there, crypt.raw_form(bytes(16))), "aes_key is not base64 of 32 hex digits"),
        (item("image", 2, there, crypt.hex_form(bytes(16))), "the file does not decrypt with that key"),
        (item("image", 2, "unknown", crypt.hex_form(bytes(16))), "the CDN has no such file"),
        (item("voice", 3, there, crypt.hex_form(bytes(16))), "voice that a bot sends is not shown"),
    ):
        assert (await agent.send(sent))["ret"] == 0
        assert sandbox.ilink.users[UIN].sent[-1].problem == problem
