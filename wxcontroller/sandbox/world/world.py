"""The people and groups of one account: made from a seed, always the same."""

import enum
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from wxcontroller.sandbox.world import seednames


class Relation(enum.Enum):
    """A person's relation to the account."""

    SELF = "self"
    FRIEND = "friend"
    OFFICIAL = "official"
    SPECIAL = "special"
    STRANGER = "stranger"


class GroupVisibility(enum.Enum):
    """The sources from which a web client learns of a group: unsaved ones are in no address book (5.1, 7.8)."""

    SAVED = "saved"
    INIT = "init"
    CHATSET = "chatset"
    NOTIFY = "notify"


@dataclass(slots=True)
class Person:
    """A person, under the real id that never changes. Names are plain text, without WeChat's markup."""

    wxid: str
    name: str
    kind: Relation
    remark: str = ""
    pinyin: str = ""
    remark_pinyin: str = ""
    alias: str = ""
    sex: int = 0
    province: str = ""
    city: str = ""
    signature: str = ""
    verify: int = 0
    contact_flag: int = 3
    attr: int = 0
    sns: int = 0
    star: int = 0
    head_seq: int = 0


@dataclass(slots=True)
class ServerMember:
    """A member of a group: ``display`` is the name chosen for this group, mostly empty."""

    wxid: str
    display: str = ""


@dataclass(slots=True)
class ServerGroup:
    """A group the account is in."""

    wxid: str
    name: str
    owner: str
    members: list[ServerMember]
    seen: GroupVisibility
    muted: bool = False
    pinned: bool = False
    head_seq: int = 0

    @property
    def saved(self) -> bool:
        """True when the group is in the address book."""
        return self.seen is GroupVisibility.SAVED


@dataclass(slots=True)
class World:
    """Everybody an account knows, by real id. Former friends are kept as strangers."""

    me: Person
    people: dict[str, Person]
    groups: dict[str, ServerGroup]
    recent: list[str] = field(default_factory=list)

    def contacts(self) -> Iterator[Person]:
        """Yield who is in the address book: friends, official and special accounts, and the account itself."""
        for person in self.people.values():
            if person.kind is not Relation.STRANGER and person.wxid != "filehelper":
                yield person

    def group_title(self, group: ServerGroup) -> str:
        """Return the group's name, or the first members' names when it has none (6.6)."""
        return (
            group.name
            or "、".join(self.people[member.wxid].name for member in group.members if member.wxid != self.me.wxid)[
                :40
            ]
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """The size of a world. ``members`` counts the account itself."""

    seed: int
    friends: int = 30
    groups: int = 4
    members: int = 12


def build(plan: Plan, nickname: str, wxid: str) -> World:
    """Make the world of one account; equal plans give equal people."""
    rng = random.Random(f"world {plan.seed}")  # noqa: S311 - a population, not a secret
    names = _Names(rng)
    names.taken |= {nickname, *(name for name, _, _ in seednames.AWKWARD_FRIENDS)}
    me = _person(rng, wxid, nickname, "", Relation.SELF)
    me.contact_flag, me.attr = 0, 33656871
    people = {wxid: me}
    filehelper = Person(
        "filehelper", "文件传输助手", Relation.SPECIAL, pinyin="wenjianchuanshuzhushou", contact_flag=2
    )
    people[filehelper.wxid] = filehelper
    for special, name, verify in seednames.SPECIAL:
        people[special] = Person(special, name, Relation.SPECIAL, pinyin=special, verify=verify, contact_flag=1)
    friends = []
    for index in range(plan.friends):
        if index < len(seednames.AWKWARD_FRIENDS):
            name, pinyin, remark = seednames.AWKWARD_FRIENDS[index]
        else:
            name, pinyin = names.next()
            remark = rng.choice(seednames.REMARKS).format(name) if rng.random() < 0.3 else ""
        friend = _person(rng, _wxid(rng), name, pinyin, Relation.FRIEND)
        friend.remark, friend.remark_pinyin = remark, "bz" + friend.pinyin if remark else ""
        friend.star = int(rng.random() < 0.05)
        friend.contact_flag = 2051 if rng.random() < 0.05 else 3
        people[friend.wxid] = friend
        friends.append(friend.wxid)
    for index in range(min(len(seednames.OFFICIAL), max(2, plan.friends // 5)) if plan.friends else 0):
        name, pinyin, verify = seednames.OFFICIAL[index]
        official = Person(f"gh_{rng.getrandbits(48):012x}", name, Relation.OFFICIAL, pinyin=pinyin, verify=verify)
        official.head_seq = rng.randrange(600_000_000, 700_000_000)
        people[official.wxid] = official
    groups = {}
    for index in range(plan.groups):
        group = _group(rng, index, plan, me, friends, people, names)
        groups[group.wxid] = group
    recent = ["filehelper", *groups, *friends[:6], *(p.wxid for p in people.values() if p.kind is Relation.OFFICIAL)][
        :16
    ]
    return World(me, people, groups, recent)


def nickname(seed: int) -> str:
    """Return a nickname for an account without one."""
    rng = random.Random(f"nickname {seed}")  # noqa: S311
    return _Names(rng).next()[0]


class _Names:
    """Names that are unique in this world."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.taken: set[str] = set()

    def next(self) -> tuple[str, str]:
        while True:
            name, pinyin = self._one()
            if name not in self.taken:
                self.taken.add(name)
                return name, pinyin

    def _one(self) -> tuple[str, str]:
        rng, kind = self.rng, self.rng.random()
        if kind < 0.22:
            first, last = rng.choice(seednames.ENGLISH_FIRST), rng.choice(seednames.ENGLISH_LAST)
            name, pinyin = f"{first} {last}", (first + last).lower()
        else:
            first_name = [rng.choice(seednames.GIVEN) for _ in range(1 if rng.random() < 0.25 else 2)]
            surname = rng.choice(seednames.SURNAMES)
            name = surname[0] + "".join(char for char, _ in first_name)
            pinyin = surname[1] + "".join(sound for _, sound in first_name)
        if kind > 0.85:
            name = rng.choice(seednames.DECORATIONS).format(name)
        return name, pinyin


def _wxid(rng: random.Random) -> str:
    return "wxid_" + "".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=14))


def _person(rng: random.Random, wxid: str, name: str, pinyin: str, kind: Relation) -> Person:
    province, city = rng.choice(seednames.PLACES)
    return Person(
        wxid,
        name,
        kind,
        pinyin=pinyin,
        alias=f"{pinyin[:10]}{rng.randrange(1000)}" if pinyin and rng.random() < 0.2 else "",
        sex=rng.choice((0, 1, 1, 2, 2)),
        province=province,
        city=city,
        signature=rng.choice(seednames.SIGNATURES),
        attr=rng.choice((102437, 4133, 33656871, 98341, 235557)),
        sns=rng.choice((0, 1, 17, 49, 273)),
        head_seq=rng.randrange(600_000_000, 700_000_000),
    )


def _group(
    rng: random.Random,
    index: int,
    plan: Plan,
    me: Person,
    friends: list[str],
    people: dict[str, Person],
    names: _Names,
) -> ServerGroup:
    others = max(0, plan.members - 1)
    inside = rng.sample(friends, min(len(friends), (others + 1) // 2))
    while len(inside) < others:
        name, pinyin = names.next()
        stranger = _person(rng, _wxid(rng), name, pinyin, Relation.STRANGER)
        stranger.contact_flag = 0
        people[stranger.wxid] = stranger
        inside.append(stranger.wxid)
    members = [ServerMember(me.wxid, "领队" if index == 0 else "")]
    for position, wxid in enumerate(inside):
        named = position % 5 == 1
        members.append(ServerMember(wxid, rng.choice(seednames.DISPLAYS).format(people[wxid].name) if named else ""))
    rounds, place = divmod(index, len(seednames.GROUPS))
    name = seednames.GROUPS[place]
    return ServerGroup(
        wxid=f"{7_000_000_000 + rng.randrange(10**9)}@chatroom",
        name=f"{name} {rounds + 1}" if rounds and name else name,
        owner=me.wxid if index == 0 or not inside else rng.choice(inside),
        members=members,
        seen=(
            GroupVisibility.SAVED,
            GroupVisibility.INIT,
            GroupVisibility.SAVED,
            GroupVisibility.CHATSET,
            GroupVisibility.SAVED,
            GroupVisibility.NOTIFY,
        )[index % 6],
        muted=rng.random() < 0.3,
        head_seq=rng.randrange(600_000_000, 700_000_000),
    )
