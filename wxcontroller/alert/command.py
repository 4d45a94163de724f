"""Delivery of alerts by the administrator's program: the alert as JSON on standard input, QR codes as files."""

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from wxcontroller.alert.deliver import NotDelivered
from wxcontroller.alert.program import ProgramTimeout, run
from wxcontroller.core.alerts import Alert
from wxcontroller.core.config.limits import DEFAULTS
from wxcontroller.core.jsontypes import JsonValue, items, obj


async def tell(argv: Sequence[str], alert: Alert, seconds: float = DEFAULTS.alert_program_seconds) -> None:
    """Run the program for an alert. Raises NotDelivered when it does not end with 0."""
    # In memory where systemd provides a directory: the code is private, and the disk may be full.
    with tempfile.TemporaryDirectory(prefix="alert.", dir=os.environ.get("RUNTIME_DIRECTORY")) as directory:
        content = alert.to_json()
        pictures = _pictures(alert, Path(directory))
        for item, path in zip(items(content["items"]), pictures, strict=True):
            code: JsonValue = {"path": path, "made": obj(obj(item)["qrcode"])["made"]} if path else None
            obj(item)["qrcode"] = code
        single = alert.items[0] if len(alert.items) == 1 and not alert.more else None
        environment = {
            "WXALERT_EVENT": alert.event.value,
            "WXALERT_SUBJECT": alert.subject,
            "WXALERT_KIND": single.kind.value if single else "",
            "WXALERT_ACCOUNT": single.account if single else "",
            "WXALERT_QRCODE": next((path for path in pictures if path), ""),
        }
        try:
            code = await run(argv, json.dumps(content, ensure_ascii=False).encode(), seconds, environment)
        except ProgramTimeout as hung:
            raise NotDelivered(hung.words, final=True) from None  # it may have delivered the alert
    if code:
        raise NotDelivered(f"{argv[0]} ended with {code}", final=True)


def _pictures(alert: Alert, directory: Path) -> list[str]:
    """Write the codes; return the path of each item's, "" where it has none."""
    found: list[str] = []
    for item in alert.items:
        if item.qrcode is None:
            found.append("")
            continue
        path = directory / f"qr-{item.instance}.{item.qrcode.suffix}"
        path.write_bytes(item.qrcode.content)
        found.append(str(path))
    return found
