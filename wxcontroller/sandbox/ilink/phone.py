"""Actions of the person whose WeChat a bot belongs to: scan, confirm, write."""

import copy
import secrets
from urllib.parse import urlsplit

from wxcontroller.core.jsontypes import JsonObject, items, obj, text
from wxcontroller.sandbox.hosts import ILINK_CDN_HOST, ILINK_HOSTS
from wxcontroller.sandbox.ilink.codes import HostChange, ILinkCode
from wxcontroller.sandbox.ilink.items import ItemMedia, media_item, text_item
from wxcontroller.sandbox.media.storedcontent import ContentItem
from wxcontroller.sandbox.sandbox import Sandbox
from wxcontroller.sandbox.world.ilinkbots import (
    BOT_CONTACT,
    KEPT_MESSAGES,
    Bot,
    SessionState,
    User,
    Window,
    opaque,
)
from wxcontroller.sandbox.world.logins import LoginStage, WrongState
from wxcontroller.sandbox.world.phone import ServerAccount


def scan(
    sandbox: Sandbox,
    code: ILinkCode,
    account: ServerAccount,
    *,
    verify: bool = False,
    redirect: HostChange = HostChange.NONE,
    redirect_host: str = "",
) -> None:
    """Scan a code. ``verify`` shows digits that the client must send; ``redirect`` sends it to another host.

    Raises WrongState when the code is not waiting.
    """
    sandbox.logins.scan(code, account.uin)
    code.redirect, code.redirect_host = redirect, redirect_host
    if verify:
        code.ask_digits()
    sandbox.touch()


def confirm(
    sandbox: Sandbox,
    code: ILinkCode,
    account: ServerAccount | None = None,
    *,
    base_url: str | None = None,
    same_bot: bool = False,
) -> Bot:
    """Confirm a code, after a scan by ``account`` if it is unscanned; return the bot that this binds.

    ``base_url`` is the ``baseurl`` of the response: by default the host that issued the code, empty for none.
    ``same_bot`` keeps the bot's id, though not its token. Raises WrongState.
    """
    if account is not None and code.state is LoginStage.WAITING:
        scan(sandbox, code, account)
    if code.digits:
        raise WrongState(f"login {code.uuid} waits for the digits on the phone: the client must send them first")
    sandbox.logins.confirm(code)
    user = sandbox.ilink.users[code.uin or 0]
    now, old = sandbox.clock.now(), user.bot
    if old is not None and old.token in code.tokens and old.state_at(now) is SessionState.ALIVE:
        code.bot, code.bound = old, True
    else:
        code.bot = bind(sandbox, user, same_bot)
        code.bot.origin = code.origin
        code.credentials = {
            "bot_token": code.bot.token,
            "ilink_bot_id": code.bot.bot_id,
            "ilink_user_id": user.user_id,
            "baseurl": code.origin if base_url is None else base_url,
        }
    sandbox.touch()
    return code.bot


def bind(sandbox: Sandbox, user: User, same_bot: bool = False) -> Bot:
    """Give a user a new bot. The older one is ended after a while (issue 69)."""
    now, old = sandbox.clock.now(), user.bot
    bot_id = old.bot_id if same_bot and old is not None else f"{secrets.token_hex(6)}@im.bot"
    bot = Bot(user.uin, bot_id, secrets.token_urlsafe(48), now)
    if old is not None and old.state_at(now) is not SessionState.DEAD:
        old.dies = now + sandbox.options.takeover
        old.bell.ring()
    user.bot = sandbox.ilink.bots[bot.token] = bot
    return bot


def write(
    sandbox: Sandbox,
    account: ServerAccount,
    bot: Bot,
    item: JsonObject,
    shown: str,
    content: ContentItem | None = None,
    changes: JsonObject | None = None,
) -> JsonObject:
    """Let an account's phone write to a bot; return the message that the bot gets.

    ``shown`` and ``content`` are for the phone page. ``changes`` replace fields of the message, and remove those that
    they set to null.
    """
    ilink, now = sandbox.ilink, sandbox.clock.now()
    user = ilink.users[account.uin]
    identifier, token, milliseconds = sandbox.next_msg_id(), opaque(102), int(now * 1000)
    times: JsonObject = {"create_time_ms": milliseconds, "update_time_ms": milliseconds}
    message: JsonObject = {
        "seq": identifier % 10**6,
        "message_id": identifier,
        "from_user_id": user.user_id,
        "to_user_id": bot.bot_id,
        "client_id": secrets.token_hex(16),
        **times,
        "delete_time_ms": 0,
        "session_id": "",
        "group_id": "",
        "message_type": 1,
        "message_state": 2,
        "item_list": [{**item, **times, "is_completed": True, "msg_id": str(identifier)}],
        "context_token": token,
        **(changes or {}),
    }
    message = {key: value for key, value in message.items() if value is not None}
    bot.windows.setdefault(user.user_id, Window()).open(now, token)
    bot.end_throttle()
    bot.pending.append(message)
    bot.bell.ring()
    remember(user, str(identifier), message)
    account.record(contact(account, bot), "phone", account.nickname, shown, now, content)
    sandbox.touch()
    return message


def write_text(sandbox: Sandbox, account: ServerAccount, content: str, bot: Bot | None = None) -> JsonObject:
    """Let an account's phone write a text to a bot, its own by default; return the message that the bot gets."""
    return write(sandbox, account, bot or own_bot(sandbox, account), text_item(content), content)


def write_media(
    sandbox: Sandbox,
    account: ServerAccount,
    media: ItemMedia,
    bot: Bot | None = None,
    *,
    extra: JsonObject | None = None,
    changes: JsonObject | None = None,
) -> JsonObject:
    """Let an account's phone send content to a bot; ``extra`` goes into the item, ``changes`` into the message."""
    bot = bot or own_bot(sandbox, account)
    item = media_item(sandbox.ilink, sandbox.contents, account.uin, cdn_base(bot.origin), media) | (extra or {})
    content = media.content
    shown = f"[{content.name}]" if content.kind == "file" else f"[{content.kind}]"
    return write(sandbox, account, bot, item, shown, content, changes)


def repeat(sandbox: Sandbox, bot: Bot, message: JsonObject, fresh: bool) -> JsonObject:
    """Deliver a message again, as the service sometimes does; ``fresh`` under another id and context token. A repeat
    does not renew the window.
    """
    again = copy.deepcopy(message)
    if fresh:
        again["message_id"], again["context_token"] = sandbox.next_msg_id(), opaque(102)
        for item in items(again.get("item_list")):
            obj(item)["msg_id"] = text(again["message_id"])
        window = bot.windows.get(text(message.get("from_user_id")))
        if window is not None:
            window.tokens.append(text(again["context_token"]))
    bot.pending.append(again)
    bot.bell.ring()
    return again


def own_bot(sandbox: Sandbox, account: ServerAccount) -> Bot:
    """Return the bot of an account. Raises WrongState when it has none."""
    bot = sandbox.ilink.users[account.uin].bot
    if bot is None:
        raise WrongState(f"account {account.uin} has no bot: let a client log in by iLink first")
    return bot


def remember(user: User, identifier: str, message: JsonObject) -> None:
    """Store a message for quotes and repeats."""
    user.messages[identifier] = message
    while len(user.messages) > KEPT_MESSAGES:
        del user.messages[next(iter(user.messages))]


def show(sandbox: Sandbox, bot: Bot, peer: User, content: str, item: ContentItem | None) -> None:
    """Show on the phone of ``peer`` what a bot sent."""
    account = sandbox.accounts[peer.uin]
    account.record(contact(account, bot), "bot", "", content, sandbox.clock.now(), item)


def cdn_base(origin: str) -> str:
    """Return the base address of the CDN for a client that calls at ``origin``: the real name for a real name."""
    parts = urlsplit(origin)
    is_wechat = parts.hostname in ILINK_HOSTS
    place = parts.netloc.lower().replace(parts.hostname or "", ILINK_CDN_HOST) if is_wechat else parts.netloc
    return f"{parts.scheme}://{place}/c2c"


def contact(account: ServerAccount, bot: Bot) -> str:
    return BOT_CONTACT if bot.uin == account.uin else bot.bot_id
