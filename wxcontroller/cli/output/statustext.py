"""The status of a running account as text: its queue, deliveries, stored events and last activity."""

import math
import time
from collections.abc import Iterable, Iterator

from wxcontroller.cli.language import say
from wxcontroller.cli.output.terminal import ago
from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, obj, objects, one_line, text
from wxcontroller.core.states import UnitState
from wxcontroller.core.text.templates import N_, Text, text_in

_UP = frozenset(state.value for state in UnitState if state.has_process)


def lines(account: JsonObject) -> Iterator[tuple[str, str]]:
    """Yield title and words for an ACCOUNT of /v1/accounts/NAME. Yields nothing for a controller that lacks them."""
    if "client" not in account:
        return
    if account["client"] is None:
        if (reason := text_in(account, "client_reason")) and account.get("unit_state") in _UP:
            yield N_("queue"), say("not known: {reason}", reason=reason)
        return
    now = time.time()
    if queue := obj(account.get("queue")):
        yield N_("queue"), queue_words(queue, now)
    for window in objects(account.get("windows")):
        yield N_("window"), window_words(window, now)
    if (reports := obj(account.get("reports"))) and reports.get("to"):
        yield N_("undelivered"), reports_words(reports)
    if roster := obj(account.get("roster")):
        contacts, groups = integer(roster.get("contacts")), integer(roster.get("groups"))
        yield (
            N_("contacts"),
            enumerated(
                (
                    say("{count} contact", "{count} contacts", n=contacts, count=f"{contacts:,}"),
                    say("{count} group", "{count} groups", n=groups, count=f"{groups:,}"),
                )
            ),
        )
    if media := obj(account.get("media")):
        files, stored = integer(media.get("files")), size(integer(media.get("bytes")))
        yield (
            N_("media"),
            say(Text("{count} file, {size}", "{count} files, {size}", n=files, count=f"{files:,}", size=stored)),
        )
    yield N_("activity"), heard_words(account)


def window_words(window: JsonObject, now: float) -> str:
    """Return a person's reply window: ``o9c…@im.wechat: open, 7 of 10 left, closes in 5 h``."""
    words = [say(_WINDOWS.get(text(window.get("state")), Text(one_line(window.get("state")))))]
    limit, closes = integer(window.get("limit")), integer(window.get("closes"))
    if limit and text(window.get("state")) in ("open", "low"):
        words.append(say("{left} of {limit} left", left=integer(window.get("left")), limit=limit))
    if closes > now:
        words.append(say("closes in {pause}", pause=ago(int(2 * now) - closes)))
    if held := integer(window.get("held")):
        words.append(say("{n} message held", "{n} messages held", n=held))
    if window.get("restricted") is True:
        words.append(say("WeChat does not show the messages to this person"))
    return f"{one_line(window.get('peer'))}: {enumerated(words)}"


_WINDOWS = {
    "open": Text("open"),
    "low": Text("nearly used up"),
    "spent": Text("used up"),
    "closed": Text("closed"),
    "throttled": Text("throttled by WeChat"),
    "never": Text("the person has not written yet"),
}


def queue_words(queue: JsonObject, now: float) -> str:
    """Return the queue's size, the next send's time and the remaining limits: ``3 waiting, next in 2 s, …``."""
    waiting, daily = integer(queue.get("waiting")), integer(queue.get("daily_limit"))
    words = [
        say("{number} waiting", number=f"{waiting:,}")
        if waiting
        else say(Text("empty") if not integer(queue.get("in_flight")) else Text("none waiting"))
    ]
    if integer(queue.get("in_flight")):
        words.append(say("one on its way"))
    next_at = _number(queue.get("next_send_at"))
    if waiting and queue.get("held") is True:
        words.append(say("until it is logged in"))
    if waiting and next_at is not None:
        words.append(say("next in {pause}", pause=_seconds(next_at - now)) if next_at > now else say("next now"))
    if waiting > 1 and (oldest := integer(queue.get("oldest_since"))):
        words.append(say("oldest {age} old", age=ago(oldest)))
    today = _count(queue, "sent_today")
    words.append(
        say("{today} of {most} sent today", today=today, most=f"{daily:,}")
        if daily
        else say("{today} sent today", today=today)
    )
    if burst := integer(queue.get("burst_limit")):
        words.append(say("at most {most} a minute", most=f"{burst:,}"))
    interval, jitter = (_number(queue.get(key)) or 0.0 for key in ("interval", "jitter"))
    if interval or jitter:
        words.append(
            say("one every {least} s", least=f"{interval:g}")
            if not jitter
            else say("one every {least} to {most} s", least=f"{interval:g}", most=f"{interval + jitter:g}")
        )
    if error := text_in(queue, "last_error"):
        words.append(say("the last one failed: {error}", error=error))
    return enumerated(words)


def reports_words(reports: JsonObject) -> str:
    """Return how many reports wait for their receiver, since when, and why."""
    waiting = integer(reports.get("waiting"))
    parts = [say("none")]
    if waiting:
        parts = [say("{count} report", "{count} reports", n=waiting, count=f"{waiting:,}")]
    if waiting and (oldest := integer(reports.get("oldest_since"))):
        parts.append(say("oldest {age} old", age=ago(oldest)))
    words = enumerated(parts)
    if waiting and (why := text_in(reports, "last_error")):
        words += say(": ") + say(why)
    if dead := integer(reports.get("dead")):
        words += say("; ") + say(
            Text(
                "{count} dead letter (wxctl deliveries list)",
                "{count} dead letters (wxctl deliveries list)",
                n=dead,
                count=f"{dead:,}",
            )
        )
    lost, damaged_at = integer(reports.get("dropped")), integer(reports.get("damaged_at"))
    damaged = damaged_at >= integer(reports.get("dropped_at")) > 0
    if damaged and not lost:
        words += say("; ") + say("some may be lost, because the event log was damaged")
    if lost:
        words += say("; ")
        if damaged:
            words += say("at most {number} lost, because the event log was damaged", number=f"{lost:,}")
        else:
            words += say("{number} lost, because too many were waiting", number=f"{lost:,}")
    return words


def heard_words(account: JsonObject) -> str:
    """Return the times of WeChat's last answer and of the last messages."""
    message = obj(account.get("last_message_time"))
    found = []
    for words, moment in (
        (N_("WeChat answered {age} ago"), account.get("last_sync_time")),
        (N_("a message {age} ago"), message.get("received")),
        (N_("sent one {age} ago"), message.get("sent")),
    ):
        if seconds := integer(moment):
            found.append(say(words, age=ago(seconds)))
    return enumerated(found or [say("nothing yet")])


def enumerated(words: Iterable[str]) -> str:
    """Return several words of the reader's language after each other."""
    return say(", ").join(words)


def size(count: int) -> str:
    """Return a number of bytes for people: ``812 B``, ``3.4 MB``."""
    if count < 1000:
        return f"{count} B"
    power = min(4, (len(str(count)) - 1) // 3)
    return f"{count / 1000**power:.1f} {' kMGT'[power]}B"


def _seconds(pause: float) -> str:
    if pause < 1:
        return say("less than a second")
    if pause < 120:
        return say("{number} s", number=math.ceil(pause))
    return say("{number} min", number=f"{pause / 60:.0f}")


def _count(container: JsonObject, key: str) -> str:
    return f"{integer(container.get(key)):,}"


def _number(value: JsonValue) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
