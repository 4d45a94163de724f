"""Breaches of the iLink protocol that the real service is not known to refuse, each tried both ways."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from tests.unit.sandbox.agent import HURRY, UIN, Agent, Json, ilink_sandbox, permit
from wxcontroller.sandbox.ilink import phone

Do = Callable[[Agent], Awaitable[Json]]

_BASE = {"base_info": {"channel_version": "2.4.9", "bot_agent": "Test/1.0"}}


def _updates(body: Json = _BASE, **headers: str | None) -> Do:
    return lambda agent: agent.post("getupdates", body, **headers)


def _send(**changes: Json) -> Do:
    return lambda agent: agent.send_text("x", **changes)


def _permit(**changes: Json) -> Do:
    return lambda agent: permit(agent, **changes)


def _upload(body: bytes = bytes(16), filekey: str = "0" * 32) -> Do:
    async def do(agent: Agent) -> Json:
        url = str((await permit(agent))["upload_full_url"]).replace("filekey=" + "0" * 32, f"filekey={filekey}")
        status, _ = await agent.put(url, body)
        return {"ret": 0 if status == 200 else status}

    return do


# What is noted of it, what a client does, and what it is refused with in strict mode.
BREACHES: dict[str, tuple[Do, int]] = {
    "iLink-App-Id or iLink-App-ClientVersion is missing or wrong": (_updates(**{"iLink-App-Id": None}), -14),
    "AuthorizationType is missing or wrong": (_updates(AuthorizationType=None), -3),
    "base_info.channel_version is missing": (_updates({}), -3),
    "base_info.bot_agent is malformed": (_updates({"base_info": {"channel_version": "1", "bot_agent": "Test"}}), -3),
    "message_type or message_state is not 2": (_send(message_type=1), -3),
    "the message is empty": (_send(item_list=[]), -3),
    "filesize is not the size of rawsize bytes with padding": (_permit(filesize=1), -3),
    "aeskey is not 32 hex digits": (_permit(aeskey="00"), -3),
    "filekey is not the one of the permit": (_upload(filekey="1"), -3),
    "the body does not have filesize bytes": (_upload(b"x"), -3),
}


@pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])
@pytest.mark.parametrize("what", BREACHES)
async def test_a_breach_is_noted_and_refused_only_in_strict_mode(what: str, strict: bool) -> None:
    do, code = BREACHES[what]
    async with ilink_sandbox(replace(HURRY, strict=strict, updates_hold=0.05)) as (sandbox, agent):
        await agent.log_in(sandbox)
        phone.write_text(sandbox, sandbox.accounts[UIN], "hello")
        await agent.updates()
        answer = await do(agent)
        [noted] = [one for one in sandbox.ledger.violations if one.what == what]
        assert noted.refused == (code if strict else None)
        assert bool(answer.get("ret") or answer.get("errcode")) == strict, answer
