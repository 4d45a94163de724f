"""What an account tells of itself at GET /v1/status, and the edges of its queue of sends."""

import asyncio
import json

from tests.patience import until
from tests.unit.client.conftest import POST_API, RunningClient, Start, running
from wxcontroller.core.jsontypes import JsonObject, obj
from wxcontroller.core.options import OPTIONS

INTERVAL, DAILY = "MOJO_WEIXIN_SEND_INTERVAL", "WXCLIENT_SEND_DAILY_MAX"


async def queue(client: RunningClient) -> JsonObject:
    return obj((await client.told())["queue"])


async def send(client: RunningClient, number: int = 1) -> None:
    for count in range(number):
        await client.get("send_friend_message", id="@ann", content=str(count), **{"async": "1"})


async def test_options_are_shown_without_secrets(start: Start) -> None:
    client = start(
        **{POST_API: "http://127.0.0.1:9/hook?key=secret&client=alice", INTERVAL: "7"},
        WXCLIENT_PROXY="http://u:hidden@127.0.0.1:9",
    )
    await client.until_state("loading")
    told = await client.told("options")
    options = obj(told["options"])
    assert (told["instance"], told["credentials"]) == ("alice", [])
    assert options["send_interval"] == "7"
    assert options["send_jitter"] == OPTIONS["send_jitter"].default
    assert options["proxy"] == "http://127.0.0.1:9"
    assert options["post_api"] == "http://127.0.0.1:9/hook?key=…"
    assert "hidden" not in json.dumps(told)


async def test_daily_count_is_kept_without_a_limit(start: Start, client: RunningClient) -> None:
    await send(client, 2)
    await until(lambda: len(client.driver.sends) == 2)
    await client.stop()
    again = await running(start, **{DAILY: "3"})
    await until(lambda: queue(again), lambda queue: queue["sent_today"] == 2)
    assert obj(await again.get("send_friend_message", id="@ann", content="x"))["code"] == 0
    assert obj(await again.get("send_friend_message", id="@ann", content="y"))["code"] == -8


async def test_disconnected_caller_does_not_cancel_its_message(start: Start) -> None:
    client = start()
    client.driver.send_gate = asyncio.Event()
    await client.login()
    await send(client)
    caller = asyncio.create_task(client.get("send_friend_message", id="@ben", content="goes out"))
    await until(lambda: queue(client), lambda queue: queue["waiting"] == 1)
    caller.cancel()
    await asyncio.wait([caller])
    client.driver.send_gate.set()
    await until(lambda: len(client.driver.sends) == 2)
    assert client.driver.sends[1][:2] == ("@ben", "goes out")
    assert obj(await client.get("send_friend_message", id="@ann", content="next"))["code"] == 0
