"""iLink login codes: every status, digits, redirects, bots that are bound already."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.sandbox.agent import UIN, Agent, ilink_sandbox, newest_code
from wxcontroller.sandbox.ilink import phone
from wxcontroller.sandbox.logins import WrongState
from wxcontroller.sandbox.sandbox import Sandbox


@pytest.fixture
async def pair() -> AsyncIterator[tuple[Sandbox, Agent]]:
    async with ilink_sandbox() as both:
        yield both


async def test_digits_are_tried_and_the_third_wrong_ones_block(pair: tuple[Sandbox, Agent]) -> None:
    sandbox, agent = pair
    for wrong in (2, 3):
        code = await agent.code()
        login = newest_code(sandbox)
        phone.scan(sandbox, login, sandbox.accounts[UIN], verify=True)
        assert (await agent.status(code))["status"] == "need_verifycode"
        with pytest.raises(WrongState):
            phone.confirm(sandbox, login)
        bad = "000000" if login.digits != "000000" else "000001"
        answers = [(await agent.status(code, bad))["status"] for _ in range(wrong)]
        if wrong == 3:
            assert answers == ["need_verifycode", "need_verifycode", "verify_code_blocked"]
            assert (await agent.status(code, login.digits))["status"] == "verify_code_blocked"
        else:
            assert answers == ["need_verifycode", "need_verifycode"]
            assert (await agent.status(code, login.digits))["status"] == "scaned"
            phone.confirm(sandbox, login)
            assert (await agent.status(code, "123456"))["status"] == "confirmed"


async def test_a_second_login_kills_the_first_unless_it_brings_its_token(pair: tuple[Sandbox, Agent]) -> None:
    sandbox, agent = pair
    first = await agent.log_in(sandbox)
    code = await agent.code(first.token)
    assert phone.confirm(sandbox, newest_code(sandbox), sandbox.accounts[UIN]) is first
    assert await agent.status(code) == {"ret": 0, "status": "binded_redirect"}
    assert (await agent.updates())["msgs"] == []

    other = Agent(agent.url)
    try:
        await other.log_in(sandbox)
        assert other.bot_id != agent.bot_id and other.user_id == agent.user_id
        assert await agent.updates() == {"errcode": -14, "errmsg": "session timeout"}
        assert (await other.updates())["msgs"] == []
        # A dead token is not a binding.
        code = await other.code(first.token)
        phone.confirm(sandbox, newest_code(sandbox), sandbox.accounts[UIN], same_bot=True)
        assert (await agent.status(code))["ilink_bot_id"] == other.bot_id
    finally:
        await other.http.close()
