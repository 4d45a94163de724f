"""What people do on each route and what WeChat has got there: all that differs between routes for these tests."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from tests.unit.drivers.kit import friend, script
from tests.unit.sandbox.agent import waiting_code
from wxcontroller.core.faultpoints import Point
from wxcontroller.core.jsontypes import JsonObject, text
from wxcontroller.drivers.base import Capabilities
from wxcontroller.drivers.filehelper.driver import FileHelperDriver
from wxcontroller.drivers.ilink.driver import ILinkDriver
from wxcontroller.drivers.web.driver import WebDriver
from wxcontroller.sandbox.contents import ContentItem
from wxcontroller.sandbox.ilink import phone
from wxcontroller.sandbox.ilink.items import ItemMedia
from wxcontroller.sandbox.ilink.model import User

if TYPE_CHECKING:
    from tests.unit.durability.process import Process

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8

# What a route without groups and contacts does not have.
ONE_TO_ONE = frozenset(
    {
        *("create_group", "send_group_message", "invite_friend", "kick_group_member", "set_group_displayname"),
        *("make_friend", "accept_friend_request", "stick", "revoke_message"),
    }
)


class Route:
    """The web route; another one differs in what it overrides.

    ``latest`` are the latest visits at which an account is killed at a point. ``unsupported`` are the calls that are
    answered with the route's name and code -10. ``sent_call`` is the sandbox's call, below an account, that tells
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

    async def scan(self, one: "Process") -> None:
        """Scan the code that is shown, and confirm."""
        await one.wechat.scan(one.account)

    def write(self, one: "Process", words: str) -> str:
        """Be a person who writes a text; return its id."""
        return str(one.wechat.hear(one.account, words).msg_id)

    def write_call(self, friend: str, words: str) -> tuple[str, JsonObject]:
        """Return the sandbox's call, below an account, by which a person writes to it: a friend, where it has any."""
        return "receive", {"from": friend, "text": words}

    async def show(self, one: "Process") -> str:
        """Be a person who sends a picture; return its id."""
        picture: JsonObject = {"kind": "image", "from": friend(one.account)}
        return str((await script(one.wechat.url, one.account, "POST", "receive", picture))["msg_id"])

    def recipient(self, one: "Process") -> str:
        """Return whom the account can write to."""
        return "filehelper"

    def arrived(self, one: "Process") -> list[str]:
        """Return the texts (names, for media) that WeChat has taken, in order; repeated client ids once."""
        return [sent.name or sent.text for sent in one.account.sent]


class FileHelper(Route):
    """The person who writes is the account's owner, on the phone."""

    name = "filehelper"
    capabilities = FileHelperDriver.capabilities
    unsupported = ONE_TO_ONE

    def write(self, one: "Process", words: str) -> str:
        return str(one.wechat.sandbox.deliver(one.account, "filehelper", one.account.wxid, words, "phone").msg_id)

    def write_call(self, friend: str, words: str) -> tuple[str, JsonObject]:
        return "phone-send", {"to": "filehelper", "text": words}

    async def show(self, one: "Process") -> str:
        picture: JsonObject = {"kind": "image", "to": "filehelper"}
        return str((await script(one.wechat.url, one.account, "POST", "phone-send", picture))["msg_id"])


class ILink(Route):
    name = "ilink"
    sent_call = "ilink/sent"
    capabilities = ILinkDriver.capabilities
    unsupported = ONE_TO_ONE
    # At most one send a second goes out.
    latest: ClassVar[Mapping[Point, int]] = {
        Point.EVENT_STORED: 20,
        Point.POSITION_STORED: 12,
        Point.ACKNOWLEDGED: 8,
        Point.SENT: 3,
        Point.RESULT_STORED: 3,
    }

    async def scan(self, one: "Process") -> None:
        phone.confirm(one.wechat.sandbox, await waiting_code(one.wechat.sandbox, 20), one.account)

    def write(self, one: "Process", words: str) -> str:
        return text(phone.write_text(one.wechat.sandbox, one.account, words)["message_id"])

    def write_call(self, friend: str, words: str) -> tuple[str, JsonObject]:
        return "phone-send", {"to": "clawbot", "text": words}

    async def show(self, one: "Process") -> str:
        item = ContentItem("image", one.wechat.sandbox.contents.add(PICTURE), len(PICTURE), "a.png")
        return text(
            phone.write_media(one.wechat.sandbox, one.account, ItemMedia(item, bytes(range(16))))["message_id"]
        )

    def recipient(self, one: "Process") -> str:
        return self._user(one).user_id

    def arrived(self, one: "Process") -> list[str]:
        # Whether WeChat drops a repeated client id is unknown; the sandbox does not.
        taken = {sent.client_id: sent.name or sent.text for sent in self._user(one).sent}
        return list(taken.values())

    def _user(self, one: "Process") -> User:
        return one.wechat.sandbox.ilink.users[one.account.uin]


WEB, ILINK, FILEHELPER = Route(), ILink(), FileHelper()
ROUTES: tuple[Route, ...] = (WEB, ILINK, FILEHELPER)
