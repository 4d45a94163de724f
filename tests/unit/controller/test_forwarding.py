"""Requests to an account: what it gets, and what its callers get back (openwx-api 1.7)."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp.http import SERVER_SOFTWARE

from tests.patience import PATIENCE
from tests.tokens import token
from tests.unit.controller.forwardkit import OK, Route, read, run
from tests.unit.controller.machine import Machine
from wxcontroller.controller.callers.authentication import LOOK_SECONDS, Gate
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.access.tokenfile import TokenFile
from wxcontroller.core.names import parse_name
from wxcontroller.core.records.decoding import ANSWER_BYTES
from wxcontroller.core.registry.materialise import Materialiser
from wxcontroller.core.states import LoginState
from wxcontroller.openwx.contract.replies import PREFLIGHT_HEADERS
from wxcontroller.openwx.http.admission import Resource

_HEAD = b"Host: 127.0.0.1:2000\r\nUser-Agent: x\r\n"
GET = b"GET /openwx/get_user_info?client=bot HTTP/1.1\r\n" + _HEAD + b"\r\n"
HEAD = b"HEAD" + GET[3:]
_FORM = b"client=bot&id=filehelper&content=hello"
_POST = b"POST /openwx/send_friend_message HTTP/1.1\r\n" + _HEAD
POST = _POST + b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n" % len(_FORM) + _FORM


# A call whose answer passes unread, one whose answer is read and written again, and one that the controller makes.
MEDIA, MESSAGES, CHATS, STATUS = (
    GET.replace(b"openwx/get_user_info?client=bot", b"v1/accounts/bot" + rest)
    for rest in (b"/media/1.jpg", b"/messages", b"/chats", b"")
)


def in_chunk(body: bytes) -> bytes:
    """Return the rest of a request with a body of one chunk."""
    return b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def of_json(body: bytes, status: bytes = b"200 OK") -> bytes:
    """Return an answer of an account."""
    return OK.replace(b"200 OK", status).replace(b"Length: 2", b"Length: %d" % len(body)) + body


@contextlib.asynccontextmanager
async def routed(root: Path, closed: bool = False, **settings: object) -> AsyncIterator[Route]:
    async with Machine(root, **settings) as host, Route(host).running(closed) as route:
        yield route


@pytest_asyncio.fixture
async def route(tmp_path: Path) -> AsyncIterator[Route]:
    async with routed(tmp_path) as made:
        yield made


async def ask(route: Route, raw: bytes = GET) -> tuple[int, bytes]:
    answer = await route.ask(raw)
    return answer.status, answer.body


@pytest.mark.timeout(600)
@pytest.mark.parametrize("closed", [True, False])
async def test_request_is_forwarded_exactly_as_checked(tmp_path: Path, closed: bool) -> None:
    found = await run(tmp_path, 500, 20261127, closed)
    assert min(found[True], found[False]) > 50, found


_ENDS = b"\r\n\r\n"


def _large_head(size: int) -> bytes:
    """Return the head of an answer with headers of at most 4 KiB."""
    fields = b"".join(b"X-%d: %s\r\n" % (each, b"a" * 3990) for each in range(4))
    head = OK[:-2] + fields
    return head + b"Y: " + b"a" * (size - len(head) - 7) + _ENDS


ANSWERS = {
    "with headers of its own": OK[:-2] + b'Set-Cookie: a=b\r\nLocation: /x\r\nETag: "1"\r\nX-A: b\r\n\r\n{}',
    "of the library": OK[:-2] + f"Server: {SERVER_SOFTWARE}\r\n\r\n{{}}".encode(),
    "chunked": b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked"
    + _ENDS
    + b"1\r\na\r\n2;x=y\r\nbc\r\n0\r\n\r\n",
    "after an interim one": b"HTTP/1.1 102 Processing\r\nX: y" + _ENDS + OK + b"{}",
    "after four interim ones": b"HTTP/1.1 102 Processing\r\nX: y\r\n\r\n" * 4 + OK + b"{}",
    "after five interim ones": b"HTTP/1.1 102 Processing\r\nX: y\r\n\r\n" * 5 + OK + b"{}",
    "of another status": b"HTTP/1.1 418 Teapot\r\nContent-Type: a/b\r\nContent-Length: 1" + _ENDS + b"x",
    "with a header as reason": b"HTTP/1.1 200 Content-Length: 9\r\nContent-Type: a/b\r\nContent-Length: 2"
    + _ENDS
    + b"{}",
    "no content": b"HTTP/1.1 204 No Content" + _ENDS,
    "not modified": b'HTTP/1.1 304 Not Modified\r\nETag: "1"' + _ENDS,
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\nContent-Length: 0" + _ENDS,
    "packed": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2" + _ENDS + b"{}",
    "no HTTP": b"220 mail ESMTP\r\n\r\n",
    "of two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3" + _ENDS + b"{}",
    "of length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked"
    + _ENDS
    + b"0\r\n\r\n",
    "with a line break in it": b"HTTP/1.1 200 OK\r\nContent-Type: a\rSet-Cookie: b\r\nContent-Length: 2"
    + _ENDS
    + b"{}",
}

REFUSED = {
    "after five interim ones",
    "with a larger head",
    "a redirect",
    "packed",
    "no HTTP",
    "of two lengths",
    "of length and chunks",
    "with a line break in it",
}


async def test_no_fragment_becomes_parameters_when_a_token_is_removed(route: Route) -> None:
    sent = GET.replace(b"client=bot", b"client=bot&token=a#b&client=other")
    assert (await ask(route, sent))[0] == 200
    assert [each.line.split(b" ")[1] for each in route.account.got] == [b"/openwx/get_user_info?client=bot"]


async def test_answers_are_forwarded_or_refused(route: Route) -> None:
    for case, answer in ANSWERS.items():
        route.account.answer = answer
        for request in (GET, HEAD, POST, *((MEDIA,) if b"418" not in answer else ())):
            status, _ = await ask(route, request)
            assert (status == 502) == (case in REFUSED), case


@pytest.mark.parametrize(("size", "status"), [(16384, 200), (16385, 502)])
async def test_heads_of_answers_have_a_limited_size(route: Route, size: int, status: int) -> None:
    route.account.answer = _large_head(size) + b"{}"
    assert (await route.ask(GET)).status == status


async def test_answer_may_end_with_the_connection(route: Route) -> None:
    route.account.answer, route.account.hangs_up = b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\nall", True
    assert await ask(route) == (200, b"all")


@pytest.mark.parametrize("kind", ["chunked", "of another status"])
async def test_connection_with_something_behind_an_answer_gets_no_further_request(route: Route, kind: str) -> None:
    route.account.answer = ANSWERS[kind]
    await ask(route)
    body = (await ask(route))[1]
    assert route.account.connections == 1
    route.account.answer += OK + b"!!"
    for number in range(1, 4):
        assert (await ask(route))[1] == body
        assert route.account.connections == number


async def test_healthy_connections_to_an_account_are_reused(route: Route) -> None:
    for _ in range(5):
        assert (await route.ask(POST)).status == 200
    assert route.account.connections == 1
    route.account.hangs_up = True  # after each answer, without Connection: close
    for _ in range(5):
        route.account.hung_up.clear()
        assert (await route.ask(POST)).status == 200
        await asyncio.wait_for(route.account.hung_up.wait(), PATIENCE)
        await asyncio.sleep(0)
    assert len(route.account.got) == 10


async def test_all_calls_share_the_connections_to_an_account(route: Route) -> None:
    for request in (GET, MESSAGES, STATUS, MEDIA, POST):
        assert (await route.ask(request)).status
    assert (len(route.account.got), route.account.connections) == (5, 1)


async def test_no_more_of_an_answer_is_taken_than_may_be_written_again(route: Route) -> None:
    taken = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(_ENDS)
            writer.write(OK.replace(b"Length: 2", b"Length: %d" % (1 << 40)))
            while True:
                writer.write(b" " * (1 << 16))
                await writer.drain()
                taken += 1 << 16
        writer.close()

    route.program.close()
    async with await asyncio.start_server(serve, "127.0.0.1", route.port):
        for _ in range(3):
            assert (await ask(route, MESSAGES))[0] == 502
    assert ANSWER_BYTES < taken / 3 < 4 * ANSWER_BYTES  # with what the sockets hold


async def test_memory_for_answers_is_limited_and_given_back(route: Route, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by an account that never ends its answer, when its caller hangs up."""
    monkeypatch.setattr("wxcontroller.core.budget.HELD_BYTES", 3000)
    chats = b'{"account": "bot", "log": "0badcafe", "chats": [], "more": false, "x": "%b"}'
    page, budget = of_json(chats % (b"x" * 2000)), route.host.shared.ports.budget
    [account] = route.host.accounts.registry.all().values()
    for answer, status in (
        (page, 200),
        (page, 200),
        (of_json(chats % (b"x" * 3000)), 502),
        (page[:-9], 0),
        (page, 200),
    ):
        route.account.answer = answer
        if status:
            found = await ask(route, CHATS)
            assert found[0] == status
            assert (b"too much memory" in found[1]) == (status == 502)
        else:
            _, writer = await asyncio.open_connection(*route.host.address)
            writer.write(CHATS)
            async with asyncio.timeout(PATIENCE):
                while not budget(account)._held:
                    await asyncio.sleep(0.01)
                writer.close()
                await route.account.hung_up.wait()


async def test_answers_that_are_kept_are_for_the_same_status_only(route: Route) -> None:
    for status, shown in ((b"200 OK", True), (b"200 OK", True), (b"500 No", False), (b"200 OK", True)):
        route.account.answer = of_json(b'{"account": "bot", "version": "1", "pid": 7}', status)
        found, body = await ask(route, STATUS)
        assert (found, bool(json.loads(body)["client"])) == (200, shown)


async def test_tokens_in_queries_of_v1_do_not_reach_the_account(tmp_path: Path) -> None:
    async with routed(tmp_path, closed=True) as route:
        assert (await ask(route, MEDIA.replace(b"jpg", b"jpg?a=1&token=" + route.token.encode())))[0] == 200
        assert [each.line.split(b" ")[1] for each in route.account.got] == [b"/v1/media/1.jpg?a=1"]


_JSON_POST = b"POST /v1/accounts/bot/%b HTTP/1.1\r\n" + _HEAD + b"Content-Type: application/json\r\n"


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("call", "size", "status"),
    [(b"typing", 1 << 20, 200), (b"typing", (1 << 20) + 1, 413), (b"messages", (1 << 20) + 1, 200)],
)
async def test_only_messages_may_have_large_bodies(
    route: Route, call: bytes, size: int, status: int, chunked: bool
) -> None:
    message, typing = (
        b'"chat": "x", "state": "delivered", "id": "1", "parts": []',
        b'"peer": "x", "on": true, "shown": true',
    )
    route.account.answer = of_json(b"{%b, %b}" % (message, typing))
    body = b"x" * size
    rest = in_chunk(body) if chunked else b"Content-Length: %d\r\n\r\n" % size + body
    assert (await ask(route, _JSON_POST % call + rest))[0] == status
    assert len(route.account.got) == (status == 200)


async def test_malformed_chunk_in_v1_is_reported_as_there(route: Route) -> None:
    sent = _JSON_POST % b"messages" + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n"
    status, body = await ask(route, sent)
    assert (status, json.loads(body)["error"]["code"]) == (400, "bad-request")
    assert route.account.got == []


@pytest.mark.parametrize(("call", "status"), [(b"/chats", 502), (b"", 200), (b"/events", 200)])
async def test_only_the_events_of_an_account_are_a_stream(route: Route, call: bytes, status: int) -> None:
    """Whatever the caller asks for and the account sends."""
    stream = b"event: here\n\n"
    route.account.answer = of_json(stream).replace(b"application/json", b"text/event-stream")
    route.account.hangs_up = True
    sent = STATUS.replace(b"bot", b"bot" + call).replace(b"Host:", b"Accept: text/event-stream\r\nHost:")
    found, body = await ask(route, sent)
    assert (found, body.startswith(b"event: here\n")) == (status, call == b"/events")


@pytest.mark.parametrize("sent", [GET, POST, MESSAGES])
@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Le"])
async def test_requests_that_reached_an_account_are_never_repeated(route: Route, answer: bytes, sent: bytes) -> None:
    await ask(route, sent)  # from now on there is a connection
    route.account.got.clear()
    route.account.answer, route.account.hangs_up = answer, True
    assert (await ask(route, sent))[0] == 502
    assert len(route.account.got) == 1


async def test_answer_of_invalid_chunks_is_refused(route: Route) -> None:
    route.account.answer = ANSWERS["chunked"].replace(b"1\r\na", b"z\r\na")
    assert (await ask(route))[0] == 502


async def test_truncated_response_does_not_look_complete(route: Route) -> None:
    route.account.answer, route.account.hangs_up = b"HTTP/1.1 200 OK\r\nContent-Length: 9" + _ENDS + b"part", True
    reader, writer = await asyncio.open_connection(*route.host.address)
    writer.write(GET)
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionError):
            assert b"Content-Length: 9\r\n" in await reader.read()
    writer.close()


async def test_silent_account_times_out(tmp_path: Path) -> None:
    async with routed(tmp_path, ua_inactivity_timeout=0.3, ua_request_timeout=30.0) as route:
        route.account.answer = b""
        assert (await ask(route))[0] == 504
        route.account.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 9" + _ENDS + b"part"
        assert (await route.ask(GET)).status == 0  # the connection was closed


async def test_account_is_silent_only_while_nothing_arrives(tmp_path: Path) -> None:
    async with routed(tmp_path, ua_inactivity_timeout=0.4, ua_request_timeout=30.0) as route:
        assert (await route.ask(GET)).status == 200
        await asyncio.sleep(0.45)  # the connection is kept meanwhile
        route.account.pause = 0.2
        assert (await route.ask(GET)).body == b"{}"
        assert route.account.connections == 1


async def test_a_slow_reader_slows_the_account_down(route: Route) -> None:
    size = 32 << 20
    route.account.answer = OK.replace(b"Length: 2", b"Length: %d" % size) + b"s" * size
    reader, writer = await asyncio.open_connection(*route.host.address, limit=1 << 16)
    writer.write(GET)
    await asyncio.wait_for(route.account.arrived.wait(), PATIENCE)
    await reader.readuntil(_ENDS)
    held = [each for each in route.host.server._open() if each.congested]
    async with asyncio.timeout(PATIENCE):
        while not held:
            await asyncio.sleep(0.01)
            held = [each for each in route.host.server._open() if each.congested]
        assert held[0].transport is not None
        assert held[0].transport.get_write_buffer_size() < 1 << 20
        assert len(await reader.readexactly(size)) == size
    writer.close()


_UPLOAD = _POST.replace(b"message ", b"message?client=bot ") + b"Content-Type: a/b\r\n"
CHUNKED, UPLOAD = _UPLOAD + b"Transfer-Encoding: chunked\r\n", _UPLOAD + b"Content-Length: %d\r\n"


async def test_a_slow_account_slows_the_upload_down(route: Route) -> None:
    size = 32 << 20
    route.account.takes.clear()
    reader, writer = await asyncio.open_connection(*route.host.address)
    writer.write(UPLOAD % size + b"\r\n" + b"s" * size)
    left, before = writer.transport.get_write_buffer_size(), 0
    async with asyncio.timeout(PATIENCE):
        while left != before or not left:
            await asyncio.sleep(0.3)
            left, before = writer.transport.get_write_buffer_size(), left
            assert left, "the controller took it all"
        route.account.takes.set()
        assert (await read(reader)).status == 200
    assert len(route.account.got[0].body) == size
    writer.close()


@pytest.mark.parametrize("sent", [GET, UPLOAD % 9 + b"\r\npart", MESSAGES], ids=["waiting", "sending", "v1"])
async def test_account_is_free_again_when_the_caller_hangs_up(route: Route, sent: bytes) -> None:
    assert (await ask(route))[0] == 200  # from now on it has a connection, over which the request goes at once
    route.account.answer = b""
    _, writer = await asyncio.open_connection(*route.host.address)
    writer.write(sent)
    async with asyncio.timeout(PATIENCE):
        while not route.host.shared.admission.taken(Resource.REQUESTS):
            await asyncio.sleep(0.01)
        writer.close()
        await route.account.hung_up.wait()
    assert not any(map(route.host.shared.admission.taken, Resource))
    route.account.answer = OK + b"{}"
    assert await ask(route) == (200, b"{}")


async def test_connection_with_a_part_of_an_upload_gets_no_further_request(route: Route) -> None:
    """The account would take it for the rest of the upload."""
    connections = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await reader.readuntil(_ENDS):
                writer.write(OK + b"{}")
        writer.close()

    route.program.close()
    async with await asyncio.start_server(serve, "127.0.0.1", route.port):
        reader, writer = await asyncio.open_connection(*route.host.address)
        async with asyncio.timeout(PATIENCE):
            writer.write(UPLOAD % len(HEAD) + b"\r\n")
            assert (await read(reader)).body == b"{}"
            writer.write(HEAD + GET)  # the rest of the upload, which looks like a request, and a request
            assert (await read(reader)).body == b"{}"
        writer.close()
    assert len(connections) == 2


async def test_pipelined_requests_are_handled_in_any_fragmentation(route: Route) -> None:
    for step in (1, 7, len(POST) - 10, len(POST) + 20, 10_000):
        reader, writer = await asyncio.open_connection(*route.host.address)
        sent = POST + GET + HEAD + POST
        for at in range(0, len(sent), step):
            writer.write(sent[at : at + step])
            await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            for _ in range(4):
                assert (await reader.readuntil(_ENDS)).startswith(b"HTTP/1.1 200 OK\r\n")
                if _ != 2:
                    assert await reader.readexactly(2) == b"{}"
        writer.close()
    assert len(route.account.got) == 20


async def test_late_rest_of_a_form_is_accepted(route: Route) -> None:
    reader, writer = await asyncio.open_connection(*route.host.address)
    writer.write(POST[:-5])
    await asyncio.sleep(0.7)
    assert route.account.got == []
    writer.write(POST[-5:])
    async with asyncio.timeout(PATIENCE):
        assert (await reader.readuntil(_ENDS)).startswith(b"HTTP/1.1 200 OK\r\n")
    writer.close()
    assert route.account.got[0].body == _FORM


async def test_chunked_bodies_are_forwarded_without_being_kept(route: Route) -> None:
    sent = CHUNKED + b"\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n"
    assert (await ask(route, sent))[0] == 200
    assert route.account.got[0].body == b"abcde"
    assert b"transfer-encoding" in dict(route.account.got[0].headers)


@pytest.mark.parametrize(
    "rest", [b"zz\r\n", b"0\r\nno field\r\n\r\n", b"0\r\n" + b"X: %04000d\r\n" % 0 * 3 + b"\r\n"]
)
async def test_malformed_chunk_ends_the_request_and_the_connection(route: Route, rest: bytes) -> None:
    assert (await ask(route, CHUNKED + b"\r\n3\r\nabc\r\n" + rest))[0] == 400
    assert route.account.got == []


async def test_callers_of_http_1_0_get_no_chunks(route: Route) -> None:
    reader, writer = await asyncio.open_connection(*route.host.address)
    route.account.answer = ANSWERS["chunked"]
    writer.write(GET.replace(b"HTTP/1.1", b"HTTP/1.0"))
    async with asyncio.timeout(PATIENCE):
        head, _, body = (await reader.read()).partition(_ENDS)  # to the end of the connection
    writer.close()
    assert body == b"abc"
    assert b"chunked" not in head


async def test_a_poll_that_a_restart_ends_never_reaches_its_account(
    route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account's events of a poll that is answered already would be lost."""
    connections = route.host.shared.ports.connections
    connect, waits, goes_on = connections.open, asyncio.Event(), asyncio.Event()

    async def slowly(*arguments: Any) -> Any:
        waits.set()
        await goes_on.wait()
        return await connect(*arguments)

    monkeypatch.setattr(connections, "open", slowly)
    poll = asyncio.create_task(route.ask(GET.replace(b"get_user_info", b"check_event")))
    await asyncio.wait_for(waits.wait(), PATIENCE)
    draining = asyncio.create_task(route.host.server.drain())
    assert (await poll).body == b"[]"
    goes_on.set()
    await draining
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(route.account.arrived.wait(), 0.3)
    assert route.account.got == []


async def test_a_request_during_a_restart_is_answered_and_its_connection_closed(route: Route) -> None:
    """A poll is answered at once: the next controller gets the events."""
    writers = []
    for request, body in ((GET, b"{}"), (GET.replace(b"get_user_info", b"check_event"), b"[]")):
        reader, writer = await asyncio.open_connection(*route.host.address)
        writer.write(GET)
        async with asyncio.timeout(PATIENCE):
            assert (await read(reader)).body == b"{}"
        writers.append((reader, writer, request, body))
    route.account.got.clear()
    draining = asyncio.create_task(route.host.server.drain())
    await asyncio.sleep(0)
    for reader, writer, request, body in writers:
        writer.write(request)
        async with asyncio.timeout(PATIENCE):
            answer = await read(reader)
            assert (answer.body, dict(answer.headers)[b"connection"]) == (body, b"close")
            assert not await reader.read()
        writer.close()
    await draining
    assert len(route.account.got) == 1


async def test_what_a_browser_may_send_is_said_by_the_controller(route: Route) -> None:
    route.account.answer = OK[:-2] + b"Access-Control-Allow-Methods: EVIL\r\n\r\n{}"
    answer = await route.ask(b"OPTIONS" + GET[3:])
    assert len(route.account.got) == 1
    headers = {name.decode(): value.decode() for name, value in answer.headers}
    assert {name.lower(): value for name, value in PREFLIGHT_HEADERS.items()}.items() <= headers.items()


async def test_a_connection_survives_a_failure_if_the_rest_of_its_request_is_certain_to_come(route: Route) -> None:
    """Its caller was asked for the body, and sends it whatever the answer is."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"part")
        writer.close()

    route.program.close()
    async with await asyncio.start_server(serve, "127.0.0.1", route.port):
        reader, writer = await asyncio.open_connection(*route.host.address)
        writer.write(UPLOAD % 9 + b"Expect: 100-continue\r\n\r\n")
        async with asyncio.timeout(PATIENCE):
            assert (await reader.readuntil(_ENDS)).startswith(b"HTTP/1.1 100 ")
            writer.write(b"part")
            answer = await read(reader)
            assert (answer.status, b"connection" in dict(answer.headers)) == (502, False)
            writer.write(b"-last" + GET.replace(b"client=bot", b"client=x"))
            assert b"not exists" in (await read(reader)).body
        writer.close()


@pytest.mark.parametrize(("scope", "status"), [(Scope.READ, b"403"), (Scope.SEND, b"100")])
async def test_a_body_is_asked_for_only_if_its_caller_is_allowed(tmp_path: Path, scope: Scope, status: bytes) -> None:
    async with routed(tmp_path, closed=True) as route:
        shown = f"X-Auth-Token: {token(route.host, scope)}\r\nExpect: 100-continue\r\n".encode()
        reader, writer = await asyncio.open_connection(*route.host.address)
        writer.write(POST.partition(_ENDS)[0] + b"\r\n" + shown + b"\r\n")
        async with asyncio.timeout(PATIENCE):
            head = await reader.readuntil(_ENDS)
            assert head.split(b" ")[1] == status
            assert (b"\r\nConnection: close" in head) == (status == b"403")
            if status == b"100":
                writer.write(_FORM)
                assert (await reader.readuntil(_ENDS)).startswith(b"HTTP/1.1 200 ")
        writer.close()


async def test_a_connection_is_closed_if_its_caller_says_so(route: Route) -> None:
    for request in (GET, POST):
        reader, writer = await asyncio.open_connection(*route.host.address)
        writer.write(request.replace(b"User-Agent", b"Connection: close\r\nUser-Agent"))
        async with asyncio.timeout(PATIENCE):
            assert b"\r\nConnection: close\r\n" in await reader.read()
        writer.close()


async def test_a_form_too_large_for_memory_arrives_without_its_token(tmp_path: Path) -> None:
    async with routed(tmp_path, closed=True) as route:
        fields = f"client=bot&token={route.token}&id=x&content=".encode()
        for size in (10, 3 << 20):
            body = fields + b"x" * size
            shown = f"X-Auth-Token: {route.token}\r\n".encode() if size > 1 << 20 else b""
            assert (await ask(route, POST.partition(b"Content-Length")[0] + shown + in_chunk(body)))[0] == 200
            assert route.account.got[-1].body == b"client=bot&id=x&content=" + b"x" * size


async def test_a_large_form_is_answered_once_however_early(route: Route, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second answer would be taken for that of the next request."""

    async def slowly(function: Callable[..., object], *arguments: object) -> object:
        await asyncio.sleep(0.1)  # the answer to what was sent arrives before the look for more
        return function(*arguments)

    body = _FORM + b"x" * (1 << 20)
    reader, writer = await asyncio.open_connection(*route.host.address)
    writer.write(POST.partition(b"Content-Length")[0] + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    monkeypatch.setattr(asyncio, "to_thread", slowly)
    async with asyncio.timeout(PATIENCE):
        assert (await read(reader)).status == 200
        await asyncio.sleep(0.3)
        route.account.answer = OK.replace(b"200 OK", b"418 Teapot") + b"{}"
        writer.write(GET)
        assert (await read(reader)).status == 418
    writer.close()


async def test_a_large_form_is_answered_once_however_long_its_answer_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As above, with an answer that is decoded in a thread, and a body whose next part is read in another."""

    async def slowly(function: Callable[..., object], *arguments: object) -> object:
        await asyncio.sleep(0.3 if getattr(function, "__name__", "") == "read" else 0)
        return function(*arguments)

    refusal = {"error": {"code": "bad-request", "message": "no", "remedy": "yes"}, "more": [1] * 20_001}
    answers = [json.dumps(refusal).encode(), b"{}"]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(_ENDS)
        body = answers.pop(0)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d" % len(body) + _ENDS + body)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    async with routed(tmp_path, closed=True) as route:
        route.program.close()
        async with await asyncio.start_server(serve, "127.0.0.1", route.port):
            shown = f"X-Auth-Token: {route.token}\r\n".encode()
            body = _FORM + b"x" * (2 << 20)
            head = POST.partition(b"Content-Length")[0].replace(
                b"openwx/send_friend_message", MESSAGES.split()[1][1:]
            )
            reader, writer = await asyncio.open_connection(*route.host.address)
            writer.write(head + shown + in_chunk(body))
            monkeypatch.setattr(asyncio, "to_thread", slowly)
            async with asyncio.timeout(PATIENCE):
                assert (await read(reader)).status == 400
                await asyncio.sleep(0.5)
                writer.write(GET.replace(b"Host:", shown + b"Host:"))
                assert (await read(reader)).body == b"{}"
            writer.close()


async def test_a_token_that_is_revoked_stops_working_at_once(tmp_path: Path) -> None:
    assert LOOK_SECONDS < 0.05
    async with routed(tmp_path, closed=True) as route:
        route.host.shared.gate = Gate(route.host.paths)  # reads the file as rarely as in the service
        token(route.host, Scope.READ)
        request = GET[:-2] + f"X-Auth-Token: {route.token}\r\n\r\n".encode()
        for _ in range(3):
            assert (await ask(route, request))[0] == 200
        TokenFile(route.host.paths.tokens_file).revoke("bot")
        await asyncio.sleep(0.05)
        assert (await ask(route, request))[0] == 403


async def test_tokens_are_held_to_their_scope_and_their_accounts(tmp_path: Path) -> None:
    async with routed(tmp_path, closed=True) as route:
        tokens = {
            "r": token(route.host, Scope.READ),
            "own": token(route.host, Scope.SEND, "bot"),
            "no": token(route.host, Scope.SEND, "x"),
        }
        route.account.answer = of_json(b'{"account": "bot", "log": "0badcafe", "chats": [], "more": false}')
        got = {}
        for name, each in tokens.items():
            shown_token = f"X-Auth-Token: {each}\r\n".encode()
            for kind, request in (("get", GET), ("status", STATUS), ("chats", CHATS), ("post", POST)):
                got[name, kind] = (await ask(route, request.replace(b"Host:", shown_token + b"Host:")))[0]
        reads = ("get", "status", "chats")
        allowed = {*((name, kind) for name in ("r", "own") for kind in reads), ("own", "post")}
        assert got == {case: 200 if case in allowed else 403 for case in got}


async def test_port_that_refuses_connections(route: Route) -> None:
    route.program.close()
    assert (await ask(route))[0] == 502


async def test_nothing_is_sent_to_a_stopped_account(route: Route) -> None:
    assert (await ask(route))[0] == 200
    instance = route.host.accounts.registry.resolve("bot")
    route.host.paths.port_secret(instance).unlink()
    route.host.paths.runtime(instance).rmdir()
    route.account.got.clear()
    await asyncio.sleep(0.2)  # kept connections are used without a check for a moment
    assert (await ask(route))[0] == 502
    assert route.account.got == []


def listing(path: str, shown: str = "") -> bytes:
    shown_token = f"X-Auth-Token: {shown}\r\n" if shown else ""
    return f"GET {path} HTTP/1.1\r\n{_HEAD.decode()}{shown_token}\r\n".encode()


LISTS = ("/openwx/check_client", "/v1/accounts")


async def test_lists_contain_only_the_callers_accounts(tmp_path: Path) -> None:
    async with routed(tmp_path, closed=True) as route:
        Materialiser(route.host.paths, route.host.settings).add(parse_name("other"), {}, {}, 1, "")
        bound = {"all": (), "own": ("bot",), "its": ("other",), "no": ("x",)}
        tokens = {name: token(route.host, Scope.READ, *accounts) for name, accounts in bound.items()}
        wanted = {"all": ["bot", "other"], "own": ["bot"], "its": ["other"], "no": []}
        for name in [*wanted, *reversed(wanted)]:
            for path, query in ((each, query) for each in LISTS for query in (False, True)):
                sent = listing(f"{path}?token={tokens[name]}") if query else listing(path, tokens[name])
                status, body = await ask(route, sent)
                content = json.loads(body)
                assert status == 200
                found = [account["name"] for account in content.get("accounts", ())]
                found += [each["account"] for each in content.get("client", ())]
                assert found == [each for each in wanted[name] if path == LISTS[1] or each == "bot"]
        for path, refusal in zip(LISTS, (403, 401), strict=True):
            assert (await ask(route, listing(path, "wrong")))[0] == (await ask(route, listing(path)))[0] == refusal


async def test_long_lists_are_complete_and_current(route: Route) -> None:
    """Lists larger than the socket's buffer, also for a caller that does not read them at once."""
    processes, body = [await route.host.start(f"a{number}") for number in range(40)], b""
    for word in ("one", "two"):
        for process in processes:
            process.say(LoginState.RUNNING, word=word, filler=word * 60_000)
        for _ in range(3):
            status, body = await ask(route, listing("/openwx/check_client"))
            words = [each.get("word") for each in json.loads(body)["client"] if each["account"] != "bot"]
            assert (status, words) == (200, [word] * len(processes))
    reader, writer = await asyncio.open_connection(*route.host.address, limit=1 << 16)
    for _ in range(3):
        writer.write(listing("/openwx/check_client"))
        await asyncio.sleep(0.05)  # each of them arrives alone
    async with asyncio.timeout(PATIENCE):
        for _ in range(3):
            head = await reader.readuntil(_ENDS)
            assert f"Content-Length: {len(body)}\r\n".encode() in head
            assert await reader.readexactly(len(body)) == body
    writer.close()
