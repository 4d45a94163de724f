"""The fixed JSON bodies of monitoring programs, made readable: Uptime Kuma, Grafana and Alertmanager.

Each is recognized by fields that the others and our own form do not have. Their values come from people and machines
that are monitored; values of an undocumented type are left out.
"""

from wxcontroller.controller.apis.notify.notification import Notification
from wxcontroller.core.jsontypes import JsonObject, JsonValue, obj, objects, text

# Alerts listed in one message; the rest are counted.
_ALERTS = 10
_LABELS = 8


def of_webhook(body: JsonObject) -> Notification | None:
    """Return the notification that a webhook's body is, None for a body of no program that is known here."""
    if isinstance(body.get("alerts"), list) and "status" in body:
        return _alerts(body)
    if "heartbeat" in body and "monitor" in body:
        return uptime_kuma(body)
    return None


def uptime_kuma(body: JsonObject) -> Notification:
    """``msg`` is the complete text, with name, state and reason; the test button sends only this field."""
    monitor, heartbeat = obj(body.get("monitor")), obj(body.get("heartbeat"))
    address = text(monitor.get("url"))
    return Notification(
        message=text(body.get("msg")) or text(heartbeat.get("msg")) or text(monitor.get("name")),
        link=address if address.startswith(("http://", "https://")) and len(address) > len("https://") else "",
    )


def _alerts(body: JsonObject) -> Notification:
    """Grafana's body is Alertmanager's with a ``title`` added."""
    alerts = objects(body.get("alerts"))
    firing = sum(alert.get("status") == "firing" for alert in alerts)
    lines = [_alert(alert) for alert in alerts[:_ALERTS]]
    if len(alerts) > _ALERTS:
        lines.append(f"… +{len(alerts) - _ALERTS}")
    title = text(body.get("title")) or _title(body, firing)
    return Notification(message="\n".join(lines), title=title, link=text(body.get("externalURL")))


def _title(body: JsonObject, firing: int) -> str:
    state = text(body.get("status")).upper()
    number = f":{firing}" if firing else ""
    common = {**words(body.get("commonLabels")), **words(body.get("groupLabels"))}
    return f"[{state}{number}] {common.get('alertname', '')}".strip()


def _alert(alert: JsonObject) -> str:
    labels, notes = words(alert.get("labels")), words(alert.get("annotations"))
    mark = "✅" if alert.get("status") == "resolved" else "🔴"
    name = labels.pop("alertname", "")
    summary = notes.get("summary") or notes.get("message") or notes.get("description") or ""
    about = ", ".join(f"{key}={value}" for key, value in list(labels.items())[:_LABELS] if not key.startswith("__"))
    head = f"{mark} {name}".strip()
    return "\n".join(part for part in (f"{head}: {summary}" if summary else head, about) if part)


def words(value: JsonValue) -> dict[str, str]:
    return {key: text(each) for key, each in obj(value).items() if text(each)}
