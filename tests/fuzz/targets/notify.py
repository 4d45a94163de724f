"""Notifications: what any program sends to a target, and the files of targets and of repeats."""

import asyncio
import json
import tempfile
from pathlib import Path

from tests.fuzz.target import Target, fit, joined, parts
from wxcontroller.controller.notify import reading, repeats
from wxcontroller.controller.notify.notification import BadNotification, checked
from wxcontroller.core import notifytargets
from wxcontroller.core.errors import BadSettings
from wxcontroller.core.notifytargets import NotifyTarget, NotifyTargets
from wxcontroller.openwx import credentials
from wxcontroller.openwx.parameters import BadParameter
from wxcontroller.openwx.replies import to_bytes

_LOOP = asyncio.new_event_loop()


def _notification(data: bytes) -> None:
    kind, head, body = parts(data, 3)
    content_type, value = (each.decode("utf-8", "surrogateescape") for each in (kind[:8190], head[:8190]))
    credentials.from_publisher({"Authorization": value}, f"/?{value}")
    texts = dict.fromkeys(("title", "click", "message"), reading._header(value))
    fields = {**dict.fromkeys(reading._NAMES, ""), **texts}
    found = _LOOP.run_until_complete(reading.from_body(content_type, body))
    shown = checked(reading.with_head(found, fields))
    shown.text.encode()
    to_bytes({"message": shown.message, "title": shown.title, "tags": [*shown.tags]})
    if shown.attachment is not None:
        shown.attachment.name.encode()


def _targets(data: bytes) -> None:
    found = notifytargets.parse(data, "the file")
    assert notifytargets.parse(notifytargets.rendered(found), "again") == found
    for target in found.by_name.values():
        fit(target)
        assert target.instance
    found.find("wxc_x")


def _repeats(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "repeats"
        path.write_bytes(data)
        for repeat in repeats.saved_repeats(path):
            json.dumps(repeat.as_json(), allow_nan=False)


_ONE = NotifyTarget("ops", "0badcafe", "a" * 64, "alice", "王芳", False, "web", 1_700_000_000)
_ALERTS = '{"status": "firing", "alerts": [{"status": "resolved", "labels": {"alertname": "a"}, "annotations": {}}]}'
_KUMA = '{"heartbeat": {"msg": "m"}, "monitor": {"url": "https://x.example"}, "msg": "down"}'
_REPEAT = {"target": "0badcafe", "content": "x", "since": 1.5, "count": 2, "urgent": True, "key": "notify-1"}

TARGETS = (
    Target(
        "notifications",
        _notification,
        (
            joined("application/json", "=?UTF-8?B?5aSH5Lu9?=", _ALERTS),
            joined("application/json", "Basic eDp5", _KUMA),
            joined("application/x-www-form-urlencoded", "Bearer x", "message=m&title=t&priority=high"),
            joined("text/plain", "auth=QmVhcmVyIHg", '{"message": "m", "tags": ["warning"], "priority": 4}'),
            joined("", "https://x.example", '{"text": "m", "attachment": "eA==", "filename": "f"}'),
        ),
        refusals=(BadParameter, BadNotification),
        tokens=(b'"message": ', b'"alerts": [', b'"priority": ', b"=?UTF-8?B?", b"Basic "),
    ),
    Target(
        "the file of notification targets",
        _targets,
        (notifytargets.rendered(NotifyTargets({"ops": _ONE})),),
        refusals=(BadSettings,),
    ),
    Target("the file of repeated notifications", _repeats, (json.dumps({"repeats": [_REPEAT]}).encode(),)),
)
