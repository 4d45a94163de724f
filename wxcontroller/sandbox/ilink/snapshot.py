"""Saving the iLink route's state for a restart of the sandbox. Clients need no new scan, and windows, budgets and
penalties continue, as when a client restarts. Delivered messages are not saved, so they cannot be quoted or repeated
afterwards.
"""

from collections import deque

from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, items, obj, text
from wxcontroller.sandbox.attributes import kept, number, restore
from wxcontroller.sandbox.ilink.model import Bot, CdnFile, ILink, ILinkBehavior, SessionState, User, Window

_BOT = ("bot_id", "token", "created", "origin", "cursor", "throttled_until", "attempts", "started")
_WINDOW = ("sent", "closed", "ticket")


def user_out(user: User) -> JsonObject:
    """Return a user's state to store."""
    bot = None if user.bot is None else bot_out(user.bot)
    return {"settings": user.settings.as_json(), "sent_count": user.sent_count, "bot": bot}


def user_in(ilink: ILink, user: User, stored: JsonObject) -> None:
    """Restore a user's state. Raises ValueError, KeyError and TypeError."""
    user.settings = ILinkBehavior.from_json(obj(stored.get("settings")))
    user.sent_count = integer(stored.get("sent_count"))
    if stored.get("bot") is not None:
        user.bot = bot_in(user.uin, obj(stored["bot"]))
        ilink.bots[user.bot.token] = user.bot


def files_out(ilink: ILink) -> JsonValue:
    """Return the CDN's state to store; the content itself is on disk."""
    return [[parameter, file.uin, file.md5, file.size] for parameter, file in ilink.files.items()]


def files_in(ilink: ILink, stored: JsonValue) -> None:
    """Restore the CDN's state. Raises ValueError."""
    for entry in items(stored):
        parameter, uin, md5, size = items(entry)
        ilink.files[text(parameter)] = CdnFile(integer(uin), text(md5), integer(size))


def bot_out(bot: Bot) -> JsonObject:
    return {
        **kept(bot, _BOT),
        "state": bot.state.value,
        "pending": [*bot.pending],
        "sends": [*bot.sends],
        "answers": dict(bot.answers),
        "windows": {
            peer: {**kept(window, ("opened", *_WINDOW)), "tokens": [*window.tokens]}
            for peer, window in bot.windows.items()
        },
    }


def bot_in(uin: int, stored: JsonObject) -> Bot:
    bot = Bot(uin, "", "", 0.0, state=SessionState(stored["state"]))
    restore(bot, stored, _BOT)
    bot.pending = deque(obj(message) for message in items(stored["pending"]))
    bot.windows = {peer: window_in(obj(window)) for peer, window in obj(stored["windows"]).items()}
    bot.sends = deque(number(moment) for moment in items(stored["sends"]))
    bot.answers = {client_id: obj(answer) for client_id, answer in obj(stored["answers"]).items()}
    return bot


def window_in(stored: JsonObject) -> Window:
    window = Window(None if stored["opened"] is None else number(stored["opened"]))
    restore(window, stored, _WINDOW)
    window.tokens.extend(text(token) for token in items(stored["tokens"]))
    return window
