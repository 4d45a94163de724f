"""Commands for people, groups and messages, and their refusals."""

import pytest

from tests.unit.drivers.kit import Drive, Wechat, friend, username
from wxcontroller.core.errors import WeChatError
from wxcontroller.drivers.base import FriendAsked, MessageArrived, Online, RosterChanged, SessionLost
from wxcontroller.sandbox.faults.faults import FaultKind
from wxcontroller.sandbox.web import composing
from wxcontroller.sandbox.world.phone import ServerAccount, Stranger
from wxcontroller.sandbox.world.world import Plan, Relation, ServerGroup


def own_group(account: ServerAccount) -> ServerGroup:
    return next(group for group in account.world.groups.values() if group.owner == account.wxid and group.saved)


async def still_there(world: Wechat, drive: Drive, account: ServerAccount) -> None:
    world.hear(account, "still here")
    await drive.text("still here")
    assert drive.count(SessionLost) == 0


async def test_groups(world: Wechat, alice: ServerAccount) -> None:
    people = [friend(alice, number) for number in range(5)]
    async with world.online(alice) as drive:
        ids = [username(alice, person) for person in people]
        group = await drive.driver.create_group(ids[:3], "三个 & <朋友>")
        loaded = await drive.until(
            RosterChanged, lambda event: any(g.id == group and g.members for g in event.groups)
        )
        made = next(g for g in loaded.groups if g.id == group)
        assert made.name == "三个 & <朋友>"
        assert {member.id for member in made.members} >= set(ids[:3])
        await drive.driver.invite(group, ids[3:])
        await drive.until(RosterChanged, lambda event: any(len(g.members) == 6 for g in event.groups))
        await drive.driver.kick(group, ids[:1])
        await drive.until(RosterChanged, lambda event: any(len(g.members) == 5 for g in event.groups))
        await drive.driver.rename_group(group, "new\nname")
        await drive.until(RosterChanged, lambda event: any(g.name == "new name" for g in event.groups))
        await still_there(world, drive, alice)
    assert world.violations() == []


async def test_large_groups_are_invited_to(world: Wechat) -> None:
    alice = world.sandbox.add_account(plan=Plan(seed=5, friends=80, groups=2, members=38))
    group = next(group for group in alice.world.groups.values() if group.saved)
    inside = {member.wxid for member in group.members}
    people = [p.wxid for p in alice.world.people.values() if p.kind is Relation.FRIEND and p.wxid not in inside][:2]
    async with world.online(alice) as drive:
        await drive.driver.invite(username(alice, group.wxid), [username(alice, person) for person in people])
        assert {member.wxid for member in group.members} == inside | set(people)
    assert world.violations() == []


async def test_asking_and_accepting(world: Wechat, alice: ServerAccount) -> None:
    stranger = next(person for person in alice.world.people.values() if person.kind is Relation.STRANGER)
    async with world.online(alice) as drive:
        await drive.driver.ask_friend(username(alice, stranger.wxid), "你好 & <hello>")
        assert (alice.asked[-1].wxid, alice.asked[-1].greeting) == (stranger.wxid, "你好 & <hello>")
        asking = Stranger("wxid_new", "新朋友", "v2_0000@stranger")
        alice.strangers[asking.ticket] = asking
        message = composing.friend_request(world.sandbox.next_msg_id(), asking, "我是 & 新", 30)
        world.sandbox.bring(alice, message, "peer", "")
        request = (await drive.until(FriendAsked)).request
        assert (request.name, request.greeting, request.ticket) == ("新朋友", "我是 & 新", asking.ticket)
        await drive.driver.accept_friend(request.id, request.ticket)
        changed = await drive.until(RosterChanged, lambda event: bool(event.contacts))
        assert changed.contacts[0].name == "新朋友"
        assert drive.count(MessageArrived) <= 1  # WeChat's words that they can talk now
        assert world.violations() == []
        with pytest.raises(WeChatError) as refused:
            await drive.driver.accept_friend(request.id, request.ticket)
        assert refused.value.ret == -14
        await still_there(world, drive, alice)


@pytest.mark.parametrize(
    ("kind", "value"),
    [(FaultKind.RETCODE, 1101), (FaultKind.GARBAGE, '{"MemberCount":0,"MemberList":[]}')],
)
async def test_refusals_do_not_end_the_session(
    world: Wechat, alice: ServerAccount, kind: FaultKind, value: int | str
) -> None:
    async with world.online(alice) as drive:
        for call in ("webwxcreatechatroom", "webwxupdatechatroom", "webwxoplog", "webwxverifyuser", "webwxrevokemsg"):
            world.fault(call, kind, value, count=None)
        driver, person = drive.driver, username(alice, friend(alice))
        group = username(alice, own_group(alice).wxid)
        for command in (
            lambda: driver.create_group([person], "x"),
            lambda: driver.invite(group, [person]),
            lambda: driver.set_remark(person, "x"),
            lambda: driver.accept_friend(person, "x"),
            lambda: driver.revoke("1", person),
        ):
            with pytest.raises(WeChatError) as refused:
                await command()
            assert refused.value.ret == (value if kind is FaultKind.RETCODE else None)
        await still_there(world, drive, alice)
        assert drive.count(Online) == 1


async def test_pin_keeps_the_remark(world: Wechat, alice: ServerAccount) -> None:
    person = alice.world.people[friend(alice)]
    async with world.online(alice, emoji_to_text="1") as drive:
        chat = username(alice, person.wxid)
        await drive.driver.set_remark(chat, "同事 & <小明>😄")
        await drive.until(RosterChanged, lambda event: any(contact.id == chat for contact in event.contacts))
        for on in (True, False):
            await drive.driver.pin(chat, on)
            assert (person.remark, bool(person.contact_flag & 0x800)) == ("同事 & <小明>😄", on)
    assert world.violations() == []
