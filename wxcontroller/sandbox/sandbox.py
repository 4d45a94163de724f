"""The sandbox's state: all accounts, logins and sessions, and the events among them."""

import time
from dataclasses import dataclass

from wxcontroller.sandbox.clock import ServerClock
from wxcontroller.sandbox.faults.faults import Faults
from wxcontroller.sandbox.hosts import DOMAINS
from wxcontroller.sandbox.media.storedcontent import ContentItem, ServerContents
from wxcontroller.sandbox.media.webmarkup import encode
from wxcontroller.sandbox.requestlog import CallLedger
from wxcontroller.sandbox.wakeups import Bell
from wxcontroller.sandbox.world import world as worlds
from wxcontroller.sandbox.world.ilinkbots import ILink
from wxcontroller.sandbox.world.logins import LoginStage, WebLoginCode, WebLoginCodes
from wxcontroller.sandbox.world.phone import KEPT_DEAD, Heard, ServerAccount, WebLogin, WebSend
from wxcontroller.sandbox.world.websession import ContactChanged, ContactGone, Event, ServerMessage, ServerSession
from wxcontroller.sandbox.world.world import Relation

_TYPES = {"text": 1, "location": 1, "image": 3, "video": 43, "emoticon": 47}  # MsgType of what the client sends
KICKED = 1101  # the code that ends the older session when the account logs in again (9.3)


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of the servers. Times are in seconds."""

    poll_hold: float = 25.0
    sync_hold: float = 25.0
    uuid_life: float = 300.0
    contact_page: int = 500
    sync_page: int = 50
    batch_rate: float = 1.0  # webwxbatchgetcontact calls a second that are allowed permanently; 0 = any number
    batch_burst: int = 30
    revoke_window: float = 120.0
    resend: bool = True  # False: acknowledged events are never delivered again
    strict: bool = (
        False  # refuse every violation of the documented protocol, not only those that the service is known to refuse
    )
    code_life: float = 120.0  # of an iLink login code
    updates_hold: float = 35.0  # of iLink's getupdates
    takeover: float = 30.0  # until a bot learns that its user has confirmed another login


class Sandbox:
    """All state. Used in one event loop; nothing here blocks or waits."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        self.accounts: dict[int, ServerAccount] = {}
        self.sessions: dict[str, ServerSession] = {}
        self.clock = ServerClock()
        self.logins = WebLoginCodes(self.options.uuid_life, self.clock)
        self.ilink = ILink()
        self.faults = Faults()
        self.ledger = CallLedger()
        self.contents = ServerContents()
        self.confirmed_polls = 0
        self.changes = 0  # counts what the phone page shows
        self.changed = Bell()
        self._last_msg_id = 4 * 10**18 + int(time.time() * 1000) * 10**6

    # -- accounts

    def add_account(
        self,
        nickname: str = "",
        domain: str = DOMAINS[0],
        plan: worlds.Plan | None = None,
        web_login: WebLogin = WebLogin.BOTH,
        push_login: bool = True,
        avatar: bool = True,
    ) -> ServerAccount:
        """Add an account. Without a ``plan`` it gets its own world of the usual size."""
        number = len(self.accounts) + 1
        plan = plan or worlds.Plan(seed=number)
        uin = 1_234_567_000 + number
        account = ServerAccount(
            uin=uin,
            nickname=nickname or worlds.nickname(plan.seed),
            wxid=f"wxid_sandbox{number:06d}",
            domain=domain,
            plan=plan,
            web_login=web_login,
            push_login=push_login,
            avatar=avatar,
            resend=self.options.resend,
        )
        self.accounts[account.uin] = account
        self.ilink.add_user(account.uin, account.wxid)
        self.touch()
        return account

    def forward(self, seconds: float) -> None:
        """Move the clock, and wake all waiters that depend on it."""
        self.clock.offset += seconds
        for login in self.logins.all.values():
            login.bell.ring()
        for bot in self.ilink.bots.values():
            bot.bell.ring()
        self.logins.bell.ring()
        self.touch()

    def touch(self) -> None:
        """Notify the phone page of a change."""
        self.changes += 1
        self.changed.ring()

    # -- sessions

    def open_session(self, account: ServerAccount, desktop: bool, file_page: bool = False) -> ServerSession:
        """Open a web login; an older one of the account ends, also on the other page (WeChat's behavior is
        unknown)."""
        self.close_session(account, KICKED)
        session = ServerSession(account.uin, account.home(file_page), desktop)
        account.session = session
        self.sessions[session.sid] = session
        self.touch()
        return session

    def close_session(self, account: ServerAccount, retcode: int) -> bool:
        """End the account's web login with a code; False without a login."""
        session, account.session = account.session, None
        if session is None:
            return False
        session.end(retcode)
        for upload in account.uploads.values():
            upload.incoming.drop()
        account.uploads.clear()
        account.dead.append(session)
        while len(account.dead) > KEPT_DEAD:
            self.sessions.pop(account.dead.popleft().sid, None)
        self.touch()
        return True

    def take_ticket(self, login: WebLoginCode, account: ServerAccount, desktop: bool) -> ServerSession:
        """Turn a confirmed login into a session; a repeated request gets the same one (3.5)."""
        if login.session is None or login.session.dead:
            login.session = self.open_session(account, desktop, login.file_page)
            self.logins.move(login, LoginStage.DONE)
        return login.session

    # -- messages

    def next_msg_id(self) -> int:
        """Return a new MsgId: 19 digits, more than a double can hold, growing even over restarts."""
        self._last_msg_id += 1
        return self._last_msg_id

    def deliver(self, account: ServerAccount, peer: str, sender: str, text: str, origin: str) -> ServerMessage:
        """Deliver a text to one of the account's conversations."""
        message = ServerMessage(self.next_msg_id(), int(time.time()), peer, sender, encode(text))
        return self.bring(account, message, origin, text)

    def bring(
        self, account: ServerAccount, message: ServerMessage, origin: str, text: str, url: str = ""
    ) -> ServerMessage:
        """Deliver a message to one of the account's conversations; a web session gets it at its next sync. ``text``
        and ``url`` are for the phone page.
        """
        account.hear(message.msg_id, Heard(message.peer, message.sender, message.msg_type, message.item))
        sender = "" if origin == "notice" else account.name_of(message.sender)
        account.record(message.peer, origin, sender, text, time.time(), message.item, url)
        self.tell(account, message)
        return message

    def notice(self, account: ServerAccount, peer: str, text: str) -> ServerMessage:
        """Deliver a notice of WeChat itself to a conversation (7.7)."""
        message = ServerMessage(self.next_msg_id(), int(time.time()), peer, peer, encode(text), msg_type=10000)
        return self.bring(account, message, "notice", text)

    def change(self, account: ServerAccount, wxid: str, name: str | None, remark: str | None) -> None:
        """Rename a person or group, or change a person's remark; a web session is notified."""
        group = account.world.groups.get(wxid)
        if group is not None:
            group.name = group.name if name is None else name
        else:
            person = account.world.people[wxid]
            person.name = person.name if name is None else name
            person.remark = person.remark if remark is None else remark
        self.tell(account, ContactChanged(wxid))

    def remove(self, account: ServerAccount, wxid: str) -> None:
        """Remove a friend, or leave a group; a web session is notified."""
        world = account.world
        world.recent = [other for other in world.recent if other != wxid]
        if world.groups.pop(wxid, None) is None:
            person = world.people[wxid]
            person.kind, person.contact_flag, person.remark = Relation.STRANGER, 0, ""
        self.tell(account, ContactGone(wxid))

    def tell(self, account: ServerAccount, event: Event) -> None:
        """Notify the account's web session, if any."""
        if account.session is not None:
            account.session.push(event)
        self.touch()

    def sent_by_web(
        self,
        account: ServerAccount,
        session: ServerSession,
        peer: str,
        text: str,
        client_msg_id: str,
        kind: str = "text",
        item: ContentItem | None = None,
        name: str = "",
    ) -> WebSend:
        """Accept a message from the web client. It is echoed to the session only if the account is set to (7.2)."""
        now = time.time()
        account.sent_count += 1
        sent = WebSend(
            seq=account.sent_count,
            to=account.name_of(peer),
            to_username=session.username(peer),
            wxid=peer,
            text=text,
            client_msg_id=client_msg_id,
            msg_id=str(self.next_msg_id()),
            time=now,
            kind=kind,
            name=name,
            item=item,
        )
        account.sent.append(sent)
        account.hear(int(sent.msg_id), Heard(peer, account.wxid, _TYPES.get(kind, 49), item))
        account.record(peer, "web", account.nickname, text if kind == "text" else f"[{name or kind}]", now, item)
        session.remember_send(client_msg_id, sent.msg_id)
        if account.echo:
            session.push(ServerMessage(int(sent.msg_id), int(now), peer, account.wxid, text))
        self.touch()
        return sent
