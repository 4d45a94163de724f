"""What a running account says of itself, in words: its queue, its reports, what it keeps and what it heard."""

import math
import time
from collections.abc import Iterable, Iterator

from wxcontroller.cli.language import say
from wxcontroller.cli.terminal import ago
from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, integer, obj, one_line
from wxcontroller.core.messages import N_, Text


def lines(account: JsonObject) -> Iterator[tuple[str, str]]:
    """Yield title and words for an ACCOUNT of /v1/accounts/NAME. A controller without these tells nothing."""
    if "client" not in account:
        return
    if account["client"] is None:
        if (reason := one_line(account.get("client_reason"))) and reason != "it does not run":
            yield "queue", say(f"not known: {reason}")
        return
    now = time.time()
    if queue := obj(account.get("queue")):
        yield "queue", queue_words(queue, now)
    if (reports := obj(account.get("reports"))) and reports.get("to"):
        yield "undelivered", reports_words(reports)
    if roster := obj(account.get("roster")):
        contacts, groups = integer(roster.get("contacts")), integer(roster.get("groups"))
        yield (
            "knows",
            enumerated(
                (
                    Text("{count} contact", "{count} contacts", n=contacts, count=f"{contacts:,}"),
                    Text("{count} group", "{count} groups", n=groups, count=f"{groups:,}"),
                )
            ),
        )
    if media := obj(account.get("media")):
        files, stored = integer(media.get("files")), size(integer(media.get("bytes")))
        yield (
            "media",
            say(Text("{count} file, {size}", "{count} files, {size}", n=files, count=f"{files:,}", size=stored)),
        )
    yield "heard", heard_words(account)


def queue_words(queue: JsonObject, now: float) -> str:
    """Return what waits, when the next goes out and what the limits leave: ``3 waiting, next in 2 s, …``."""
    waiting, daily = integer(queue.get("waiting")), integer(queue.get("daily_limit"))
    words = [
        f"{waiting:,} waiting" if waiting else "empty" if not integer(queue.get("in_flight")) else "none waiting"
    ]
    if integer(queue.get("in_flight")):
        words.append("one on its way")
    next_at = _number(queue.get("next_send_at"))
    if waiting and queue.get("held") is True:
        words.append("until it is logged in")
    if waiting and next_at is not None:
        words.append(f"next in {_seconds(next_at - now)}" if next_at > now else "next now")
    if waiting > 1 and (oldest := integer(queue.get("oldest_since"))):
        words.append(f"oldest {ago(oldest)} old")
    today = _count(queue, "sent_today")
    words.append(f"{today} of {daily:,} sent today" if daily else f"{today} sent today")
    if burst := integer(queue.get("burst_limit")):
        words.append(f"at most {burst:,} a minute")
    interval, jitter = (_number(queue.get(key)) or 0.0 for key in ("interval", "jitter"))
    if interval or jitter:
        words.append(
            f"one every {interval:g} s" if not jitter else f"one every {interval:g} to {interval + jitter:g} s"
        )
    if error := one_line(queue.get("last_error")):
        words.append(f"the last one failed: {error}")
    return enumerated(words)


def reports_words(reports: JsonObject) -> str:
    """Return how many reports wait for their receiver, since when, and why."""
    waiting = integer(reports.get("waiting"))
    parts: list[str | Text] = [N_("none")]
    if waiting:
        parts = [Text("{count} report", "{count} reports", n=waiting, count=f"{waiting:,}")]
    if waiting and (oldest := integer(reports.get("oldest_since"))):
        parts.append(f"oldest {ago(oldest)} old")
    words = enumerated(parts)
    if waiting and (why := one_line(reports.get("last_error"))):
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
    if lost := integer(reports.get("dropped")):
        damaged = integer(reports.get("damaged_at")) >= integer(reports.get("dropped_at"))
        why = "the event log was damaged" if damaged else "too many waited"
        words += say("; ") + say(f"{lost:,} lost, as {why}")
    return words


def heard_words(account: JsonObject) -> str:
    """Return when WeChat answered last, and when messages came and went."""
    message = obj(account.get("last_message_time"))
    found = []
    for what, moment in (
        ("WeChat", account.get("last_sync_time")),
        ("a message", message.get("received")),
        ("sent one", message.get("sent")),
    ):
        if seconds := integer(moment):
            found.append(f"{what} {ago(seconds)} ago")
    return enumerated(found or ["nothing yet"])


def enumerated(words: Iterable[str | Text]) -> str:
    """Return several words of the reader's language after each other."""
    return say(", ").join(map(say, words))


def size(count: int) -> str:
    """Return a number of bytes for people: ``812 B``, ``3.4 MB``."""
    if count < 1000:
        return f"{count} B"
    power = min(4, (len(str(count)) - 1) // 3)
    return f"{count / 1000**power:.1f} {' kMGT'[power]}B"


def _seconds(pause: float) -> str:
    if pause < 1:
        return "less than a second"
    if pause < 120:
        return f"{math.ceil(pause)} s"
    return f"{pause / 60:.0f} min"


def _count(container: JsonObject, key: str) -> str:
    return f"{integer(field(container, key)):,}"


def _number(value: JsonValue) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
