"""What a webhook gets beside the report, and what becomes of reports that it does not take."""

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from tests.patience import PATIENCE
from tests.unit.client.conftest import POST_API, RunningClient, Start
from tests.unit.client.scripted import logged_in, message
from tests.unit.client.test_send_disk import locked
from tests.unit.client.test_v1_deliveries import until
from tests.unit.client.test_v1_messages import until_history
from wxcontroller.core.jsontypes import JsonObject, items, obj
from wxcontroller.core.states import LoginState
from wxcontroller.drivers.base import Loading, LoginWay, LossReason, SessionLost

# One failure at a time: without it a report that fails is tried again within seconds.
STRICT = {"WXCLIENT_WEBHOOK_STRICT_ORDER": "1"}


@dataclass
class Receiver:
    """A webhook that keeps what came whole; ``status`` decides by the report's content what it answers."""

    port: int = 0
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    statuses: dict[str, list[int]] = field(default_factory=dict)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/in"

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        report = obj(json.loads(body))
        if report["post_type"] == "event":
            return web.Response()
        async with self._news:
            self.got.append((dict(request.headers), body))
            self._news.notify_all()
        turn = self.statuses.get(str(report["content"]))
        return web.Response(status=turn.pop(0) if turn else 200)

    async def until(self, number: int) -> list[tuple[dict[str, str], bytes]]:
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: len(self.got) >= number)
        return self.got

    def contents(self) -> list[str]:
        return [str(json.loads(body)["content"]) for _, body in self.got]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    one = Receiver()
    app = web.Application()
    app.router.add_post("/in", one.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.port = runner.addresses[0][1]
    yield one
    await runner.cleanup()


async def test_each_report_says_which_it_is_and_how_often_it_was_tried(receiver: Receiver, start: Start) -> None:
    receiver.statuses["one"] = [500, 503]
    client = start(**{POST_API: receiver.address})
    await client.login()
    client.driver.play([message("one"), message("two")])
    tries = [headers for headers, _ in await receiver.until(4)]
    assert receiver.contents() == ["one", "one", "one", "two"]
    assert [one["X-Wx-Attempt"] for one in tries] == ["1", "2", "3", "1"]
    assert len({one["X-Wx-Delivery"] for one in tries[:3]}) == 1
    assert tries[3]["X-Wx-Delivery"] != tries[0]["X-Wx-Delivery"]
    assert int(tries[3]["X-Wx-Sequence"]) == int(tries[0]["X-Wx-Sequence"]) + 1
    assert [one["webhook-id"] for one in tries] == [one["X-Wx-Delivery"] for one in tries]
    assert [one["webhook-timestamp"] for one in tries] == [one["X-Wx-Timestamp"] for one in tries]
    assert not {"X-Wx-Signature", "webhook-signature"} & tries[0].keys()


async def test_attempts_are_counted_while_the_disk_takes_nothing(receiver: Receiver, start: Start) -> None:
    receiver.statuses["one"] = [503] * 1000
    client = start(**{POST_API: receiver.address})
    await client.login()
    client.driver.play([message("one")])
    await receiver.until(1)
    async with locked(client):
        tries = await receiver.until(len(receiver.got) + 3)
    assert [int(headers["X-Wx-Attempt"]) for headers, _ in tries] == list(range(1, len(tries) + 1))


async def test_reports_keep_the_epoch_in_which_they_were_stored(receiver: Receiver, start: Start) -> None:
    receiver.statuses["one"] = [503]
    client = start(**{POST_API: receiver.address, "WXCLIENT_WEBHOOK_RETRY_FIRST": "60"})
    await client.login()
    client.driver.play([message("one")])
    await receiver.until(1)
    assert client.state()["epoch"] == 1
    await client.stop()
    client = start(**{POST_API: receiver.address, "WXCLIENT_EPOCH": "7"})
    await client.login()
    client.driver.play([message("two")])
    tries = [headers for headers, _ in await receiver.until(3)]
    assert receiver.contents() == ["one", "one", "two"]
    assert [one["X-Wx-Epoch"] for one in tries] == ["1", "1", "7"]
    assert client.state()["epoch"] == 7
    _, told = await client.v1("GET", "events?types=friend_message")
    assert [obj(one)["epoch"] for one in items(told["events"])] == [1, 7]


async def reached(client: RunningClient, state: LoginState) -> JsonObject:
    async with asyncio.timeout(PATIENCE):
        while client.state().get("login_state") != state.value or not client.state().get("logins"):
            await asyncio.sleep(0.01)
    return client.state()


async def test_a_kick_right_after_a_move_does_not_lead_to_another_login(start: Start, client: RunningClient) -> None:
    await client.stop()
    kicked = SessionLost(LossReason.KICKED, 1101)
    # Where it has always been it logs in again.
    client = start()
    client.driver.play([*logged_in(LoginWay.STORED), kicked, Loading()])
    await reached(client, LoginState.LOADING)
    await client.stop()
    client = start(WXCLIENT_EPOCH="2")
    client.driver.play([*logged_in(LoginWay.STORED), kicked, Loading()])
    state = await reached(client, LoginState.PARKED)
    assert state["ended"] == "elsewhere"
    assert not client.driver.script.empty()  # it ended the driver's work
    await client.stop()
    # Somebody has looked at it and started it.
    client = start(WXCLIENT_EPOCH="2")
    client.driver.play([*logged_in(LoginWay.STORED), kicked, Loading()])
    await reached(client, LoginState.LOADING)


async def test_a_webhook_where_nobody_listens_is_told_in_words(
    receiver: Receiver, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        client = start(**{POST_API: f"http://u:hidden@127.0.0.1:{port}/in?key=secret"})
        await client.login()
        async with asyncio.timeout(PATIENCE):
            while True:  # the status knows before the disk does
                told = (await client.v1("GET", "deliveries"))[1]
                if told["last_error"] and obj(items(told["deliveries"])[0])["last_error"]:
                    break
                await asyncio.sleep(0.01)
    words = f"connection to 127.0.0.1:{port} refused; check that it is running"
    assert (told["last_error"], obj(items(told["deliveries"])[0])["last_error"]) == (words, words)
    assert words in caplog.text
    assert not any(each in caplog.text for each in ("secret", "hidden", "ClientConnector"))


async def test_ids_and_attempts_go_on_after_a_restart(receiver: Receiver, start: Start) -> None:
    receiver.statuses["one"] = [500]
    client = start(**{POST_API: receiver.address, "WXCLIENT_WEBHOOK_RETRY_FIRST": "60"})
    await client.login()
    client.driver.play([message("one")])
    await receiver.until(1)
    await client.stop()
    start(**{POST_API: receiver.address})
    (first, _), (second, _) = await receiver.until(2)
    assert first["X-Wx-Delivery"] == second["X-Wx-Delivery"]
    assert (first["X-Wx-Attempt"], second["X-Wx-Attempt"]) == ("1", "2")


async def test_a_replay_goes_on_counting_and_begins_its_pauses_anew(receiver: Receiver, start: Start) -> None:
    receiver.statuses["one"] = [500] * 5
    client = start(**{POST_API: receiver.address, **STRICT, "WXCLIENT_WEBHOOK_RETRY_FIRST": "20"})
    await client.login()
    client.driver.play([message("one")])
    for number in range(1, 5):
        await receiver.until(number)
        [found] = items((await until(client, pending=1))["deliveries"])
        while (one := obj(found))["attempts"] != number or one["next_at"] is None:
            [found] = items((await until(client, pending=1))["deliveries"])
        assert float(str(one["next_at"])) - time.time() < 20 * 1.2  # the first pause each time
        await client.v1("POST", "deliveries/purge", {"all": True})
        await client.v1("POST", "deliveries/replay", {"ids": [one["id"]]})
    await receiver.until(5)
    assert [headers["X-Wx-Attempt"] for headers, _ in receiver.got] == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("secrets", [["one"], ["new", "old"], ["whsec_AAEC/w==", "whsec_no", "whsec_"]])
async def test_reports_are_signed_with_each_secret(receiver: Receiver, start: Start, secrets: list[str]) -> None:
    client = start(**{POST_API: receiver.address, "WXCLIENT_WEBHOOK_SECRET": " ".join(secrets)})
    await client.login()
    client.driver.play([message("早")])
    [(headers, body)] = await receiver.until(1)
    signed = headers["X-Wx-Timestamp"].encode() + b"." + body
    expected = [f"sha256={hmac.new(one.encode(), signed, hashlib.sha256).hexdigest()}" for one in secrets]
    assert headers["X-Wx-Signature"] == ", ".join(expected)
    # Standard Webhooks: the id is signed too, and a secret whsec_… is the base64 of its key.
    keys = [b"\0\1\2\xff" if one.startswith("whsec_AAEC") else one.encode() for one in secrets]
    signed = f"{headers['X-Wx-Delivery']}.".encode() + signed
    standard = [base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys]
    assert headers["webhook-signature"] == " ".join(f"v1,{one}" for one in standard)


@pytest.mark.parametrize("status", [400, 410, 413, 415, 422])
async def test_never_this_one_is_a_dead_letter_and_holds_nothing_up(
    receiver: Receiver, start: Start, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.statuses["bad"] = [status]
    client = start(**{POST_API: receiver.address})
    await client.login()
    client.driver.play([message("bad"), message("good")])
    await receiver.until(2)
    assert receiver.contents() == ["bad", "good"]
    async with asyncio.timeout(PATIENCE):
        while not (info := obj(await client.get("get_client_info")))["reports_dead"]:
            await asyncio.sleep(0.01)
    assert (info["reports_refused"], info["reports_dead"], info["reports_dropped"]) == (1, 1, 0)
    assert "dead letter" in caplog.text
    assert "bad" not in caplog.text


async def test_which_statuses_say_never_can_be_set(receiver: Receiver, start: Start) -> None:
    receiver.statuses["bad"] = [401, 401, 401]
    client = start(**{POST_API: receiver.address, "WXCLIENT_WEBHOOK_FINAL": "401"})
    await client.login()
    client.driver.play([message("bad"), message("good")])
    await receiver.until(2)
    assert receiver.contents() == ["bad", "good"]


async def test_without_a_webhook_everything_is_in_the_log_and_waits_for_nobody(start: Start) -> None:
    client = start()
    await client.login()
    client.driver.play([message("one")])
    await until_history(client, 1)
    info = obj(await client.get("get_client_info"))
    assert (info["reports_waiting"], info["reports_dead"]) == (0, 0)
