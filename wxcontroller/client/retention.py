"""Retention of events and received media, by age and by size, with warnings before anything is lost."""

import asyncio
import contextlib
import logging
import sqlite3
import time
from dataclasses import dataclass, replace

from wxcontroller.client.callertasks import either
from wxcontroller.client.config import ClientConfig
from wxcontroller.client.incoming.mediafetcher import MediaFetcher
from wxcontroller.client.store.database.writer import Unavailable
from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.client.store.expiry import RetentionLimits
from wxcontroller.client.store.sendstore import SendStore
from wxcontroller.core.process.journal import Event, fields
from wxcontroller.core.registry.account import redacted

log = logging.getLogger(__name__)
SWEEP_SECONDS = 600.0
# Minimum time between two sweeps while a limit is exceeded: each one reads the whole directory.
SWEEP_PAUSE = 5.0
# The log is swept early when it has grown by this many bytes, or by a tenth of its limit.
_GROWTH = 16 * 1024 * 1024
_DAY = 86400.0
# The share of the age or size limit at which to warn.
_WARN_AT = 0.8


def limits_of(config: ClientConfig) -> RetentionLimits:
    """Return the retention of this account's events."""
    return RetentionLimits(
        keep=config.number("event_keep_days") * _DAY,
        keep_dead=config.number("dead_keep_days") * _DAY,
        give_up=config.number("webhook_give_up_days") * _DAY,
        max_bytes=config.number("event_keep_bytes"),
    )


@dataclass(slots=True)
class Keeping:
    """Sweeps until cancelled."""

    config: ClientConfig
    log: EventLog
    fetcher: MediaFetcher
    sends: SendStore
    _warned: bool = False  # of pending entries about to be lost to the size limit

    async def run(self) -> None:
        limits = limits_of(self.config)
        while True:
            try:
                await self._sweep(limits)
            except (Unavailable, OSError, sqlite3.DatabaseError) as problem:
                log.error("cannot delete old events and media: %s", problem)
            await self._pause(min(_GROWTH, limits.max_bytes // 10 or _GROWTH))

    async def _pause(self, growth: int) -> None:
        """Wait until the next sweep is due, or the log has grown by this many bytes or there are too many media."""
        await asyncio.sleep(SWEEP_PAUSE)
        size, end = self.log.counts.bytes, time.monotonic() + SWEEP_SECONDS
        while (left := end - time.monotonic()) > 0 and self.log.counts.bytes - size < growth:
            if not await either(self.log.news, self.fetcher.too_much, left) or self.fetcher.too_much.is_set():
                return
            with contextlib.suppress(TimeoutError):  # a burst commits often
                async with asyncio.timeout(SWEEP_PAUSE):
                    await self.fetcher.too_much.wait()

    async def _sweep(self, limits: RetentionLimits) -> None:
        warned = self._warn(limits, await self.log.tried_for())
        # The sweep that first warns deletes nothing: until the next one, an operator can fix the receiver or raise
        # the limit.
        swept = await self.log.sweep(replace(limits, lose=self._warned))
        self._warned = warned
        where = redacted(self.config.post_api) or "nobody"
        if swept.given_up:
            log.error(
                "%d reports were not accepted by %s in %g days of trying and are now dead letters; "
                "see: wxctl deliveries list",
                *(swept.given_up, where, limits.give_up / _DAY),
                extra=fields(Event.DELIVERY_DEAD),
            )
        if swept.dead_forgotten:
            log.log(
                logging.ERROR if swept.unseen else logging.INFO,
                "%d dead letters were deleted: kept for %g days, or the event log was full (event_keep_bytes=%d); "
                "%d of them were not acknowledged and count as lost",
                *(swept.dead_forgotten, limits.keep_dead / _DAY, limits.max_bytes, swept.unseen),
                extra=fields(Event.DELIVERY_DROPPED) if swept.unseen else None,
            )
        if swept.dropped:
            log.error(
                "%d reports that were never delivered are lost: the event log is full (event_keep_bytes=%d)",
                *(swept.dropped, limits.max_bytes),
                extra=fields(Event.DELIVERY_DROPPED),
            )
        await self.sends.sweep(self.config.seconds("idempotency_keep_seconds"))
        try:
            # In this order: a send that ends in between hands its file on to its report.
            to_send = await self.sends.files()
            await self.fetcher.sweep(await self.log.media_in_use(), to_send)
        except OSError as problem:  # retried at the next sweep; it must not stop the account
            log.error("cannot list received media: %s; check %s", problem.strerror, self.config.media_dir)

    def _warn(self, limits: RetentionLimits, tried: float) -> bool:
        """Warn of entries about to expire or be lost; return whether the size limit is the reason.

        ``tried``: for how many seconds one was tried.
        """
        counts = self.log.counts
        full = limits.max_bytes > 0 and counts.pending_bytes > _WARN_AT * limits.max_bytes
        late = limits.give_up and tried > _WARN_AT * limits.give_up
        if full or late:
            log.error(
                "%d reports wait for %s, one was tried for %.1f days; %s; "
                "fix the receiver, or run wxctl deliveries purge",
                counts.waiting,
                redacted(self.config.post_api),
                tried / _DAY,
                f"beyond {limits.max_bytes} bytes the oldest are lost"
                if full
                else f"after {limits.give_up / _DAY:g} days of trying, each is a dead letter",
                extra=fields(Event.DELIVERY_LATE),
            )
        return full
