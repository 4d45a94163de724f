"""Events among people: changes of groups' members and names, new friends; clients are notified."""

import secrets
from collections.abc import Sequence

from wxcontroller.sandbox.sandbox import Sandbox
from wxcontroller.sandbox.world.phone import ServerAccount, Stranger
from wxcontroller.sandbox.world.websession import ContactChanged
from wxcontroller.sandbox.world.world import GroupVisibility, Person, Relation, ServerGroup, ServerMember


def meet(account: ServerAccount, name: str, wxid: str = "") -> Person:
    """Add a stranger to the account's world."""
    person = Person(wxid or f"wxid_{secrets.token_hex(7)}", name, Relation.STRANGER, contact_flag=0)
    account.world.people[person.wxid] = person
    if account.session is not None:
        account.session.learn(account.world)
        account.session.meet(person.wxid)
    return person


def create(sandbox: Sandbox, account: ServerAccount, people: Sequence[str], topic: str) -> ServerGroup:
    """Make a group that the account owns."""
    wxid = f"{8_000_000_000 + secrets.randbelow(10**9)}@chatroom"
    members = [ServerMember(account.wxid), *(ServerMember(person) for person in people)]
    group = ServerGroup(wxid, topic, account.wxid, members, GroupVisibility.NOTIFY)
    account.world.groups[wxid] = group
    account.world.recent.insert(1, wxid)
    if account.session is not None:
        account.session.learn(account.world)
        account.session.meet(wxid)
    sandbox.tell(account, ContactChanged(wxid))
    sandbox.notice(account, wxid, f"你邀请{_names(account, people)}加入了群聊")
    return group


def join(sandbox: Sandbox, account: ServerAccount, group: ServerGroup, people: Sequence[str], by: str = "") -> None:
    """Add people to a group, invited by ``by``, or by the owner's QR code."""
    group.members.extend(ServerMember(person) for person in people)
    sandbox.tell(account, ContactChanged(group.wxid))
    names = _names(account, people)
    if not by:
        words = f"{names[0]} {names[1:]}通过扫描{_name(account, group.owner)}分享的二维码加入群聊"
    else:
        words = f"{_name(account, by)}邀请{names}加入了群聊"
    sandbox.notice(account, group.wxid, words)


def leave(sandbox: Sandbox, account: ServerAccount, group: ServerGroup, people: Sequence[str], by: str = "") -> None:
    """Remove people from a group, by ``by`` or by leaving; without the account itself the group is deleted."""
    if account.wxid in people:
        if by:
            sandbox.notice(account, group.wxid, f"你被{_name(account, by)}移出群聊")
        sandbox.remove(account, group.wxid)
        return
    group.members = [member for member in group.members if member.wxid not in people]
    sandbox.tell(account, ContactChanged(group.wxid))
    names = _names(account, people)
    sandbox.notice(account, group.wxid, f"{_name(account, by)}将{names}移出了群聊" if by else f"{names}退出了群聊")


def rename(sandbox: Sandbox, account: ServerAccount, group: ServerGroup, name: str, by: str) -> None:
    """Rename a group."""
    sandbox.change(account, group.wxid, name, None)
    sandbox.notice(account, group.wxid, f"{_name(account, by)}修改群名为“{name}”")


def befriend(sandbox: Sandbox, account: ServerAccount, person: Person) -> None:
    """Make a person a friend."""
    person.kind, person.contact_flag = Relation.FRIEND, 3
    sandbox.tell(account, ContactChanged(person.wxid))
    sandbox.notice(account, person.wxid, f"你已添加了{person.name}，现在可以开始聊天了。")


def accept(sandbox: Sandbox, account: ServerAccount, stranger: Stranger) -> None:
    """Accept a friend request; the person's UserName changes (5.16)."""
    del account.strangers[stranger.ticket]
    befriend(sandbox, account, meet(account, stranger.name, stranger.wxid))


def _name(account: ServerAccount, wxid: str) -> str:
    return "你" if wxid == account.wxid else f'"{account.name_of(wxid)}"'


def _names(account: ServerAccount, people: Sequence[str]) -> str:
    return f'"{"、".join(account.name_of(wxid) for wxid in people)}"'
