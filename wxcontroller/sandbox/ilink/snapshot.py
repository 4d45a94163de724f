"""Keeping the iLink route's state over a restart of the sandbox.

Clients need no new scan, and windows, budgets and penalties last, as they do when a client restarts. Messages that
were delivered are not kept, so that they can't be quoted or repeated afterwards.
"""

from collections import deque

from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, items, obj, text
from wxcontroller.sandbox.ilink.model import Bot, CdnFile, ILink, ILinkBehavior, SessionState, User, Window


def user_out(user: User) -> JsonObject:
    """Return a user's state to store."""
    bot = None if user.bot is None else bot_out(user.bot)
    return {"settings": user.settings.as_json(), "sent_count": user.sent_count, "bot": bot}


def user_in(ilink: ILink, user: User, kept: JsonObject) -> None:
    """Restore a user's state. Raises ValueError, KeyError and TypeError."""
    user.settings = ILinkBehavior.from_json(obj(kept.get("settings")))
    user.sent_count = integer(kept.get("sent_count"))
    if kept.get("bot") is not None:
        user.bot = bot_in(user.uin, obj(kept["bot"]))
        ilink.bots[user.bot.token] = user.bot


def files_out(ilink: ILink) -> JsonValue:
    """Return the CDN's state to store; the content itself is on disk."""
    return [[parameter, file.uin, file.md5, file.size] for parameter, file in ilink.files.items()]


def files_in(ilink: ILink, kept: JsonValue) -> None:
    """Restore the CDN's state. Raises ValueError."""
    for entry in items(kept):
        parameter, uin, md5, size = items(entry)
        ilink.files[text(parameter)] = CdnFile(integer(uin), text(md5), integer(size))


def bot_out(bot: Bot) -> JsonObject:
    return {
        "bot_id": bot.bot_id,
        "token": bot.token,
        "created": bot.created,
        "origin": bot.origin,
        "state": bot.state.value,
        "cursor": bot.cursor,
        "pending": [*bot.pending],
        "sends": [*bot.sends],
        "throttled_until": bot.throttled_until,
        "attempts": bot.attempts,
        "started": bot.started,
        "answers": dict(bot.answers),
        "windows": {
            peer: {
                "opened": window.opened,
                "sent": window.sent,
                "closed": window.closed,
                "tokens": [*window.tokens],
                "ticket": window.ticket,
            }
            for peer, window in bot.windows.items()
        },
    }


def bot_in(uin: int, kept: JsonObject) -> Bot:
    return Bot(
        uin=uin,
        bot_id=text(kept["bot_id"]),
        token=text(kept["token"]),
        created=number(kept["created"]),
        origin=text(kept["origin"]),
        state=SessionState(kept["state"]),
        cursor=text(kept["cursor"]),
        pending=deque(obj(message) for message in items(kept["pending"])),
        windows={peer: window_in(obj(window)) for peer, window in obj(kept["windows"]).items()},
        sends=deque(number(moment) for moment in items(kept["sends"])),
        throttled_until=number(kept["throttled_until"]),
        attempts=integer(kept["attempts"]),
        started=kept["started"] is True,
        answers={client_id: obj(answer) for client_id, answer in obj(kept["answers"]).items()},
    )


def window_in(kept: JsonObject) -> Window:
    window = Window(
        opened=None if kept["opened"] is None else number(kept["opened"]),
        sent=integer(kept["sent"]),
        closed=kept["closed"] is True,
        ticket=text(kept["ticket"]),
    )
    window.tokens.extend(text(token) for token in items(kept["tokens"]))
    return window


def number(value: JsonValue) -> float:
    if not isinstance(value, int | float):
        raise ValueError("a time is not a number")
    return float(value)
