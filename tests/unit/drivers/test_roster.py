"""Contacts, groups and their members, also if WeChat limits the requests; their numbers after a new login."""

import json
import time
from dataclasses import replace

import pytest

from tests.patience import until
from tests.unit.drivers.kit import HURRY, Checkpoints, Drive, Wechat, friend, hurried, username, wechat
from tests.unit.drivers.test_requests import SESSION
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.model import Contact, Group, Member, Sex
from wxcontroller.core.process.watchdog import Deadlines
from wxcontroller.drivers.base import RosterChanged, RosterLoaded
from wxcontroller.drivers.connection.pulse import Pulse
from wxcontroller.drivers.connection.transport import Transport
from wxcontroller.drivers.web.session.identity import Identities, Recognition, uid_of
from wxcontroller.drivers.web.session.roster import RosterOptions, WebRoster
from wxcontroller.drivers.web.wire.calls import WebCalls
from wxcontroller.sandbox.faults.faults import FaultKind
from wxcontroller.sandbox.sandbox import Options
from wxcontroller.sandbox.web import socialevents
from wxcontroller.sandbox.world import websession as sandbox_session
from wxcontroller.sandbox.world import world as sandbox_world
from wxcontroller.sandbox.world.phone import ServerAccount
from wxcontroller.sandbox.world.world import GroupVisibility, Plan, Relation


async def test_contacts_of_many_pages_and_groups_are_loaded() -> None:
    async with wechat(Options(poll_hold=0.3, sync_hold=0.3, contact_page=100)) as world:
        alice = world.sandbox.add_account(plan=Plan(seed=1, friends=700, groups=130, members=8))
        async with world.online(alice, emoji_to_text="0") as drive:
            loaded = next(event for event in drive.events if isinstance(event, RosterLoaded))
            expected = {username(alice, p.wxid) for p in alice.world.contacts() if p.kind is not Relation.SELF}
            assert {contact.id for contact in loaded.contacts} >= expected | {"filehelper"}
            saved = [group for group in alice.world.groups.values() if group.seen is GroupVisibility.SAVED]
            found = {group.id: group for group in loaded.groups}
            for group in saved:
                got = found[username(alice, group.wxid)]
                assert {member.id for member in got.members} == {
                    username(alice, member.wxid) for member in group.members
                }
                assert got.name == group.name
        assert world.violations() == []


async def test_unsaved_groups_are_learned_from_all_sources(world: Wechat) -> None:
    alice = world.sandbox.add_account(plan=Plan(seed=3, friends=30, groups=6, members=5))
    async with world.online(alice) as drive:
        known: set[str] = set()
        while len(known) < 6:
            event = (
                await drive.until(RosterChanged, lambda event: bool(event.groups))
                if known
                else next(event for event in drive.events if isinstance(event, RosterLoaded))
            )
            known |= {group.id for group in event.groups if group.members}
    assert known == {username(alice, wxid) for wxid in alice.world.groups}


EMPTY = '{"BaseResponse":{"Ret":0},"MemberCount":0,"MemberList":[],"Seq":0}'


@pytest.mark.parametrize(
    ("endpoint", "kind", "value"),
    [
        ("webwxgetcontact", FaultKind.STATUS, 503),
        ("webwxgetcontact", FaultKind.GARBAGE, EMPTY),
        ("webwxbatchgetcontact", FaultKind.TRUNCATE, 500),
    ],
)
async def test_invalid_response_is_requested_again(
    world: Wechat, alice: ServerAccount, endpoint: str, kind: FaultKind, value: str | int | None
) -> None:
    world.fault(endpoint, kind, value, 2)
    async with world.online(alice) as drive:
        loaded = next(event for event in drive.events if isinstance(event, RosterLoaded))
    assert len(loaded.contacts) > 30
    assert any(group.members for group in loaded.groups)


async def test_contacts_are_loaded_after_an_outage(world: Wechat, alice: ServerAccount) -> None:
    take_back = world.fault("webwxgetcontact", FaultKind.STATUS, 503, count=None)
    async with world.online(alice) as drive:
        world.hear(alice, "from whom?")
        await drive.text("from whom?")
        take_back()
        loaded = await drive.until(RosterLoaded)
    assert len(loaded.contacts) > 30


async def test_refused_batch_is_split(world: Wechat) -> None:
    alice = world.sandbox.add_account(plan=Plan(seed=1, friends=30, groups=60, members=5))
    world.fault("webwxbatchgetcontact", FaultKind.RETCODE, -1, 3)
    async with world.online(alice) as drive:
        loaded = next(event for event in drive.events if isinstance(event, RosterLoaded))
    saved = [group for group in alice.world.groups.values() if group.saved]
    assert sum(bool(group.members) for group in loaded.groups) >= len(saved)


async def test_refused_id_is_not_queried_again(world: Wechat, alice: ServerAccount) -> None:
    world.fault("webwxbatchgetcontact", FaultKind.RETCODE, -1, count=None)
    async with world.online(alice) as drive:
        # The batch of saved groups, split until each of them is queried alone.
        await until(lambda: world.requests("webwxbatchgetcontact") == 9)
        group = next(group for group in alice.world.groups.values() if group.saved)
        for number in range(3):
            world.hear(alice, str(number), group.wxid, group.members[1].wxid)
        await drive.text("2")
        assert world.requests("webwxbatchgetcontact") == 9


@pytest.mark.parametrize("endpoint", ["webwxgetcontact", "webwxbatchgetcontact"])
async def test_roster_queries_pause_after_a_rate_limit(world: Wechat, alice: ServerAccount, endpoint: str) -> None:
    world.fault(endpoint, FaultKind.RETCODE, 1205)
    timing = hurried(roster_patience=0.1, roster_again=0.01, stranger_patience=0.1, batch_pause=3600)
    async with world.online(alice, timing=timing) as drive:
        group = next(group for group in alice.world.groups.values() if not group.saved)
        world.hear(alice, "from whom?", group.wxid, group.members[1].wxid)
        await drive.text("from whom?")
    assert world.requests(endpoint) == 1


# -- members


async def test_member_queries_pause_after_a_rate_limit(world: Wechat) -> None:
    alice = world.sandbox.add_account(plan=Plan(seed=4, friends=20, groups=2, members=130))
    group, other = alice.world.groups.values()
    inside = {member.wxid for member in group.members}
    *many, late = [member.wxid for member in other.members if member.wxid not in inside]
    alice.world.people[late].city = "深圳"
    async with world.online(alice, is_update_group_member="1", timing=hurried(batch_pause=0.5)) as drive:
        one, began = username(alice, late), time.monotonic()
        refused = world.sandbox.faults.add("webwxbatchgetcontact", FaultKind.RETCODE, 1205, 1, None)
        socialevents.join(world.sandbox, alice, group, many)  # more than fit into one request
        await until(lambda: refused.hits)
        asked = world.requests("webwxbatchgetcontact")
        socialevents.join(world.sandbox, alice, group, [late])

        def known(event: RosterChanged) -> bool:
            return any(member.id == one and member.city for group in event.groups for member in group.members)

        await drive.until(RosterChanged, known)
    assert time.monotonic() - began >= 0.5
    assert world.requests("webwxbatchgetcontact") == asked + 1


# -- later changes


def saved_group(account: ServerAccount) -> sandbox_world.ServerGroup:
    return next(group for group in account.world.groups.values() if group.saved and len(group.members) > 3)


async def test_group_without_the_account_is_removed(world: Wechat, alice: ServerAccount) -> None:
    group = saved_group(alice)
    me = next(member for member in group.members if member.wxid == alice.wxid)
    async with world.online(alice) as drive:
        assert alice.session is not None
        room = username(alice, group.wxid)
        group.members.remove(me)
        for _ in range(2):  # WeChat keeps reporting it
            alice.session.push(sandbox_session.ContactChanged(group.wxid))
        out = await drive.until(RosterChanged, lambda event: bool(event.gone))
        assert out.gone == (room,)
        world.hear(alice, "x")
        await drive.text("x")
        after = drive.events[drive.events.index(out) :]
        assert not [event for event in after if isinstance(event, RosterChanged) and event.groups]
        group.members.append(me)
        alice.session.push(sandbox_session.ContactChanged(group.wxid))
        await drive.until(RosterChanged, lambda event: any(group.id == room for group in event.groups))
    assert sum(len(event.gone) for event in drive.events if isinstance(event, RosterChanged)) == 1


async def test_truncated_list_of_members_removes_nobody(world: Wechat, alice: ServerAccount) -> None:
    group = saved_group(alice)
    async with world.online(alice) as drive:
        assert alice.session is not None
        room, session = username(alice, group.wxid), alice.session
        others: list[JsonValue] = [
            {"UserName": session.username(member.wxid), "NickName": "x"}
            for member in group.members
            if member.wxid != alice.wxid
        ]
        entry: JsonObject = {"UserName": room, "MemberCount": len(group.members), "MemberList": others}
        body: JsonObject = {"BaseResponse": {"Ret": 0}, "ModContactList": [entry]}
        world.fault("webwxsync", FaultKind.GARBAGE, json.dumps(body))
        session.push(sandbox_session.ContactChanged(friend(alice)))
        world.hear(alice, "x")
        await drive.text("x")
    assert not [event for event in drive.events if isinstance(event, RosterChanged) and event.gone]


# -- numbers that a new login must not change


CARL = Contact("@3", "Carl", sex=Sex.MALE, province="Bern")
DORA = Contact("@4", "Dora")  # only a name is known
CREW = tuple(Member(f"@m{number}", f"Member {number}") for number in range(4))
CLUB = Group("@@1", "Club", CREW, owner="@m1")


async def login(store: Checkpoints, *people: Contact | Group, real: dict[str, str] | None = None) -> dict[str, int]:
    """Return the number of each in a new process."""
    identities = Identities(store)
    await identities.load()
    recognition = Recognition(identities)
    await recognition.recognise(people)
    for name, real_id in (real or {}).items():
        recognition.identify(name, real_id)
    recognition.save()
    return {person.id: recognition.number(person.id) for person in people}


async def test_people_who_look_alike_get_no_number() -> None:
    store = Checkpoints()
    twin = replace(CARL, id="@33")
    assert await login(store, CARL, twin) == {"@3": 0, "@33": 0}
    one = await login(store, CARL)
    assert one["@3"]
    # Two people look like Carl now: neither gets the number.
    assert await login(store, replace(CARL, id="@a"), replace(CARL, id="@b")) == {"@a": 0, "@b": 0}


async def test_real_id_decides_the_number() -> None:
    store = Checkpoints()
    first = await login(store, CARL, DORA, CLUB, real={"@3": "wxid_c", "@4": "wxid_d", "@@1": "7000000001@chatroom"})
    assert first["@4"] == uid_of("wxid_d")
    assert first["@@1"] == 7000000001
    assert first["@3"] == (await login(Checkpoints(), CARL))["@3"]  # the number it already had
    later = replace(CLUB, id="@@9", name="Other name")  # by its crew
    assert (await login(store, later)) == {"@@9": first["@@1"]}
    assert (await login(store, replace(CLUB, id="@@8", members=CREW[:2]))) == {"@@8": first["@@1"]}  # by its name
    # Another person looks like Carl; the phone's real id decides.
    other = replace(CARL, id="@o", name="Charles")
    numbers = await login(store, replace(CARL, id="@i"), other, real={"@o": "wxid_c"})
    assert numbers == {"@o": first["@3"], "@i": 0}


async def test_the_oldest_marks_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Checkpoints()
    identities = Identities(store)
    for first in (0, 99_999):
        identities.learn(range(first + 1, first + 100_000), 7)
        identities.save()
    again = Identities(store)
    await again.load()
    for one in (identities, again):
        assert [one.find(mark) for mark in (1, 99_998, 99_999, 199_998)] == [0, 0, 7, 7]


async def test_only_the_latest_strangers_are_remembered() -> None:
    async def emit(_: object) -> None: ...

    async with Transport(None, HURRY) as transport:
        calls, pulse = WebCalls(transport, HURRY, "zh_CN"), Pulse(emit, HURRY, Deadlines())
        roster = WebRoster(calls, SESSION, pulse, HURRY, False, RosterOptions(), Identities(None))
    for number in range(1001):
        roster.meet(f"@{number}", f"message {number}")
    assert [roster.met_in(f"@{number}") for number in (0, 1, 1000)] == ["", "message 1", "message 1000"]


def uids(drive: Drive, account: ServerAccount) -> dict[str, int]:
    loaded = next(event for event in reversed(drive.events) if isinstance(event, RosterLoaded))
    everybody: list[Contact | Group] = [*loaded.contacts, *loaded.groups]
    found = {one.id: one.uid for one in everybody}
    known = {**account.world.people, **account.world.groups}
    return {wxid: found[name] for wxid in known if (name := username(account, wxid)) in found}


async def test_friends_and_groups_keep_their_numbers_over_a_new_scan(world: Wechat, alice: ServerAccount) -> None:
    identities = world.state = Checkpoints()
    async with world.online(alice) as drive:
        before = uids(drive, alice)
        for number in range(2):
            world.hear(alice, str(number))
            await drive.text(str(number))
    assert identities.marks
    changed = friend(alice)
    alice.world.people[changed].signature = "something new"
    async with world.online(alice) as drive:
        after = uids(drive, alice)
    friends = [wxid for wxid, person in alice.world.people.items() if person.kind is Relation.FRIEND]
    numbered = [wxid for wxid in friends if before[wxid]]
    assert len(numbered) > len(friends) // 2
    assert {wxid: after[wxid] for wxid in numbered} == {wxid: before[wxid] for wxid in numbered}
    rooms = [wxid for wxid in alice.world.groups if after.get(wxid)]
    assert rooms
    assert all(after[wxid] == int(wxid.removesuffix("@chatroom")) for wxid in rooms)


async def test_a_server_that_repeats_a_page_does_not_delay_the_login(world: Wechat, alice: ServerAccount) -> None:
    page = '{"BaseResponse":{"Ret":0},"MemberCount":1,"MemberList":[{"UserName":"@x","NickName":"X"}],"Seq":5}'
    world.fault("webwxgetcontact", FaultKind.GARBAGE, page, count=None)
    async with world.online(alice) as drive:
        loaded = next(event for event in drive.events if isinstance(event, RosterLoaded))
        assert "@x" in {contact.id for contact in loaded.contacts}
    assert world.requests("webwxgetcontact") == 2
