"""Which reports go out, where, and in which order (openwx-api 3.2, 3.3, 3.5, 3.7)."""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from wxcontroller.client.config import ClientConfig
from wxcontroller.client.incoming.checkevent import EventRing
from wxcontroller.client.store.eventlog import EventLog, ReservedEntry, Within
from wxcontroller.core.jsontypes import JsonObject, text
from wxcontroller.openwx.contract.eventtypes import DEFAULT_EVENTS, EVENTS, FOR_CHECK_EVENT

log = logging.getLogger(__name__)
# Bytes of media in reports that wait for check_event: three of the largest (report_media_bytes). They are in memory,
# of which an account has 512 MB; beyond this, reports have no content.
WAITING_MEDIA_BYTES = 32 << 20


@dataclass(slots=True, eq=False)
class Slot:
    """A message's place in the order of reports, filled later, when its media have been fetched."""

    _reporter: "Reporter"
    place: ReservedEntry
    report: JsonObject | None = None  # what check_event is to hand out here, None for nothing
    filled: bool = False

    def fill(self, report: JsonObject | None, media: str = "") -> None:
        """Set the report, once; None keeps the original one. ``media`` as in Reporter.message."""
        if not self.filled:
            self._reporter.fill(self, report, media)


@dataclass(slots=True)
class Reporter:
    """Writes events into ``log``, marking those for the webhook; ``ring`` gets those for check_event. ``webhook`` is
    false without one; the log still has all events.
    """

    post_event: bool
    wanted: frozenset[str]
    conditions: Mapping[str, str]
    webhook: bool
    log: EventLog
    ring: EventRing
    _order: deque[Slot] = field(default_factory=deque)
    _held: int = 0  # characters of media in it

    def wants(self, event: str) -> bool:
        """Whether reports of this event are wanted; checked before building an expensive one."""
        return self.post_event and event in self.wanted

    def event(self, report: JsonObject, key: str = "") -> None:
        """Report an event, after everything that was reported before it; ``key`` as in EventLog.append."""
        # Also events that are not for the webhook: streams, agents and the history read the same log.
        self.log.append(report, self.delivers(report), key)
        self._ring(report)

    def events(self, reports: Iterable[JsonObject]) -> None:
        for report in reports:
            self.event(report)

    def message(self, report: JsonObject, key: str = "", media: str = "", is_notice: bool = False) -> None:
        """Report a message, received or sent. ``media``: the file with the content of ``media_data``.

        ``is_notice``: WeChat's notice, not a person's message.
        """
        self.log.append(without_content(report, media), self.delivers(report), key, media, is_notice)
        self._ring(report)

    def delivers(self, report: JsonObject) -> bool:
        """Whether a report is for the webhook."""
        return self.webhook and self._passes(report)

    def sent(
        self, report: JsonObject, within: Within, media: str = "", verdict: str = ""
    ) -> "asyncio.Future[object]":
        """Report how a send ended; see EventLog.append_within. ``media``: the file of its content, "" for none.

        The content itself is never stored.
        """
        bare = {**report, "media_data": ""} if "media_data" in report else report
        stored = self.log.append_within(bare, self.delivers(report), within, media, verdict)
        self._ring(report)
        return stored

    def hold(self, report: JsonObject, key: str, source: JsonObject) -> Slot:
        """Reserve a message's place in the order; later events wait until it is filled. See EventLog.hold."""
        slot = Slot(self, self.log.hold(report, key, source))
        self._order.append(slot)
        return slot

    def resume(self, place: ReservedEntry, report: JsonObject | None, media: str = "") -> None:
        """Fill a place that an earlier process has left held."""
        self._fill(place, report, media)
        if report is not None:
            self._emit(report)

    def fill(self, slot: Slot, report: JsonObject | None, media: str) -> None:
        """Fill a place in the log, and pass the reports next in order to check_event; called by slots."""
        self._fill(slot.place, report, media)
        self._wait(slot, report)
        while self._order and self._order[0].filled:
            first = self._order.popleft()
            if first.report is not None:
                self._held -= weight(first.report)
                self._emit(first.report)

    def _wait(self, slot: Slot, report: JsonObject | None) -> None:
        """Keep a report for its turn, with its media as far as there is room. The next one in turn does not wait."""
        if report is not None:
            # The first one is not delayed and uses no memory.
            if slot is not self._order[0] and self._held + weight(report) > WAITING_MEDIA_BYTES:
                report = {**report, "media_data": ""}
            self._held += weight(report)
        slot.report, slot.filled = report, True

    def _fill(self, place: ReservedEntry, report: JsonObject | None, media: str) -> None:
        deliver = self.webhook and (report is None or self._passes(report))
        self.log.fill(place, report and without_content(report, media), deliver, media)

    def _ring(self, report: JsonObject) -> None:
        if not self._order:
            self._emit(report)
            return
        slot = Slot(self, ReservedEntry())
        self._order.append(slot)
        self._wait(slot, report)

    def _emit(self, report: JsonObject) -> None:
        # check_event returns messages and a few events only, as in the original.
        if self._passes(report) and (report.get("post_type") != "event" or report.get("event") in FOR_CHECK_EVENT):
            self.ring.put(report)

    def _passes(self, report: JsonObject) -> bool:
        """Whether a report passes the filters: an event by its name, a message by post_message_filter (3.5), which
        excludes messages whose property has another value.
        """
        if report.get("post_type") == "event":
            return self.wants(text(report.get("event")))
        return all(name not in report or text(report[name]) == value for name, value in self.conditions.items())


def without_content(report: JsonObject, media: str) -> JsonObject:
    """Leave out the content that is also in ``media``."""
    return {**report, "media_data": ""} if media else report


def weight(report: JsonObject) -> int:
    return len(text(report.get("media_data")))


def reporter_of(config: ClientConfig, events: EventLog, ring: EventRing) -> Reporter:
    """Build a reporter from the account's options."""
    listed = config.options["post_event_list"]
    wanted = frozenset(listed.split(",") if listed else DEFAULT_EVENTS)
    if unknown := sorted(wanted - EVENTS):
        log.warning("post_event_list contains unknown events (%s); wxclient(8) lists the events", ", ".join(unknown))
    return Reporter(
        post_event=config.flag("plugin_openwx_post_event"),
        wanted=wanted,
        conditions=dict(parse_qsl(config.options["post_message_filter"], keep_blank_values=True)),
        webhook=bool(config.post_api),
        log=events,
        ring=ring,
    )
