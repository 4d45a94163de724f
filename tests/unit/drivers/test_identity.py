"""Who is who after a new login."""

from dataclasses import replace

from tests.unit.drivers.kit import Checkpoints, Drive, Wechat, friend, username
from wxcontroller.core.model import Contact, Group, Member, Sex
from wxcontroller.drivers.base import MessageArrived, RosterChanged, RosterLoaded
from wxcontroller.drivers.web.session.identity import Identities, Recognition, uid_of
from wxcontroller.sandbox.account import ServerAccount
from wxcontroller.sandbox.world import Relation

CARL = Contact("@3", "Carl", sex=Sex.MALE, province="Bern")
DORA = Contact("@4", "Dora")  # nothing but a name
CREW = tuple(Member(f"@m{number}", f"Member {number}") for number in range(4))
CLUB = Group("@@1", "Club", CREW, owner="@m1")


async def login(store: Checkpoints, *people: Contact | Group, real: dict[str, str] | None = None) -> dict[str, int]:
    """Return everybody's number in a new process."""
    identities = Identities(store)
    await identities.load()
    recognition = Recognition(identities)
    await recognition.recognise(people)
    for name, real_id in (real or {}).items():
        recognition.identify(name, real_id)
    recognition.save()
    return {one.id: recognition.number(one.id) for one in people}


async def test_people_who_look_alike_get_no_number() -> None:
    store = Checkpoints()
    twin = replace(CARL, id="@33")
    assert await login(store, CARL, twin) == {"@3": 0, "@33": 0}
    one = await login(store, CARL)
    assert one["@3"]
    # Two now look like him: neither gets the number.
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
    # Somebody else looks like Carl; the phone says who is who.
    other = replace(CARL, id="@o", name="Charles")
    numbers = await login(store, replace(CARL, id="@i"), other, real={"@o": "wxid_c"})
    assert numbers == {"@o": first["@3"], "@i": 0}


# -- an account


async def test_active_group_keeps_its_number_over_a_new_scan(world: Wechat, alice: ServerAccount) -> None:
    world.state = Checkpoints()
    group = next(group for group in alice.world.groups.values() if group.saved)
    alice.world.recent = ["filehelper"]  # the phone names no other
    numbers: list[int] = []
    for text in ("one", "two"):
        async with world.online(alice) as drive:
            room = username(alice, group.wxid)
            world.hear(alice, text, group.wxid, group.members[1].wxid)
            await drive.until(MessageArrived, lambda event: event.message.text in ("one", "two"))
            told = [event.groups for event in drive.events if isinstance(event, RosterLoaded | RosterChanged)]
            numbers.append([one.uid for groups in told for one in groups if one.id == room][-1])
    assert numbers[0] != 0
    assert numbers[0] == numbers[1]


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
