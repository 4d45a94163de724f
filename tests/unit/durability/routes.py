"""Actions of people on each route, and what WeChat has received there: the differences between routes for tests."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from tests.unit.drivers.ilink_kit import waiting_code
from tests.unit.drivers.kit import Wechat, friend, script
from wxcontroller.core.jsontypes import JsonObject, text
from wxcontroller.core.process.faultpoints import Point
from wxcontroller.drivers.base import Capabilities
from wxcontroller.drivers.filehelper.driver import FileHelperDriver
from wxcontroller.drivers.ilink.driver import ILinkDriver
from wxcontroller.drivers.web.driver import WebDriver
from wxcontroller.sandbox.ilink import phone
from wxcontroller.sandbox.ilink.codes import ILinkCode
from wxcontroller.sandbox.ilink.items import ItemMedia
from wxcontroller.sandbox.media.storedcontent import ContentItem
from wxcontroller.sandbox.world.ilinkbots import User
from wxcontroller.sandbox.world.phone import ServerAccount

KEY = bytes(range(16))
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8


class Staged(Protocol):
    """An account on the sandbox, in a process of its own or in this one."""

    @property
    def wechat(self) -> Wechat: ...
    @property
    def account(self) -> ServerAccount: ...


# What a route without groups and contacts does not have.
ONE_TO_ONE = frozenset(
    {
        *("create_group", "send_group_message", "invite_friend", "kick_group_member", "set_group_displayname"),
        *("make_friend", "accept_friend_request", "stick", "revoke_message"),
    }
)


class Route:
    """The web route; another one differs in what it overrides.

    ``latest`` are the points at which accounts are killed, with the latest visits. ``unsupported`` are the calls that
    are answered with the route's name and code -10. ``sent_call`` is the sandbox's call, below an account, that tells
    what the account has sent.
    """

    name = "web"
    capabilities: ClassVar[Capabilities] = WebDriver.capabilities
    unsupported: ClassVar[frozenset[str]] = frozenset()
    sent_call = "sent"
    latest: ClassVar[Mapping[Point, int]] = {
        Point.EVENT_STORED: 20,
        Point.POSITION_STORED: 6,
        Point.ACKNOWLEDGED: 8,
        Point.SENT: 10,
        Point.RESULT_STORED: 10,
    }

    async def scan(self, one: Staged) -> None:
        """Scan the code that is shown, and confirm."""
        await one.wechat.scan(one.account)

    def write(self, one: Staged, words: str) -> str:
        """Be a person who writes a text; return its id."""
        return str(one.wechat.hear(one.account, words).msg_id)

    def write_call(self, friend: str, words: str) -> tuple[str, JsonObject]:
        """Return the sandbox's call, below an account, by which a person writes to it: a friend, where it has any."""
        return "receive", {"from": friend, "text": words}

    async def show(self, one: Staged, kind: str = "image", content: bytes = PICTURE, name: str = "") -> str:
        """Send content as a person; return the id of the message."""
        call, by = self.write_call(friend(one.account), "")
        body: JsonObject = {**by, "kind": kind, "content": base64.b64encode(content).decode(), "name": name}
        del body["text"]
        return str((await script(one.wechat.url, one.account, "POST", call, body))["msg_id"])

    def recipient(self, one: Staged) -> str:
        """Return whom the account can write to."""
        return "filehelper"

    def accepted(self, one: Staged) -> Sequence[Any]:
        """Return the sends that WeChat has accepted, in order."""
        return one.account.sent

    def arrived(self, one: Staged) -> list[str]:
        """Return the texts (names, for media) that WeChat has accepted, in order; repeated client ids once."""
        return [sent.name or sent.text for sent in self.accepted(one)]


class FileHelper(Route):
    """The person who writes is the account's owner, on the phone."""

    name = "filehelper"
    capabilities = FileHelperDriver.capabilities
    unsupported = ONE_TO_ONE

    def write(self, one: Staged, words: str) -> str:
        return str(one.wechat.sandbox.deliver(one.account, "filehelper", one.account.wxid, words, "phone").msg_id)

    def write_call(self, friend: str, words: str) -> tuple[str, JsonObject]:
        return "phone-send", {"to": "filehelper", "text": words}


class ILink(Route):
    name = "ilink"
    sent_call = "ilink/sent"
    capabilities = ILinkDriver.capabilities
    unsupported = ONE_TO_ONE
    # At most one send a second goes out. Logins are here: ids and queued sends outlast them.
    latest: ClassVar[Mapping[Point, int]] = {
        Point.LOGIN_CONFIRMED: 1,
        Point.LOGIN_STORED: 1,
        Point.POLLED: 8,
        Point.EVENT_STORED: 20,
        Point.POSITION_STORED: 12,
        Point.ACKNOWLEDGED: 8,
        Point.SENT: 3,
        Point.RESULT_STORED: 3,
    }

    async def scan(self, one: Staged) -> None:
        self.confirm(one, await waiting_code(one.wechat.sandbox, 20))

    def confirm(self, one: Staged, code: ILinkCode) -> None:
        """Confirm a login. WeChat hands messages that its predecessor has not polled to the new one."""
        old = self._user(one).bot
        bot = phone.confirm(one.wechat.sandbox, code, one.account)
        if old is not None:
            bot.pending.extend(old.pending)
            old.pending.clear()

    def write(self, one: Staged, words: str) -> str:
        return text(phone.write_text(one.wechat.sandbox, one.account, words)["message_id"])

    def write_call(self, friend: str, words: str) -> tuple[str, JsonObject]:
        return "phone-send", {"to": "clawbot", "text": words}

    async def show(self, one: Staged, kind: str = "image", content: bytes = PICTURE, name: str = "") -> str:
        item = ItemMedia(ContentItem(kind, one.wechat.sandbox.contents.add(content), len(content), name), KEY)
        return text(phone.write_media(one.wechat.sandbox, one.account, item)["message_id"])

    def recipient(self, one: Staged) -> str:
        return self._user(one).user_id

    def accepted(self, one: Staged) -> Sequence[Any]:
        return self._user(one).sent

    def arrived(self, one: Staged) -> list[str]:
        # Whether WeChat drops a repeated client id is unknown; the sandbox does not.
        return list({sent.client_id: sent.name or sent.text for sent in self.accepted(one)}.values())

    def _user(self, one: Staged) -> User:
        return one.wechat.sandbox.ilink.users[one.account.uin]


WEB, ILINK, FILEHELPER = Route(), ILink(), FileHelper()
ROUTES: tuple[Route, ...] = (WEB, ILINK, FILEHELPER)
