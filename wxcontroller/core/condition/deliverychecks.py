"""Checks of an account's deliveries. They are independent of each other and of the login.

An account whose program does not publish its deliveries (a foreign one) is unknown here, not in trouble.
"""

from wxcontroller.core.condition.deliverystate import DeliveryState
from wxcontroller.core.condition.facts import Code, Facts, Issue, Severity, minutes
from wxcontroller.core.text.templates import N_, Text

# A restarted receiver is back sooner.
FAILING_SECONDS = 30.0
# Without an error the receiver is only slow, or reports go out in strict order.
LATE_SECONDS = 900.0
# New dead letters mean a continuing failure; without any for this long, only cleanup is left.
NEW_SECONDS = 900.0
# Lost reports cannot be recovered, so they are shown for a day only.
LOST_SECONDS = 86400.0


def webhook_failing(facts: Facts, deliveries: DeliveryState) -> Issue | None:
    """The webhook does not accept reports."""
    if not deliveries.last_error or not is_older(facts, deliveries, FAILING_SECONDS):
        return None
    number = facts.instant.minutes_since(deliveries.oldest_since)
    headline = Text(
        "{n} report is waiting for its webhook, for {duration}: {error}",
        "{n} reports are waiting for their webhook, the oldest for {duration}: {error}",
        n=deliveries.waiting,
        duration=minutes(number),
        minutes=number,  # for programs
        error=deliveries.last_error,
    )
    return Issue(Code.WEBHOOK, Severity.WARNING, headline, fix_receiver(facts), deliveries.oldest_since)


def late(facts: Facts, deliveries: DeliveryState) -> Issue | None:
    """Reports wait for a long time without a known error."""
    if deliveries.last_error or not is_older(facts, deliveries, LATE_SECONDS):
        return None
    number = facts.instant.minutes_since(deliveries.oldest_since)
    headline = Text(
        "{n} report is waiting for its webhook, for {duration}",
        "{n} reports are waiting for their webhook, the oldest for {duration}",
        n=deliveries.waiting,
        duration=minutes(number),
        minutes=number,  # for programs
    )
    return Issue(Code.LATE, Severity.WARNING, headline, fix_receiver(facts), deliveries.oldest_since)


def dead(facts: Facts, deliveries: DeliveryState) -> Issue | None:
    """Dead letters that were not replayed, purged or acknowledged."""
    if not deliveries.unacknowledged:
        return None
    headline = Text(
        "{n} dead letter: {error}",
        "{n} dead letters, the latest: {error}",
        n=deliveries.unacknowledged,
        error=deliveries.dead_error or Text(N_("delivery failed")),
    )
    remedy = Text(
        N_("fix the receiver {webhook}, then send them again: {replay}; or acknowledge them: {ack}"),
        webhook=facts.webhook or "post_api",
        replay=facts.wxctl("deliveries replay", "--dead"),
        ack=facts.wxctl("deliveries ack"),
    )
    is_old = facts.instant.has_passed(deliveries.dead_at + NEW_SECONDS)
    severity = Severity.WARNING if is_old else Severity.ERROR
    return Issue(Code.DEAD, severity, headline, remedy, deliveries.dead_at, deliveries.unacknowledged)


def lost(facts: Facts, deliveries: DeliveryState) -> Issue | None:
    """Reports were deleted before they were delivered: the log was full, or dead letters were too old."""
    if (
        not deliveries.dropped
        or facts.instant.has_passed(deliveries.dropped_at + LOST_SECONDS)
        or is_damaged(facts, deliveries)
    ):
        return None
    headline = Text(
        "{n} report was lost: too many were waiting for the webhook, or a dead letter was too old",
        "{n} reports were lost: too many were waiting for the webhook, or dead letters were too old",
        n=deliveries.dropped,
    )
    remedy = Text(
        N_("fix the receiver {webhook}, or allow a larger log: {set}"),
        webhook=facts.webhook or "post_api",
        set=facts.wxctl_set("event_keep_bytes=BYTES"),
    )
    return Issue(Code.LOST, Severity.ERROR, headline, remedy, deliveries.dropped_at, deliveries.dropped)


def damaged(facts: Facts, deliveries: DeliveryState) -> Issue | None:
    """The event log was damaged and replaced."""
    if not is_damaged(facts, deliveries):
        return None
    headline = Text(
        "the event log was damaged; at most {n} undelivered report was lost",
        "the event log was damaged; at most {n} undelivered reports were lost",
        n=deliveries.dropped,
    )
    if not deliveries.dropped and deliveries.dropped_at:
        headline = Text(N_("the event log was damaged; undelivered reports may be lost"))
    elif not deliveries.dropped:
        headline = Text(N_("the event log was damaged; no undelivered report was lost"))
    remedy = Text(
        N_("check the disk; the damaged file is kept in {directory}; see: {logs}"),
        directory=_directory(facts),
        logs=facts.wxctl("logs"),
    )
    return Issue(Code.DAMAGED, Severity.ERROR, headline, remedy, deliveries.damaged_at, deliveries.dropped + 1)


def cannot_store(facts: Facts, deliveries: DeliveryState) -> Issue | None:
    """Incoming messages cannot be written to disk; they are not acknowledged to WeChat."""
    if not deliveries.trouble:
        return None
    headline = Text(N_("cannot store incoming messages: {reason}"), reason=deliveries.trouble)
    remedy = Text(N_("check free space in {directory}"), directory=_directory(facts))
    return Issue(Code.STORE, Severity.ERROR, headline, remedy)


CHECKS = (cannot_store, damaged, lost, dead, webhook_failing, late)


def is_older(facts: Facts, deliveries: DeliveryState, seconds: float) -> bool:
    """Whether the oldest report has been waiting for this long."""
    return bool(deliveries.waiting and deliveries.oldest_since) and facts.instant.has_passed(
        deliveries.oldest_since + seconds
    )


def is_damaged(facts: Facts, deliveries: DeliveryState) -> bool:
    return bool(deliveries.damaged_at) and not facts.instant.has_passed(deliveries.damaged_at + LOST_SECONDS)


def fix_receiver(facts: Facts) -> Text:
    return Text(
        N_("fix the receiver {webhook}, or use another one: {set}; see: {deliveries}"),
        webhook=facts.webhook or "post_api",
        set=facts.wxctl_set("post_api=URL"),
        deliveries=facts.wxctl("deliveries list"),
    )


def _directory(facts: Facts) -> str:
    return f"/var/lib/private/wxclient/{facts.name.instance}"
