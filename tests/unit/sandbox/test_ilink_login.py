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
