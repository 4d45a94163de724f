"""What an account's process reaches, tried on request: its webhook with a signed event, WeChat through a proxy."""

import hashlib
import hmac
import json

from tests.unit.client.conftest import POST_API, Start, running
from tests.unit.client.listener import Listener, listening
from tests.unit.drivers.proxies import SmallProxy


async def test_a_test_event_is_signed_and_its_answer_is_shown(start: Start, listener: Listener) -> None:
    client = await running(start, **{POST_API: listener.address, "WXCLIENT_WEBHOOK_SECRET": "one"})
    status, answer = await client.v1("POST", "webhook/test")
    assert (status, answer["status"], answer["error"]) == (200, 200, "")
    request, body = next(one for one in listener.asked if json.loads(one[1])["event"] == "test")
    assert json.loads(body) == {"post_type": "event", "event": "test", "params": ["alice"]}
    signed = request.headers["X-Wx-Timestamp"].encode() + b"." + body
    assert request.headers["X-Wx-Signature"] == f"sha256={hmac.new(b'one', signed, hashlib.sha256).hexdigest()}"


async def test_proxy_trial_reports_success_or_the_reason(start: Start) -> None:
    async with listening() as wechat, SmallProxy("http").running() as proxy:
        client = await running(start, **{"WXCLIENT_SERVER": f"http://127.0.0.1:{wechat.port}"})
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
