"""The address book and the groups, also when WeChat gives them grudgingly."""

import pytest

from tests.unit.drivers.kit import Wechat, hurried, wechat
from wxcontroller.drivers.base import Online, RosterChanged, RosterLoaded
from wxcontroller.sandbox.account import Account
from wxcontroller.sandbox.faults import FaultKind
from wxcontroller.sandbox.sandbox import Options
from wxcontroller.sandbox.world import Kind, Plan, Seen


async def test_pages_and_many_groups() -> None:
    async with wechat(Options(poll_hold=0.3, sync_hold=0.3, contact_page=100)) as world:
        alice = world.sandbox.add_account(plan=Plan(seed=1, friends=700, groups=130, members=8))
        async with world.drive(emoji_to_text="0") as drive:
            await world.enter(drive, alice)
            loaded = next(event for event in drive.events if isinstance(event, RosterLoaded))
            assert alice.session is not None
            expected = {alice.session.username(p.wxid) for p in alice.world.contacts() if p.kind is not Kind.SELF}
            assert {contact.id for contact in loaded.contacts} >= expected | {"filehelper"}
            saved = [group for group in alice.world.groups.values() if group.seen is Seen.SAVED]
            found = {group.id: group for group in loaded.groups}
            for group in saved:
                got = found[alice.session.username(group.wxid)]
                assert {member.id for member in got.members} == {
                    alice.session.username(member.wxid) for member in group.members
                }
                assert got.name == group.name
        assert world.violations() == []


async def test_unsaved_groups_come_from_wherever_they_are_named(world: Wechat) -> None:
    alice = world.sandbox.add_account(plan=Plan(seed=3, friends=30, groups=6, members=5))
    async with world.drive() as drive:
        await world.enter(drive, alice)
        known: set[str] = set()
        while len(known) < 6:
            event = (
                await drive.until(RosterChanged, lambda event: bool(event.groups))
                if known
                else next(event for event in drive.events if isinstance(event, RosterLoaded))
            )
            known |= {group.id for group in event.groups if group.members}
    assert alice.session is not None
    assert known == {alice.session.username(wxid) for wxid in alice.world.groups}


async def test_only_the_first_page_when_asked_for() -> None:
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
async def test_a_bad_answer_is_asked_for_again(
    world: Wechat, alice: Account, endpoint: str, kind: FaultKind, value: str | int | None
) -> None:
    world.fault(endpoint, kind, value, 2)
    async with world.drive() as drive:
        await world.enter(drive, alice)
        loaded = next(event for event in drive.events if isinstance(event, RosterLoaded))
    assert len(loaded.contacts) > 30
    assert any(group.members for group in loaded.groups)


async def test_an_account_goes_on_without_its_contacts_and_gets_them_later(world: Wechat, alice: Account) -> None:
    take_back = world.fault("webwxgetcontact", FaultKind.STATUS, 503, count=None)
    async with world.drive() as drive:
        await world.enter(drive, alice)
        world.hear(alice, "from whom?")
        await drive.text("from whom?")
        take_back()
        loaded = await drive.until(RosterLoaded)
    assert len(loaded.contacts) > 30


async def test_a_batch_that_is_refused_is_cut_up(world: Wechat) -> None:
    alice = world.sandbox.add_account(plan=Plan(seed=1, friends=30, groups=60, members=5))
    world.fault("webwxbatchgetcontact", FaultKind.RETCODE, -1, 3)
    async with world.drive() as drive:
        await world.enter(drive, alice)
        loaded = next(event for event in drive.events if isinstance(event, RosterLoaded))
    saved = [group for group in alice.world.groups.values() if group.saved]
    assert sum(bool(group.members) for group in loaded.groups) >= len(saved)


async def test_an_id_that_is_refused_alone_is_left_in_peace(world: Wechat, alice: Account) -> None:
    world.fault("webwxbatchgetcontact", FaultKind.RETCODE, -1, count=None)
    async with world.drive() as drive:
        await world.enter(drive, alice)
        asked = world.requests("webwxbatchgetcontact")
        assert asked < 40
        group = next(group for group in alice.world.groups.values() if group.saved)
        for number in range(3):
            world.hear(alice, str(number), group.wxid, group.members[1].wxid)
        await drive.text("2")
        assert world.requests("webwxbatchgetcontact") == asked


async def test_too_frequent_is_waited_out(world: Wechat, alice: Account) -> None:
    world.fault("webwxbatchgetcontact", FaultKind.RETCODE, 1205, 1)
    async with world.drive(timing=hurried(roster_patience=0.1)) as drive:
        await world.enter(drive, alice)
        changed = await drive.until(RosterChanged, lambda event: any(group.members for group in event.groups))
        assert changed.groups
    assert drive.count(Online) == 1
