"""The people of a message, as far as the roster knows them."""

from wxcontroller.client.incoming.roster import Roster
from wxcontroller.core.model import Contact, Direction, Message
from wxcontroller.openwx.contract import reports


def chat_of(roster: Roster, message: Message) -> reports.Chat:
    """Return who a message that arrived is between."""
    me = me_of(roster)
    if message.is_group:
        group = roster.groups.get(message.chat)
        return reports.Chat(me, group=group, member=roster.member(message.chat, message.sender))
    own = message.direction is Direction.SENT_ELSEWHERE or (bool(me.id) and message.sender == me.id)
    return reports.Chat(me, friend=roster.contacts.get(message.chat if own else message.sender))


def send_chat(roster: Roster, is_group: bool, target: str) -> reports.Chat:
    """Return who a sent message is between."""
    if is_group:
        return reports.Chat(me_of(roster), group=roster.groups.get(target))
    return reports.Chat(me_of(roster), friend=roster.contacts.get(target))


def me_of(roster: Roster) -> Contact:
    """Return the account itself, without a name until its profile is known."""
    return roster.me or Contact(id="", name="")
