"""Breaches of the iLink protocol that the real service is not known to refuse, each tried both ways."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import pytest

from tests.unit.sandbox.agent import HURRY, UIN, Agent, Json, ilink_sandbox
from wxcontroller.sandbox.ilink import phone

_BASE = {"base_info": {"channel_version": "2.4.9", "bot_agent": "Test/1.0"}}
_UPLOAD = {
    "filekey": "0" * 32,
    "media_type": 1,
    "rawsize": 1,
    "rawfilemd5": "0" * 32,
    "filesize": 16,
    "aeskey": "0" * 32,
}


@dataclass(frozen=True, slots=True)
class Breach:
    """What a client does, what is noted of it, and what it is refused with in strict mode."""

    name: str
    do: Callable[[Agent], Awaitable[Json]]
    what: str
    code: int = -3


def _updates(body: Json = _BASE, **headers: str | None) -> Callable[[Agent], Awaitable[Json]]:
    return lambda agent: agent.post("getupdates", body, **headers)


def _send(**changes: Json) -> Callable[[Agent], Awaitable[Json]]:
    return lambda agent: agent.send_text("x", **changes)


def _permit(**changes: Json) -> Callable[[Agent], Awaitable[Json]]:
    return lambda agent: agent.call("getuploadurl", **{**_UPLOAD, **changes})


def _upload(
    body: bytes = bytes(16), filekey: str = "0" * 32, form: str = "application/octet-stream"
) -> Callable[[Agent], Awaitable[Json]]:
    async def do(agent: Agent) -> Json:
        allowed = await agent.call("getuploadurl", **_UPLOAD)
        url = str(allowed["upload_full_url"]).replace("filekey=" + "0" * 32, f"filekey={filekey}")
        status, _ = await agent.put(url, body, **{"Content-Type": form})
        return {"ret": 0 if status == 200 else status}

    return do


_APP = "iLink-App-Id or iLink-App-ClientVersion is missing or wrong"
_SIZE = "filesize is not the size of rawsize bytes with padding"
BREACHES = (
    Breach("no app id", _updates(**{"iLink-App-Id": None}), _APP, -14),
    Breach("no authorization type", _updates(AuthorizationType=None), "AuthorizationType is missing or wrong"),
    Breach("no base info", _updates({}), "base_info.channel_version is missing"),
    Breach(
        "agent without version",
        _updates({"base_info": {"channel_version": "1", "bot_agent": "Test"}}),
        "base_info.bot_agent is malformed",
    ),
    Breach("user message", _send(message_type=1), "message_type or message_state is not 2"),
    Breach("no items", _send(item_list=[]), "the message is empty"),
    Breach("plain size", _permit(filesize=1), _SIZE),
    Breach("short key", _permit(aeskey="00"), "aeskey is not 32 hex digits"),
    Breach("other file key", _upload(filekey="1"), "filekey is not the one of the permit"),
    Breach("short body", _upload(b"x"), "the body does not have filesize bytes"),
)


@pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])
@pytest.mark.parametrize("breach", [pytest.param(breach, id=breach.name) for breach in BREACHES])
async def test_a_breach_is_noted_and_refused_only_in_strict_mode(breach: Breach, strict: bool) -> None:
    async with ilink_sandbox(replace(HURRY, strict=strict, updates_hold=0.05)) as (sandbox, agent):
        await agent.log_in(sandbox)
        phone.write_text(sandbox, sandbox.accounts[UIN], "hello")
        await agent.updates()
        answer = await breach.do(agent)
        [noted] = [one for one in sandbox.ledger.violations if one.what == breach.what]
        assert noted.refused == (breach.code if strict else None)
        assert bool(answer.get("ret") or answer.get("errcode")) == strict, answer


async def test_cdn_refusals_name_their_reason_in_a_header() -> None:
    async with (
        ilink_sandbox(replace(HURRY, strict=True)) as (_, agent),
        agent.http.post(f"{agent.url}/c2c/upload?encrypted_query_param=x") as response,
    ):
        assert (response.status, bool(response.headers["x-error-message"])) == (400, True)


@pytest.mark.parametrize("uin", ["MA==", "MzA1NDE5ODk2", "NDI5NDk2NzI5NQ=="])
async def test_the_documented_headers_are_no_breach(uin: str) -> None:
    async with ilink_sandbox(replace(HURRY, strict=True, updates_hold=0.05)) as (sandbox, agent):
        await agent.log_in(sandbox)
        answer = await agent.post("getupdates", _BASE, **{"X-WECHAT-UIN": uin, "iLink-App-ClientVersion": "65547"})
        assert answer["msgs"] == []
        assert not sandbox.ledger.violations
