"""The address book and the groups, also when WeChat gives them grudgingly."""

import json
import time

import pytest

from tests.patience import until
from tests.unit.drivers.kit import Wechat, friend, hurried, username, wechat
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.model import Group, Member
from wxcontroller.drivers.base import DriverEvent, RosterChanged, RosterLoaded
from wxcontroller.sandbox import session as sandbox_session
from wxcontroller.sandbox import socialevents
from wxcontroller.sandbox import world as sandbox_world
from wxcontroller.sandbox.account import ServerAccount
from wxcontroller.sandbox.faults import FaultKind
from wxcontroller.sandbox.sandbox import Options
from wxcontroller.sandbox.world import GroupVisibility, Plan, Relation


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


async def test_roster_can_be_limited_to_the_first_page() -> None:
    async with wechat(Options(poll_hold=0.3, sync_hold=0.3, contact_page=10)) as world:
        alice = world.sandbox.add_account()
        async with world.drive(is_update_all_friend="0") as drive:
            await world.enter(drive, alice)
    assert world.requests("webwxgetcontact") == 1


EMPTY = '{"BaseResponse":{"Ret":0},"MemberCount":0,"MemberList":[],"Seq":0}'
BAD = [(FaultKind.STATUS, 503), (FaultKind.RESET, None), (FaultKind.TRUNCATE, 500), (FaultKind.RETCODE, -1)]


@pytest.mark.parametrize(
    ("endpoint", "kind", "value"),
    [
        *(("webwxgetcontact", *bad) for bad in (*BAD, (FaultKind.GARBAGE, EMPTY))),
        *(("webwxbatchgetcontact", *bad) for bad in BAD),
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
        # The saved groups' batch, cut up until each of them is asked about alone.
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


# -- members and identities


def latest_groups(events: list[DriverEvent]) -> dict[str, Group]:
    told = [event.groups for event in events if isinstance(event, RosterLoaded | RosterChanged)]
    return {group.id: group for groups in told for group in groups}


def detailed(group: Group, member_id: str) -> Member:
    return next(member for member in group.members if member.id == member_id)


@pytest.mark.parametrize("wanted", [True, False])
async def test_details_of_later_members_are_fetched(world: Wechat, alice: ServerAccount, wanted: bool) -> None:
    group = next(group for group in alice.world.groups.values() if group.saved)
    inside = {member.wxid for member in group.members}
    newcomer = next(p for p in alice.world.people.values() if p.kind is Relation.STRANGER and p.wxid not in inside)
    newcomer.city = "深圳"
    async with world.online(alice, is_update_group_member="1" if wanted else "0") as drive:
        room, one = username(alice, group.wxid), username(alice, newcomer.wxid)
        socialevents.join(world.sandbox, alice, group, [newcomer.wxid])

        def joined(event: RosterChanged) -> bool:
            members = [m for g in event.groups if g.id == room for m in g.members if m.id == one]
            return any(member.city or not wanted for member in members)

        await drive.until(RosterChanged, joined)
        if wanted:
            asked = world.requests("webwxbatchgetcontact")
            world.sandbox.change(alice, group.wxid, "another name", None)
            await drive.until(RosterChanged, lambda event: any(g.name == "another name" for g in event.groups))
            assert detailed(latest_groups(drive.events)[room], one).city == "深圳"
            assert world.requests("webwxbatchgetcontact") == asked  # everybody is asked about once
    assert world.violations() == []


async def test_member_queries_pause_after_a_rate_limit(world: Wechat) -> None:
    alice = world.sandbox.add_account(plan=Plan(seed=4, friends=20, groups=2, members=130))
    group, other = alice.world.groups.values()
    inside = {member.wxid for member in group.members}
    *crowd, late = [one.wxid for one in other.members if one.wxid not in inside]
    alice.world.people[late].city = "深圳"
    async with world.online(alice, is_update_group_member="1", timing=hurried(batch_pause=0.5)) as drive:
        one, began = username(alice, late), time.monotonic()
        refused = world.sandbox.faults.add("webwxbatchgetcontact", FaultKind.RETCODE, 1205, 1, None)
        socialevents.join(world.sandbox, alice, group, crowd)  # more than fit into one question
        await until(lambda: refused.hits)
        asked = world.requests("webwxbatchgetcontact")
        socialevents.join(world.sandbox, alice, group, [late])

        def known(event: RosterChanged) -> bool:
            return any(member.id == one and member.city for group in event.groups for member in group.members)

        await drive.until(RosterChanged, known)
    assert time.monotonic() - began >= 0.5
    assert world.requests("webwxbatchgetcontact") == asked + 1


# -- what is true later


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
        await drive.until(RosterChanged, lambda event: any(each.id == room for each in event.groups))
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
