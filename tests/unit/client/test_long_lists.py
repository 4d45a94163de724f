"""Lists of people and groups: programs ask for them again and again."""

import json

import pytest

from tests.patience import until
from tests.unit.client.conftest import RunningClient, Start, running
from tests.unit.client.scripted import TEAM
from wxcontroller.client.calls import readingcalls
from wxcontroller.core.jsontypes import JsonObject, items, obj
from wxcontroller.core.model import Group, Member
from wxcontroller.drivers import base
from wxcontroller.openwx.contract.replies import to_bytes

CROWD = tuple(
    Group(f"@@{number}", f"Group {number}", members=tuple(Member(f"@{number}-{each}", "某人") for each in range(50)))
    for number in range(40)
)


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[JsonObject]:
    """Record what is rendered."""
    entries: list[JsonObject] = []

    def recorded(entry: JsonObject) -> bytes:
        entries.append(entry)
        return to_bytes(entry)

    monkeypatch.setattr(readingcalls, "to_bytes", recorded)
    return entries


async def crowded(start: Start, **environ: str) -> RunningClient:
    client = await running(start, **environ)
    client.driver.play([base.RosterChanged(groups=CROWD)])
    await until(lambda: client.get("get_group_basic_info"), lambda groups: len(items(groups)) == len(CROWD) + 1)
    return client


@pytest.mark.parametrize("call", ["get_friend_info", "get_group_info", "get_group_basic_info"])
async def test_list_is_rendered_again_only_after_a_change(
    start: Start, rendered: list[JsonObject], call: str
) -> None:
    client = await running(start)
    first = await client.get(call)
    number = len(rendered)
    assert number > 0
    assert [await client.get(call) for _ in range(3)] == [first] * 3
    assert len(rendered) == number
    client.driver.play([base.RosterChanged(groups=(Group(TEAM.id, "Renamed", members=TEAM.members),))])
    await until(lambda: client.get("get_group_basic_info"), lambda groups: "Renamed" in json.dumps(groups))
    assert ("Renamed" in json.dumps(await client.get(call))) is ("group" in call)


async def test_list_that_nobody_asks_for_is_not_kept(
    start: Start, rendered: list[JsonObject], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readingcalls, "KEPT_SECONDS", 0.01)
    client = await running(start)

    async def render_anew() -> int:
        rendered.clear()
        await client.get("get_group_info")
        return len(rendered)

    await client.get("get_group_info")
    assert await until(render_anew, bool)


async def test_lists_are_kept_within_one_limit(
    start: Start, rendered: list[JsonObject], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readingcalls, "KEPT_BYTES", 0)
    client = await crowded(start)

    async def size(call: str) -> int:
        return len(await (await client.http.get(client.address(call))).read())

    both = [await size(call) for call in ("get_group_info", "get_group_basic_info")]
    monkeypatch.setattr(readingcalls, "KEPT_BYTES", sum(both) - 1)
    for call, is_kept in (("get_group_info", True), ("get_group_basic_info", False), ("get_group_info", True)):
        await client.get(call)
        rendered.clear()
        await client.get(call)
        assert bool(rendered) is not is_kept, call


@pytest.mark.parametrize("kept", [readingcalls.KEPT_BYTES, 20_000])
async def test_list_of_any_size_is_complete(start: Start, monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    monkeypatch.setattr(readingcalls, "KEPT_BYTES", kept)
    monkeypatch.setattr(readingcalls, "_PORTION_SECONDS", 0.0)
    client = await crowded(start, WXCLIENT_JSONP="1")
    body = b""
    for _ in range(2):
        async with client.http.get(client.address("get_group_info")) as answer:
            body = await answer.read()
            # A program learns the size of a list that is complete before it is sent.
            assert ("Content-Length" in answer.headers) is (kept > len(body))
            assert answer.headers["Content-Type"] == "application/json"
        groups = {str(obj(group)["id"]): items(obj(group)["member"]) for group in json.loads(body)}
        assert {name: len(members) for name, members in groups.items() if name != TEAM.id} == {
            group.id: 50 for group in CROWD
        }
    wrapped = client.address("get_group_info?datatype=jsonp&callback=f")
    async with client.http.get(wrapped) as answer:
        assert await answer.read() == b"f(" + body + b")"
