"""What an account's process reaches, tried on request: its webhook with a signed event, WeChat through a proxy."""

import hashlib
import hmac
import json

import pytest
from aiohttp import web

from tests.unit.client.conftest import POST_API, RunningClient, Start
from tests.unit.client.listener import Listener, listening
from tests.unit.drivers.proxies import SmallProxy


async def test_a_test_event_is_signed_and_its_answer_is_shown(start: Start, listener: Listener) -> None:
    client = start(**{POST_API: listener.address, "WXCLIENT_WEBHOOK_SECRET": "one"})
    await client.login()
    status, answer = await client.v1("POST", "webhook/test")
    assert (status, answer["status"], answer["error"]) == (200, 200, "")
    request, body = next(one for one in listener.raw if json.loads(one[1])["event"] == "test")
    assert json.loads(body) == {"post_type": "event", "event": "test", "params": ["alice"]}
    signed = request.headers["X-Wx-Timestamp"].encode() + b"." + body
    assert request.headers["X-Wx-Signature"] == f"sha256={hmac.new(b'one', signed, hashlib.sha256).hexdigest()}"


@pytest.mark.parametrize(("sent", "shown"), [("kaputt", "kaputt"), ("x" * 5000, "x" * 500), ("", "")])
async def test_a_refusal_is_shown_as_it_begins(start: Start, sent: str, shown: str) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        return web.Response(status=410, text=sent)

    app = web.Application()
    app.router.add_post("/in", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        client = start(**{POST_API: f"http://127.0.0.1:{runner.addresses[0][1]}/in"})
        await client.login()
        _, answer = await client.v1("POST", "webhook/test")
        assert (answer["status"], answer["answer"]) == (410, shown)
    finally:
        await runner.cleanup()


async def test_a_webhook_that_is_not_there_is_told_and_none_is_refused(start: Start) -> None:
    client = start(**{POST_API: "http://127.0.0.1:9/in?key=hidden"})
    await client.login()
    status, answer = await client.v1("POST", "webhook/test")
    assert (status, answer["status"]) == (200, None)
    assert "refused" in str(answer["error"])
    assert "hidden" not in str(answer)


async def test_without_a_webhook_there_is_nothing_to_test(client: RunningClient) -> None:
    status, answer = await client.v1("POST", "webhook/test")
    assert (status, answer["error"]["code"]) == (409, "no-webhook")  # type: ignore[index, call-overload]


async def test_wechat_is_reached_through_a_proxy_or_it_is_told_why_not(start: Start) -> None:
    async with listening() as wechat, SmallProxy("http").running() as proxy:
        client = start(**{"WXCLIENT_SERVER": f"http://127.0.0.1:{wechat.port}"})
        await client.login()
        status, answer = await client.v1("POST", "proxy/test")
        assert (status, answer["reached"], answer["status"]) == (200, True, 200)
        status, answer = await client.v1("POST", "proxy/test", {"proxy": proxy.url()})
        assert (status, answer["reached"]) == (200, True)
        assert proxy.hosts
        status, answer = await client.v1("POST", "proxy/test", {"proxy": "http://u:hidden@127.0.0.1:9"})
        assert (status, answer["reached"]) == (200, False)
        assert "127.0.0.1:9" in str(answer["error"])
        assert "hidden" not in str(answer)
        assert (await client.v1("POST", "proxy/test", {"proxy": "ftp://x"}))[0] == 400
