"""Operations on messages, people and groups (weixin-web-protocol 5.12, 5.14 to 5.16).

WeChat has removed much of this from the web: it refuses, even with the codes of an ended session. These refusals do
not affect the session.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from wxcontroller.core.errors import WeChatError
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.text.templates import N_
from wxcontroller.drivers.web.decode import answers
from wxcontroller.drivers.web.decode.failures import TOO_FREQUENT
from wxcontroller.drivers.web.session.roster import WebRoster
from wxcontroller.drivers.web.wire.calls import WebCalls, WebSession, now_ms, query_of, sendable

_REMARK, _PIN = 2, 3  # commands of webwxoplog
_ASK, _ACCEPT = 2, 3  # of webwxverifyuser
_SCENE = 33  # 5.16
_REFUSED = N_("web clients cannot do this with this account; use the phone")
_TOO_LATE = N_("a message can be recalled within two minutes, only by its sender")


class Commands:
    """Commands of one session. All raise WeChatError when WeChat refuses."""

    def __init__(self, calls: WebCalls, session: WebSession, roster: WebRoster) -> None:
        self._calls = calls
        self._session = session
        self._roster = roster

    async def revoke(self, message_id: str, to: str, client_id: str) -> None:
        """Recall an own message. ``client_id`` is any new id."""
        body: JsonObject = {"SvrMsgId": message_id, "ToUserName": to, "ClientMsgId": client_id}
        await self._accepted("webwxrevokemsg", "", body, _TOO_LATE)

    # -- groups

    async def create_group(self, people: Sequence[str], name: str) -> str:
        """Create a group and return its id."""
        members: list[JsonValue] = [{"UserName": person} for person in people]
        body: JsonObject = {"MemberCount": len(members), "MemberList": members, "Topic": line(name)}
        answer = await self._calls.post("webwxcreatechatroom", self._session, query_of(r=now_ms()), body)
        with explained(_REFUSED):
            group = answers.group_made_of(answer)
        self._roster.want((group,))
        return group

    async def invite(self, group: str, people: Sequence[str]) -> None:
        """Add people to a group; those of a large one get an invitation."""
        many = self._roster.group_size(group) + len(people) >= self._session.invite_from
        function, key = ("invitemember", "InviteMemberList") if many else ("addmember", "AddMemberList")
        await self._update(group, function, {key: ",".join(people)})

    async def kick(self, group: str, people: Sequence[str]) -> None:
        """Remove people from an own group."""
        await self._update(group, "delmember", {"DelMemberList": ",".join(people)})

    async def rename_group(self, group: str, name: str) -> None:
        await self._update(group, "modtopic", {"NewTopic": line(name)})

    async def _update(self, group: str, function: str, body: JsonObject) -> None:
        await self._accepted("webwxupdatechatroom", query_of(fun=function), {"ChatRoomName": group, **body})
        self._roster.want((group,), again=True)  # it may have been accepted without effect (5.15)

    # -- people

    async def set_remark(self, person: str, remark: str) -> None:
        """Set a person's remark, "" for none."""
        body: JsonObject = {"CmdId": _REMARK, "RemarkName": line(remark), "UserName": person}
        await self._accepted("webwxoplog", "", body)
        self._roster.want((person,), again=True)

    async def pin(self, chat: str, on: bool) -> None:
        """Pin or unpin a chat."""
        remark = self._roster.remark(chat)
        if remark is None:  # without it, the request would erase it (5.14)
            raise WeChatError(
                N_("webwxoplog: no known person has this id"),
                N_("ask for the contacts again: ids change"),
                unsure=False,
            )
        body: JsonObject = {"CmdId": _PIN, "OP": int(on), "UserName": chat, "RemarkName": sendable(remark)}
        await self._accepted("webwxoplog", "", body)

    async def ask_friend(self, person: str, greeting: str) -> None:
        """Send a friend request."""
        await self._verify(_ASK, person, "", greeting)

    async def accept_friend(self, person: str, ticket: str) -> None:
        """Accept a request. The new friend arrives with the next sync, often with another id (5.16)."""
        await self._verify(_ACCEPT, person, ticket, "")

    async def _verify(self, code: int, person: str, ticket: str, greeting: str) -> None:
        body: JsonObject = {
            "Opcode": code,
            "VerifyUserListSize": 1,
            "VerifyUserList": [{"Value": person, "VerifyUserTicket": ticket}],
            "VerifyContent": sendable(greeting),
            "SceneListCount": 1,
            "SceneList": [_SCENE],
            "skey": self._session.skey,
        }
        await self._accepted("webwxverifyuser", query_of(r=now_ms()), body)

    async def _accepted(self, call: str, query: str, body: JsonObject, remedy: str = _REFUSED) -> None:
        answer = await self._calls.post(call, self._session, query, body)
        with explained(remedy):
            answers.accepted(answer)


@contextmanager
def explained(remedy: str) -> Iterator[None]:
    """Give refusals the remedy for this call: their codes have other meanings elsewhere."""
    try:
        yield
    except WeChatError as problem:
        if problem.ret == TOO_FREQUENT:
            raise
        raise WeChatError(problem.text, remedy, ret=problem.ret, unsure=problem.unsure) from None


def line(content: str) -> str:
    return " ".join(sendable(content).split())
