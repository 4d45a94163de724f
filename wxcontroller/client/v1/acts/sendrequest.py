"""The body of POST /v1/messages: JSON or a form, as texts by the names of its fields."""

import asyncio
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

from wxcontroller.client.sends.acceptance import MAX_HOLD
from wxcontroller.client.sends.content.callbodies import BODIES, Attached
from wxcontroller.client.v1.forms.selecting import bad, read_body
from wxcontroller.client.v1.forms.v1answers import RequestRefused
from wxcontroller.core.errors import reason_of
from wxcontroller.core.jsontypes import text
from wxcontroller.core.net.mediatype import media_type
from wxcontroller.core.text.templates import N_, Text
from wxcontroller.openwx.contract.newmessage import FIELDS, FILE_FIELD
from wxcontroller.openwx.http import parameters

REMEDY = N_('send {"to": "an id of GET …/contacts or …/groups", "text": "…"}')
_HALF = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class SendRequest:
    """The content of a request. ``upload`` is a file in it, ``holder`` names the caller as a parameter of content."""

    fields: Mapping[str, str]
    upload: Attached = field(default_factory=Attached)
    holder: Mapping[str, str] = field(default_factory=dict)

    def get(self, name: str) -> str:
        return self.fields.get(name, "")


async def read_request(request: web.Request) -> SendRequest:
    """Read a JSON object or a form. Raises RequestRefused, and as Bodies.read."""
    kind = media_type(request.headers.get("Content-Type", ""))
    if kind == "application/json":
        return SendRequest(texts(await request.app[BODIES].small(request)))
    if kind != "multipart/form-data":
        raise RequestRefused(
            415,
            "bad-type",
            N_("the body is neither JSON nor a form"),
            N_("send application/json, or multipart/form-data with a file"),
        )
    try:
        body = await request.app[BODIES].read(request)
    except OSError as problem:
        raise RequestRefused(
            500,
            "disk",
            Text("the body cannot be stored: {reason}", reason=reason_of(problem)),
            N_("check the account's state directory"),
        ) from None
    return await asyncio.to_thread(form, request.headers["Content-Type"], body)


def texts(body: bytes) -> dict[str, str]:
    """Return a JSON object's members as texts. Raises RequestRefused."""
    members = read_body(body, REMEDY)
    if not isinstance(members, dict):
        raise bad(N_("the body is not a JSON object"), REMEDY)
    found: dict[str, str] = {}
    for name, value in members.items():
        kind = type_of_field(name)
        if value is None:
            continue
        # To Python, True is a number too.
        # The uid of a person in a report is a number.
        taken = (str, int) if name == "to" else kind
        right = isinstance(value, bool) if kind is bool else isinstance(value, taken) and not isinstance(value, bool)
        if not right:
            raise bad(
                N_("{name} must be {type}"),
                REMEDY,
                name=name,
                type=Text("true or false") if kind is bool else Text("a text") if kind is str else Text("a number"),
            )
        found[name] = str(int(value)) if isinstance(value, bool) else text(value)
        if _HALF.search(found[name]):  # valid in JSON, but cannot be stored or sent
            raise bad(
                N_("{name} contains half of a surrogate pair"), N_("send complete Unicode characters"), name=name
            )
    return found


def type_of_field(name: str) -> "type | tuple[type, ...]":
    kind = FIELDS.get(name)
    if kind is None:
        raise bad(
            N_("unknown field {name}"),
            N_("valid values: {names}"),
            name=name[:64],
            names=", ".join([*FIELDS, FILE_FIELD]),
        )
    return (int, float) if kind is float else kind


def form(content_type: str, body: parameters.Body) -> SendRequest:
    found: dict[str, str] = {}
    upload = Attached()
    try:
        for name, value in parameters.values_of("", content_type, body):
            if name == FILE_FIELD:
                upload = Attached(value)
                if not upload:
                    raise bad(N_("the file is empty"), N_("nothing was sent; choose a file with content"))
            elif name != "token":  # who calls was checked
                type_of_field(name)
                found[name] = parameters.text_of(name, value)
        if upload and not found.get("media_name"):
            found["media_name"] = parameters.file_name_of(content_type, body, FILE_FIELD)
    except parameters.BadParameter as problem:
        raise bad(problem.text, problem.remedy_text) from None
    return SendRequest(found, upload)


def seconds_in(sent: SendRequest, name: str, limit: float) -> float | None:
    """Return a number of seconds, None when it is not given. Raises RequestRefused."""
    value = sent.get(name)
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MAX_HOLD:
        raise bad(
            N_("{name} is not a number of seconds"), N_("use a number from 0 to {most}"), name=name, most=int(limit)
        )
    return min(seconds, limit)


def flag_in(sent: SendRequest, name: str) -> bool:
    value = sent.get(name)
    if value not in ("", "0", "1", "true", "false"):
        raise bad(N_("{name} must be {type}"), REMEDY, name=name, type=Text("true or false"))
    return value in ("1", "true")
