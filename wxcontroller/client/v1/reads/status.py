"""The present status of the account, from memory without any query: for GET /v1/status, and for the file that the
account publishes (client/publishing.py).
"""

import resource
from pathlib import Path

from wxcontroller import __version__
from wxcontroller.client.calls.call import Parts
from wxcontroller.client.deliveries.receivers import stored_error
from wxcontroller.client.login.session import Session
from wxcontroller.client.sends.queue import SendQueue
from wxcontroller.core.jsontypes import JsonObject, one_line
from wxcontroller.core.model import Direction
from wxcontroller.core.net import egress
from wxcontroller.core.registry.account import redacted
from wxcontroller.core.text.templates import text_fields


def status_of(parts: Parts) -> JsonObject:
    """Return the STATUS object. Times are seconds since 1970, null when it has not happened."""
    session = parts.session
    return {
        **shared_status(parts),
        "driver": parts.config.options["driver"],
        "login_state": session.state.value,
        "state": session.state.word,
        **text_fields(status=session.status, reason=session.reason),
        "since": session.since,
        "input": session.asks.as_json() if session.asks else None,
        "proxy": egress.shown(parts.config.options["proxy"]),
        **parts.sends.gauge(),
        "last_sync_time": session.last_sync or None,
        "memory": memory(),
    }


def shared_status(parts: Parts) -> JsonObject:
    """Return the part of the status that lists of accounts use, without what is the state file's and what concerns
    single people.
    """
    session, roster = parts.session, parts.roster
    gauge = parts.sends.gauge()
    return {
        "name": parts.config.name.name,
        "instance": parts.config.name.instance,
        "version": __version__,
        "capabilities": parts.driver.capabilities.as_json(),
        "pid": parts.facts.pid,
        "start_time": parts.facts.start_time,
        "queue": queue_of(parts.sends),
        **({"sending": gauge["sending"]} if gauge else {}),
        "reports": {**counts_of(parts), **results_of(parts)},
        "messages": {
            "received": by_kind(session, Direction.RECEIVED),
            "sent": {kind.value: number for kind, number in parts.sends.ending.sent.items()},
            "sent_elsewhere": by_kind(session, Direction.SENT_ELSEWHERE),
            "not_sent": parts.sends.ending.not_sent,
        },
        "messages_24h": parts.minutes.messages_24h(),
        "media": {"files": parts.fetcher.kept.files, "bytes": parts.fetcher.kept.bytes},
        "roster": {
            "contacts": len(roster.contacts),
            "groups": len(roster.groups),
            "members": sum(len(group.members) for group in roster.groups.values()),
            "changes": roster.changes,
        },
        "last_message_time": {
            "received": session.last_received or parts.log.counts.received or None,
            "sent": parts.sends.attempts.last_sent or parts.log.counts.sent or None,
        },
    }


def counts_of(parts: Parts) -> JsonObject:
    """Return the numbers of waiting reports and dead letters, and why they are not delivered."""
    counts, delivery = parts.log.counts, parts.delivery
    return {
        "to": redacted(delivery.address) or None,
        "held": counts.held,
        "pending": counts.pending,
        "retrying": counts.retrying,
        "oldest_since": second(counts.oldest or None),
        **text_fields(last_error=delivery.last_error, trouble=parts.log.trouble or parts.log.blocked),
        "last_attempt": delivery.last_attempt.as_json() if delivery.last_attempt else None,
        "dropped": counts.dropped,
        "dropped_at": second(counts.dropped_at or None),
        "damaged_at": second(counts.damaged_at or None),
        "dead": counts.dead,
        "unacknowledged": counts.unacknowledged,
    }


def results_of(parts: Parts) -> JsonObject:
    """Return what has become of reports since the process began, and of the latest dead letter."""
    counts, delivery = parts.log.counts, parts.delivery
    return {
        "waiting": counts.waiting,
        "delivered": delivery.delivered,
        "failed": delivery.failed,
        "refused": delivery.refused,
        "dead_at": second(counts.dead_at or None),
        **text_fields(dead_error=stored_error(one_line(counts.dead_error), counts.dead_status)),
        "bytes": counts.bytes,
    }


def by_kind(session: Session, direction: Direction) -> JsonObject:
    return {kind.value: number for (which, kind), number in session.messages.items() if which is direction}


def queue_of(sends: SendQueue) -> JsonObject:
    """Return waiting sends and their allowed rate; limits of 0 mean none."""
    pacer, next_at = sends.pacer, sends.next_at
    return {
        "waiting": len(sends) - sends.in_flight,
        "in_flight": sends.in_flight,
        "held": sends.held,
        "oldest_since": second(sends.oldest_since),
        "next_send_at": None if next_at is None else round(next_at, 3),
        **text_fields(last_error=sends.availability.last_error),
        "most_waiting": sends.limit,
        "sent_today": pacer.sent_today,
        "daily_limit": pacer.daily,
        "burst_limit": pacer.burst,
        "interval": pacer.interval,
        "jitter": pacer.jitter,
    }


def memory() -> int | None:
    """Return the bytes of memory that are this process' own and in use."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="utf-8").split()
    except OSError:
        return None
    return (int(pages[1]) - int(pages[2])) * resource.getpagesize()


def second(moment: float | None) -> int | None:
    return None if moment is None else int(moment)
