"""Callers that keep an account's port busy without finishing a request."""

import asyncio

from tests.patience import PATIENCE
from tests.unit.client.conftest import Start, running

UNFINISHED = b"POST /openwx/send_friend_message HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx"


async def test_unfinished_bodies_make_room_for_others(start: Start) -> None:
    client = await running(start, WXCLIENT_API_CONNECTIONS_MAX="64")
    writers = []
    for _ in range(100):
        _, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(UNFINISHED)
        writers.append(writer)
    async with asyncio.timeout(PATIENCE):
        for _ in range(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
            writer.write(b"GET /openwx/get_client_info HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b" 200 " in await reader.readline()
            writer.close()
    for writer in writers:
        writer.close()
