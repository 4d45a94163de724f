"""The accounts: who is down, parked, unheard; whose reports do not get through; who runs old code."""

import time
from collections.abc import Iterator

from wxcontroller import __version__
from wxcontroller.cli.account import Condition
from wxcontroller.cli.doctor.result import Patient, Result, fail, ok, warn
from wxcontroller.cli.follow import verdict
from wxcontroller.cli.hints import command
from wxcontroller.cli.terminal import ago
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonObject, field, integer, items, obj, text
from wxcontroller.core.names import parse_name
from wxcontroller.core.states import Desired

_LATE = 3600
# What fails for so long does not pass by itself: a bot that is restarted is back before.
_FAILING = 60
_NEWS = 7 * 86400  # what was lost longer ago is told, but no more what ails the machine


def conditions(patient: Patient) -> Iterator[Result]:
    """Each account that is not as it was asked for."""
    if patient.away is not None:
        return
    well = 0
    for view in patient.views:
        words = f": {view.words}" if view.words else ""
        problem = verdict(view) if view.desired is Desired.STARTED else None
        if problem is not None:
            yield fail("account", problem.message, problem.remedy)
        elif view.condition is Condition.OFFLINE:
            yield warn(
                "account", f"{view.name} does not hear WeChat{words}", "it tries on; see the lines about WeChat"
            )
        elif view.condition is Condition.SCANNING:
            yield warn("account", f"{view.name} waits for a scan{words}", command("qr", view.name))
        else:
            well += 1
    if well == len(patient.views):
        yield ok(
            "account", f"{well} accounts, all as was asked for" if well else "there are none yet: wxctl start NAME"
        )


def programs(patient: Patient) -> Iterator[Result]:
    """Whether the running accounts' own programs answer, and are of this version."""
    if patient.away is not None:
        return
    asked, old = 0, []
    for view in patient.views:
        if not view.unit_state.has_process:
            continue
        try:
            told = patient.api.account(parse_name(view.name)).raw
        except WxError as problem:
            yield warn("program", problem.message, problem.remedy)
            continue
        asked += 1
        reason = text(told.get("client_reason"))
        if told.get("client") is None and "client" in told and reason:
            yield warn("program", f"{view.name}: {reason}", f"see: journalctl -u {view.unit}")
        version = text(field(told.get("client"), "version"))
        if version and version != __version__:
            old.append(view.name)
    for name in old:
        yield warn("program", f"{name} still runs another version than is installed", command("restart", name))
    if asked and not old:
        yield ok("program", f"{asked} running accounts answer")


def deliveries(patient: Patient) -> Iterator[Result]:
    """Dead letters, late reports, and what can't be stored."""
    if patient.away is not None:
        return
    try:
        found = items(field(patient.api.all_deliveries(), "accounts"))
    except WxError as problem:
        yield warn("reports", problem.message, problem.remedy)
        return
    before = 0
    for row in map(obj, found):
        name, why = text(row.get("account")), text(row.get("last_error"))
        oldest = integer(row.get("oldest_since"))
        if trouble := text(row.get("trouble")):
            yield fail("reports", f"{name} can't store what arrives: {trouble}", "see the lines about disks")
        if dead := integer(row.get("dead")):
            yield warn("reports", f"{name} has {dead} dead letters: {why}", command("deliveries list", name))
        lost = _lost(row)
        if lost is not None:
            yield lost
        waits = time.time() - oldest if oldest else 0.0
        if waits > (_FAILING if why else _LATE):
            yield _waiting(row, ago(oldest))
        elif not trouble and not dead and lost is None:
            before += 1
    if before == len(found):
        yield ok("reports", "none is late, dead or lost")


def _waiting(row: JsonObject, age: str) -> Result:
    """Tell of reports that do not get through to the webhook."""
    name, number, why = text(row.get("account")), integer(row.get("pending")), text(row.get("last_error"))
    to = text(row.get("to"))
    words = f"{name}: a report waits for its webhook, since {age}"
    if number > 1:
        words = f"{name}: {number} reports wait for its webhook, since {age}"
    remedy = (
        f"see to {to or 'the webhook'} (option post_api; another one: {command('set', name, 'post_api=URL')}); "
        f"what waits: {command('deliveries list', name)}"
    )
    return warn("reports", f"{words}: {why}" if why else words, remedy)


def _lost(row: JsonObject) -> Result | None:
    """Tell of reports that were deleted undelivered, as the log was full: for good, so a failure while it is news."""
    name, number, at = text(row.get("account")), integer(row.get("dropped")), integer(row.get("dropped_at"))
    if not number:
        return None
    when = f", the last {ago(at)} ago" if at else ""
    lost = f"{name} has lost {number} {'report' if number == 1 else 'reports'}{when}"
    is_news = bool(at) and time.time() - at < _NEWS
    if integer(row.get("damaged_at")) >= at > 0:
        remedy = (
            f"check the disk; the damaged file is kept in /var/lib/private/wxclient; the messages are on the phone "
            f"only. What happened: {command('logs', name)}"
        )
        return (fail if is_news else warn)("reports", f"{lost}: its event log was damaged", remedy)
    words = f"{lost}: too many waited for its webhook"
    remedy = (
        f"see to {text(row.get('to')) or 'the webhook'}; the messages are on the phone only. Room for more: "
        f"{command('set', name, 'event_keep_bytes=BYTES')}. When they happened: journalctl WX_EVENT=delivery-dropped"
    )
    return (fail if is_news else warn)("reports", words, remedy)


def alerts(patient: Patient) -> Iterator[Result]:
    """Whether alerts get to somebody, by each way that is set up."""
    if patient.away is not None:
        return
    try:
        channels = obj(patient.api.alerts().get("channels"))
    except WxError as problem:
        yield warn("alerts", problem.message, problem.remedy)
        return
    broken = {name: error for name, told in channels.items() if (error := text(field(field(told, "last"), "error")))}
    for name, error in broken.items():
        yield fail("alerts", f"the last one did not get through by {name}: {error}", "wxctl alert test")
    if not broken:
        ways = " and ".join(channels)
        yield ok("alerts", f"go by {ways}" if ways else "nobody is told of trouble: no way is set up in [alerts]")
