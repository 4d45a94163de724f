"""Alerts on their way: files that the controller leaves, and what who delivers them notes."""

import json

from tests.fuzz.target import NotJson, Target, fit
from wxcontroller.controller.alerts.schedule import Ledger
from wxcontroller.core.alerts import Alert, Happening, Item, Kind, Picture, alert_from
from wxcontroller.core.alertspool import state_of
from wxcontroller.core.jsontypes import read_json
from wxcontroller.core.messages import Text

_NOW = 1_700_000_100.0


def _alert(data: bytes) -> None:
    alert = alert_from(read_json(data)).without_old_codes(_NOW)
    content = json.dumps(alert.to_json(), ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")
    assert alert.subject
    assert alert.text is not None
    assert alert_from(json.loads(content)).id


def _noted(data: bytes) -> None:
    state = state_of(data)
    fit(list(state.tries.values()))
    json.dumps(state.last.as_json() if state.last else None, allow_nan=False)


def _ledger(data: bytes) -> None:
    ledger = Ledger()
    try:
        ledger.load(data)
    except ValueError:
        raise NotJson from None
    again = Ledger()
    again.load(ledger.dump())
    assert again.records.keys() == ledger.records.keys()


_CODE = Picture("image/png", b"x", 1_700_000_050.0)
_ITEM = Item(Kind.SCAN, "小店", "x-abc", 1_700_000_000.0, Text("needs a scan"), Text("scan it"), _CODE)
_RECORD = {
    **{"instance": "x-abc", "track": "login", "kind": "scan", "age": 5.5, "told": {"scan": 0}, "was_well": True},
    **{"sent": {"scan": 1_700_000_000.5}, "recovered": ["小店", Text("is well").as_json()], "before": {"parked": 1}},
}
_KEPT = {**json.loads(Ledger().dump()), "sent": [1_700_000_000.5], "records": [_RECORD]}
_ALERTS = (
    Alert("a1", Happening.PROBLEM, 1_700_000_000.0, "host", (_ITEM,), 2),
    Alert("a2", Happening.TEST, 1_700_000_000.0, "host", ()),
)
_NOTES = b'{"tries": {"a1": 3}, "last": {"id": "a1", "error": "refused", "time": 1700000000}}'
_SEEDS = tuple(json.dumps(each.to_json()).encode() for each in _ALERTS)
TARGETS = (
    Target("alerts that wait", _alert, _SEEDS, refusals=(ValueError,)),
    Target("what who delivers alerts has noted", _noted, (_NOTES,), refusals=()),
    Target("what was told of accounts", _ledger, (Ledger().dump(), json.dumps(_KEPT).encode()), refusals=(NotJson,)),
)
