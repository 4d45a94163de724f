"""Calls of /v1 with accounts that are logged in at the sandbox match the OpenAPI document.

``Machine`` checks every answer against the document, here and in the tests of the controller.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Hashable, Mapping
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from tests.openapi.world import World, world
from tests.patience import PATIENCE, until
from tests.programs import program
from tests.serving import serving
from tests.unit.controller.machine import judge
from wxcontroller.controller.apis.v1.v1described import openapi
from wxcontroller.controller.page.examples import EXAMPLES
from wxcontroller.core.config.limits import DEFAULTS
from wxcontroller.sandbox.faults.faults import FaultKind
from wxcontroller.sandbox.world.phone import WebLogin

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    limits = DEFAULTS.with_numbers({"check_event_seconds": 0.05})
    async with world(tmp_path_factory.mktemp("world"), max_clients=4, limits=limits) as running:
        await running.account("alice")
        yield running


async def call(
    made: World, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    """Call /v1, with alice's calls below ``~``; return the status and the JSON."""
    data = body if body is None or isinstance(body, bytes | aiohttp.FormData) else json.dumps(body)
    path = f"/v1/{path.replace('~', 'accounts/alice')}"
    async with made.http.request(method, path, data=data, headers=headers) as answer:
        return answer.status, await answer.json() if "json" in answer.content_type else None


async def test_the_document_is_valid() -> None:
    validate(cast("Mapping[Hashable, object]", openapi()), cls=OpenAPIV31SpecValidator)


async def its_code(made: World, name: str) -> None:
    """Wait until an account has a code to scan."""
    await until(lambda: call(made, "GET", f"accounts/{name}/qr"), lambda found: found[0] != 404)


async def test_start_takes_options_and_the_code_has_four_forms(made: World) -> None:
    assert (await call(made, "POST", "accounts/bob/start", {"options": {"lang": "en_US"}}))[0] == 200
    assert (await call(made, "GET", "accounts/bob/options"))[1]["options"]["lang"]["value"] == "en_US"
    assert (await call(made, "POST", "accounts/bob/start", {"options": [1]}))[0] == 400
    await its_code(made, "bob")
    for form in ("json", "svg", "png", "txt"):
        assert (await call(made, "GET", f"accounts/bob/qr?format={form}"))[0] == 200
    assert (await call(made, "DELETE", "accounts/bob"))[0] == 200


async def test_unknown_accounts(made: World) -> None:
    for method, path in judge().operations():
        if "{name}" in path and not path.endswith("/start"):
            for name in ("nobody", ".bad"):
                url = path.removeprefix("/v1/").format(name=name, id="0badcafe-1", file="x", consumer="c")
                status, answer = await call(made, method, url)
                assert (status in (400, 404), bool(answer["error"]["remedy"])) == (True, True)


async def test_unresponsive_systemd(made: World) -> None:
    made.units.broken = True
    statuses = [(await call(made, "GET", path))[0] for path in ("health", "accounts", "~")]
    made.units.broken = False
    assert statuses == [503, 502, 502]


async def test_events_are_streamed_and_paged(made: World) -> None:
    stream = {"Accept": "text/event-stream"}
    for path, begins in (("/v1/events?account=alice", b""), ("/v1/accounts/alice/events", b"event: open")):
        async with asyncio.timeout(PATIENCE), made.http.get(path, headers=stream) as answer:
            assert (answer.status, answer.content_type) == (200, "text/event-stream")
            assert begins in await answer.content.readuntil(b"\n\n")
    for query in ("", "limit=1", "after=0&types=login", "since=1"):
        assert (await call(made, "GET", f"~/events?{query}"))[0] == 200
    for path in ("~/events?limit=many", "~/events?after=x", "events?cursor=x", "events?account=."):
        assert (await call(made, "GET", path))[0] == 400


async def test_deliveries_are_listed_replayed_and_purged(made: World) -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.Response(status=410)

    async with serving(refuse) as port:
        await made.get("start_client", client="vera", post_api=f"http://127.0.0.1:{port}/")
        root = "accounts/vera/deliveries"
        assert (await call(made, "POST", "accounts/vera/webhook/test"))[0] == 200
        dead = await until(lambda: call(made, "GET", f"{root}?state=dead"), lambda found: found[1]["deliveries"])
        assert (await call(made, "GET", f"{root}/{dead[1]['deliveries'][0]['id']}"))[0] == 200
        assert (await call(made, "GET", f"{root}/0badcafe-1"))[0] == 404
        assert (await call(made, "GET", f"{root}?state=lively"))[0] == 400
        assert (await call(made, "POST", f"{root}/ack", {"all": True}))[0] == 200
        for verb in ("replay", "purge"):
            for body, status in (({"all": True}, 200), ({"ids": ["no-such"]}, 404), (b"{", 400)):
                assert (await call(made, "POST", f"{root}/{verb}", body))[0] == status
        assert (await call(made, "GET", "deliveries"))[0] == 200
    await call(made, "DELETE", "accounts/vera")
    assert (await call(made, "POST", "~/deliveries/replay", {"all": True}))[0] == 409  # no post_api


async def test_messages_are_sent_read_and_recalled_through_the_controller(made: World) -> None:
    assert (await call(made, "GET", "~/contacts"))[0] == 200
    group = (await call(made, "GET", "~/groups"))[1]["groups"][0]["id"]
    assert (await call(made, "GET", f"~/groups/{group}/members"))[0] == 200
    kind = {"Content-Type": "application/json"}
    message, key = {"to": group, "text": "hello"}, {**kind, "Idempotency-Key": "messages-1"}
    status, sent = await call(made, "POST", "~/messages", message, key)
    assert (status, sent["state"]) == (200, "delivered"), sent
    assert (await call(made, "POST", "~/messages", message, key))[1] == sent
    assert (await call(made, "POST", "~/messages", {"to": group, "text": "hello again"}, key))[0] == 422
    later = {"to": "filehelper", "text": "later", "wait": 0}
    assert (await call(made, "POST", "~/messages", later, kind))[0] in (200, 202)
    # Larger than the body of other calls of /v1 may be: uploads are streamed.
    form = aiohttp.FormData({"to": "filehelper"})
    form.add_field("file", bytes(3 << 20), filename="zeros.bin")
    status, uploaded = await call(made, "POST", "~/messages", form)
    assert (status, uploaded["state"]) == (200, "delivered")
    status, body = await call(made, "GET", f"~/messages/{sent['id']}")
    assert (status, body["text"]) == (200, "hello")
    _, page = await call(made, "GET", f"~/messages?chat={group}&limit=1")
    assert [message["id"] for message in page["messages"]] == [sent["id"]]
    assert (await call(made, "GET", "~/chats"))[0] == 200
    for _ in range(2):  # a repetition changes nothing
        assert (await call(made, "DELETE", f"~/messages/{sent['id']}"))[0] == 200
    assert (await call(made, "POST", "~/messages", {"to": "nobody", "text": "x"}, kind))[0] == 404
    assert (await call(made, "POST", "~/messages", b"to=x"))[0] == 415


async def test_waiting_sends_are_listed_and_cancelled(made: World) -> None:
    take_back = made.wechat.fault("webwxsendmsg", FaultKind.DELAY, 5.0)
    for number in range(3):
        form = {"client": "alice", "id": "filehelper", "content": str(number), "async": "1"}
        assert (await made.get("send_friend_message", **form))["code"] == 0
    [*_, last] = (await call(made, "GET", "~/sends"))[1]["sends"]
    take_back()
    for method, status in (("GET", 200), ("DELETE", 200), ("DELETE", 404)):
        assert (await call(made, method, f"~/sends/{last['id']}"))[0] == status


async def test_refused_account_waits_for_its_owners_consent(made: World) -> None:
    person, root = made.wechat.sandbox.add_account(web_login=WebLogin.DESKTOP), "accounts/refused"
    await made.get("start_client", client="refused")
    assert not (await made.scan("refused", person)).desktop
    asked = await until(lambda: call(made, "GET", root), lambda found: found[1]["input"])
    assert (asked[1]["login_state"], asked[1]["state"], asked[1]["qrcode"]) == ("parked", "stop", False)
    yes = {"id": "allow-desktop", "value": "yes"}
    for answer, status in (({**yes, "value": "no"}, 400), ({**yes, "id": "x"}, 409), (yes, 200)):
        assert (await call(made, "POST", f"{root}/input", answer))[0] == status
    assert (await made.scan("refused", person)).desktop
    await made.until_running("refused")
    await call(made, "DELETE", root)


@pytest.mark.parametrize("name", EXAMPLES)
async def test_examples_of_the_page_are_valid_calls(made: World, name: str, tmp_path: Path) -> None:
    assert name in {judge().operation(*operation)["operationId"] for operation in judge().operations()}
    command = EXAMPLES[name].command.replace("http://127.0.0.1:2000", made.url).replace("@2b1f…", "filehelper")
    if name == "get_v1_accounts_name_qr":
        assert (await call(made, "POST", "accounts/bob/start"))[0] == 200
        command = command.replace("alice", "bob")
        await its_code(made, "bob")
    program("curl")
    curl = await asyncio.create_subprocess_shell(
        f"{command} -s -m 2 -w '\\n%{{http_code}}'", cwd=tmp_path, stdout=asyncio.subprocess.PIPE
    )
    answer, _ = await curl.communicate()
    # 409: the account exists already, and has no webhook.
    assert answer.decode().rpartition("\n")[2] in ("200", "409"), answer
