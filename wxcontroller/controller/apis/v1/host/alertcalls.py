"""/v1/alerts: the channels with their last results, the current problems, and a test alert."""

import time

from aiohttp import web

from wxcontroller.controller.apis.v1.form.declaring import Calls
from wxcontroller.controller.callers.refusals import NoAlerts
from wxcontroller.controller.context import Context, context
from wxcontroller.controller.edge.authorization import caller
from wxcontroller.controller.edge.failureanswers import json_response
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.alerts import values_of
from wxcontroller.core.alertspool import Spool
from wxcontroller.core.config.alertsettings import Channel
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.text.templates import N_, text_fields
from wxcontroller.openwx.contract.describing import AS_DATA, SWITCH, TEXT, WHOLE, listing, record

_PROBLEM = record(
    {
        **dict.fromkeys(("kind", "code", "account", "instance", "message", "remedy"), TEXT),
        **dict.fromkeys(("message_text", "remedy_text"), AS_DATA),
        "values": {"type": "object"},
        "since": WHOLE,
        "told": SWITCH,
    }
)
CALLS = Calls()


@CALLS.route(
    "GET alerts",
    Scope.READ,
    "current problems and the alert channels",
    record({"channels": {"type": "object"}, "problems": listing(_PROBLEM)}),
)
async def alerts(request: web.Request) -> web.Response:
    """GET /v1/alerts: the configured ``channels``, and current ``problems`` that can raise alerts."""
    shared, who = context(request), caller(request)
    channels: dict[str, JsonValue] = {
        channel.value: _channel(shared, channel) for channel in shared.settings.alerts.channels
    }
    problems: list[JsonValue] = []
    if shared.alerts is not None:
        now = time.time()
        for (instance, _), record in shared.alerts.ledger.records.items():
            if record.finding is None or not record.finding.message:
                continue
            if record.finding.pending and record.age < record.finding.hold:
                continue
            if not who.may_see(instance):  # those of the machine are of no account
                continue
            problems.append(
                {
                    "kind": record.finding.kind.value,
                    "code": record.finding.code,
                    "account": record.finding.account,
                    "instance": instance,
                    **text_fields(message=record.finding.message, remedy=record.finding.remedy),
                    "values": values_of(record.finding.message, record.finding.remedy),
                    "since": int(now - record.age),
                    "told": record.finding.kind in record.alerted,
                }
            )
    return json_response({"channels": channels, "problems": problems})


@CALLS.route(
    "POST alerts/test", Scope.ADMIN, "send a test alert", record({"id": TEXT, "channels": listing(TEXT)}), (409, 429)
)
async def test(request: web.Request) -> web.Response:
    """POST /v1/alerts/test: send a test alert through all channels; GET /v1/alerts has its result under its id."""
    shared = context(request)
    if shared.alerts is None or not shared.settings.alerts.channels:
        raise NoAlerts(
            N_("no alert channel is configured"),
            N_("set webhook, mail or command in the table [alerts] of the settings; see wxcontroller.toml(5)"),
        )
    number, channels = await shared.alerts.test()
    named: list[JsonValue] = [channel.value for channel in channels]
    return json_response({"id": number, "channels": named})


def _channel(shared: Context, channel: Channel) -> JsonObject:
    spool = Spool(shared.accounts.paths, channel)
    waiting, last = spool.waiting(), spool.state().last
    return {
        "waiting": len(waiting),
        "oldest_since": int(waiting[0].since) if waiting else None,
        "last": last.as_json() if last else None,
    }
