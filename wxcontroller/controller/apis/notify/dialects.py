"""Read a notification from a request, in any dialect.

If a field is given in several places, the first of these counts: header, query, body. Programs that send
no Content-Type, or a form's for a plain text (``curl -d text``), are common: a body is a form or JSON only if it
has one of the fields, and is the message's text otherwise. A body with a file name is that file, as ntfy has it.
"""

import asyncio
import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from email.errors import MessageError
from email.header import decode_header, make_header

from aiohttp import web

from wxcontroller.controller.apis.notify.notification import (
    DEFAULT,
    HIGH,
    HIGHEST,
    LOWEST,
    Attachment,
    BadNotification,
    Notification,
    checked,
)
from wxcontroller.controller.apis.notify.webhookbodies import of_webhook
from wxcontroller.controller.context import context
from wxcontroller.controller.edge.requestbody import has_body, read_body
from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, obj, read_json, text
from wxcontroller.core.jsontypes import field as member
from wxcontroller.core.net.mediatype import media_type
from wxcontroller.core.text.templates import N_
from wxcontroller.openwx.http import parameters
from wxcontroller.openwx.http.parameters import BadParameter

# For bodies other than files. Alertmanager sends all alerts of a group, Grafana adds their values.
TEXT_BODY_BYTES = 1 << 20
_JSON_VALUES = 50_000
# Every name by which ntfy's clients spell a field, in headers and queries.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "message": ("x-message", "message", "m"),
    "title": ("x-title", "title", "t"),
    "priority": ("x-priority", "priority", "prio", "p"),
    "tags": ("x-tags", "tags", "tag", "ta"),
    "click": ("x-click", "click"),
    "attach": ("x-attach", "attach", "a"),
    "filename": ("x-filename", "filename", "file", "f"),
    "delay": ("x-delay", "delay", "x-at", "at", "x-in", "in"),
}
# Other names of the text than ntfy's, common in forms and JSON templates.
_TEXT_FIELDS = ("message", "text", "msg", "body", "content")
_BODY_FIELDS = frozenset({*_TEXT_FIELDS, "title", "subject"})
_WORDS = {"min": LOWEST, "low": 2, "default": DEFAULT, "normal": DEFAULT, "high": HIGH, "max": HIGHEST, "urgent": 5}
# Gotify's priorities go to 10; its app makes a sound from 4 and stays on the screen from 8.
_GOTIFY_HIGH = 8
_WEB = re.compile(r"https?://[^\s]{1,2000}")
_FORMS = (parameters.URLENCODED, "multipart/form-data")


@dataclass(frozen=True, slots=True)
class ReceivedNotification:
    """A notification, and the target that its body names, "" where the path does."""

    notification: Notification
    topic: str = ""


async def ntfy(request: web.Request) -> ReceivedNotification:
    """Read a request to a target's own path: ntfy's, a form, JSON, or a webhook.

    Raises BadNotification, BadParameter, HTTPRequestEntityTooLarge, HTTPRequestTimeout and Busy.
    """
    head = _head(request)
    if head["delay"]:
        raise BadNotification(N_("notifications are sent immediately; a delay is not supported"), N_("leave it out"))
    name = head["filename"]
    is_file = bool(name) and has_body(request) and not head["attach"]
    body = b""
    if has_body(request):
        body = await read_body(request, context(request).settings.max_body if is_file else TEXT_BODY_BYTES)
    if is_file:
        found = Notification(attachment=Attachment(name, body))
    else:
        found = await from_body(request.headers.get("Content-Type", ""), body)
    return ReceivedNotification(checked(with_head(found, head)))


async def ntfy_json(request: web.Request) -> ReceivedNotification:
    """Read ntfy's JSON at the server's root. Raises as ``ntfy``."""
    body = await _json(await read_body(request, TEXT_BODY_BYTES))
    topic = text(body.get("topic"))
    if not topic:
        raise BadNotification(N_("the JSON object has no topic"), N_("topic is the name of the target"))
    if text(body.get("delay")):
        raise BadNotification(N_("notifications are sent immediately; a delay is not supported"), N_("leave it out"))
    return ReceivedNotification(checked(of_fields(body)), topic)


async def gotify(request: web.Request) -> ReceivedNotification:
    """Read Gotify's message, JSON or a form. Raises as ``ntfy``."""
    kind, body = request.headers.get("Content-Type", ""), await read_body(request, TEXT_BODY_BYTES)
    if media_type(kind) in _FORMS:
        fields: JsonObject = dict(parameters.form_pairs(kind, body))
    else:
        fields = await _json(body)
    click = obj(member(obj(member(obj(fields.get("extras")), "client::notification")), "click"))
    priority = fields.get("priority")
    number = _number(priority)
    if priority not in (None, "") and number is None:
        raise BadNotification(N_("the priority is not a number"), N_("Gotify's priorities are 0 to 10"))
    return ReceivedNotification(
        checked(
            Notification(
                message=text(fields.get("message")),
                title=text(fields.get("title")),
                priority=HIGH if number is not None and number >= _GOTIFY_HIGH else DEFAULT,
                link=_link(text(click.get("url"))),
            )
        )
    )


def _head(request: web.Request) -> Mapping[str, str]:
    """Return the fields in a request's headers and query, by ntfy's names; "" for missing ones."""
    query = dict(parameters.query_pairs(parameters.query_of(request.raw_path)))
    lowered = {name.lower(): value for name, value in query.items()}

    def value(spelled: Iterable[str]) -> str:
        # The short names are headers of other meanings, as in ntfy they count in both.
        values = (_header(request.headers.get(name, "")) or lowered.get(name, "") for name in spelled)
        return next(filter(None, values), "")

    return {name: value(spelled) for name, spelled in _NAMES.items()}


def _header(value: str) -> str:
    """Return a header's text: plain UTF-8, or encoded as in mails (RFC 2047), as ntfy accepts."""
    value = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if "=?" not in value:
        return value.strip()
    try:
        return str(make_header(decode_header(value))).strip()
    except (ValueError, LookupError, MessageError):
        return value.strip()


def with_head(found: Notification, head: Mapping[str, str]) -> Notification:
    """Add headers and query, which override the body."""
    url = head["attach"]
    if url and not _WEB.fullmatch(url):
        raise BadNotification(N_("the attachment is not an http or https URL"), N_("give an http:// or https:// URL"))
    message = head["message"].replace("\\n", "\n")  # as ntfy: a header has one line
    attachment = Attachment(head["filename"], url=url) if url else found.attachment
    return replace(
        found,
        message=message or found.message,
        title=head["title"] or found.title,
        priority=_priority(head["priority"]) if head["priority"] else found.priority,
        tags=_tags(head["tags"]) or found.tags,
        link=_link(head["click"]) or found.link,
        attachment=attachment,
    )


async def from_body(kind: str, body: bytes) -> Notification:
    plain = media_type(kind)
    if plain in _FORMS:
        fields = form_fields(kind, body)
        if "data" in fields and plain != parameters.URLENCODED:  # Uptime Kuma's form
            return of_json(await _json(fields["data"].encode()))
        if fields.keys() & _BODY_FIELDS:
            return of_fields(dict(fields))
        if plain != parameters.URLENCODED:
            raise no_known_field()
    elif plain == "application/json":
        return of_json(await _json(body))
    elif body[:1] == b"{":
        try:
            parsed = await _json(body)
        except BadNotification:
            parsed = {}
        if parsed.keys() & _BODY_FIELDS or of_webhook(parsed):
            return of_json(parsed)
    try:
        return Notification(message=body.decode())
    except UnicodeDecodeError:
        raise BadNotification(
            N_("the body is not UTF-8 text"), N_("for a file, add its name: ?filename=NAME")
        ) from None


def form_fields(kind: str, body: bytes) -> dict[str, str]:
    try:
        return dict(parameters.form_pairs(kind, body))
    except BadParameter:
        if media_type(kind) != parameters.URLENCODED:
            raise
        return {}  # a text that only claims to be a form


def of_json(body: JsonObject) -> Notification:
    found = of_webhook(body)
    if found is not None:
        return found
    if not body.keys() & _BODY_FIELDS:
        raise no_known_field()
    return of_fields(body)


def of_fields(body: JsonObject) -> Notification:
    """Return the fields of our own JSON or form, and of ntfy's JSON."""
    words = next((text(body[name]) for name in _TEXT_FIELDS if text(body.get(name))), "")
    url, name, data = text(body.get("attach")), text(body.get("filename")), text(body.get("attachment"))
    if url and not _WEB.fullmatch(url):
        raise BadNotification(N_("the attachment is not an http or https URL"), N_("give an http:// or https:// URL"))
    attachment = Attachment(name, url=url) if url else None
    if data and attachment is None:
        try:
            attachment = Attachment(name or "attachment", base64.b64decode(data, validate=True))
        except (binascii.Error, ValueError):
            raise BadNotification(N_("the attachment is not base64"), N_("or send the file as the body")) from None
    priority = body.get("priority")
    return Notification(
        message=words,
        title=text(body.get("title")) or text(body.get("subject")),
        priority=DEFAULT if priority in (None, "") else _priority(priority),
        tags=_tags(body.get("tags")),
        link=_link(text(body.get("click"))),
        attachment=attachment,
    )


def no_known_field() -> BadNotification:
    return BadNotification(
        N_("the body contains no field of a notification"),
        N_("send message or text, optionally with title, priority and tags; see docs/notifications.md"),
    )


def _priority(value: JsonValue) -> int:
    """Return ntfy's priority from a number or word. Raises BadNotification."""
    number = _number(value)
    if number is None and isinstance(value, str):
        number = _WORDS.get(value.strip().lower())
    if number is None or not LOWEST <= number <= HIGHEST:
        raise BadNotification(N_("the priority is not valid"), N_("use 1 to 5, or min, low, default, high or max"))
    return number


def _number(value: JsonValue) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return int(value)
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,3}", value.strip()) else None


def _tags(value: JsonValue) -> tuple[str, ...]:
    listed = value.split(",") if isinstance(value, str) else [text(each) for each in items(value)]
    return tuple(tag.strip() for tag in listed[:20] if tag.strip())


def _link(address: str) -> str:
    """Return the address to open; addresses of apps do not work in WeChat."""
    return address if _WEB.fullmatch(address) else ""


async def _json(body: bytes) -> JsonObject:
    """Read a JSON object. Raises BadNotification."""
    try:
        parsed = read_json(body, values=_JSON_VALUES) if len(body) < _JSON_VALUES else await read_long(body)
    except ValueError:
        raise BadNotification(N_("the body is not JSON"), N_("send a JSON object in UTF-8")) from None
    if not isinstance(parsed, dict):
        raise BadNotification(N_("the body is not a JSON object"), N_("send a JSON object"))
    return parsed


async def read_long(body: bytes) -> JsonValue:
    return await asyncio.to_thread(read_json, body, values=_JSON_VALUES)
