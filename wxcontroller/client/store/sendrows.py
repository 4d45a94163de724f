"""Sends and their content as rows of the database, and back. The statements are in ``sends``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wxcontroller.client.sends.model.send import NEVER_AGAIN, Media, Send, quoted_from
from wxcontroller.client.sends.model.sendstates import SendStep
from wxcontroller.client.store.mediaids import MEDIA_KINDS, upload_from_json, upload_to_json
from wxcontroller.client.store.tables.lostsends import LOST_ROW
from wxcontroller.client.store.tables.values import as_float, as_int
from wxcontroller.core.condition.verdict import Cause, SendState, Verdict
from wxcontroller.core.jsontypes import JsonObject, integer, kept_json, text
from wxcontroller.core.model import MessageKind
from wxcontroller.core.text.templates import N_, Text
from wxcontroller.drivers.base import Upload
from wxcontroller.openwx.contract.media import MediaFacts

Row = tuple[object, ...]
# Why some sends can no longer go out.
_ADOPTED = N_("the host that had the account before may have sent it")
_NEVER = {
    NEVER_AGAIN: Verdict(SendState.UNKNOWN, Cause.NO_ANSWER, Text(_ADOPTED)),
    LOST_ROW: Verdict(SendState.REFUSED, Cause.DAMAGED),
}
_OTHER_ROUTE = Verdict(SendState.REFUSED, Cause.OTHER_ROUTE)
# The stored facts of media, beside their kind.
_WORDS, _NUMBERS = ("id", "path", "name", "mime", "ext", "md5"), ("size", "mtime", "chunks")


def send_row(send: Send, route: str, media: int | None) -> Row:
    """Return the columns of a send, after its message and before ``media`` unchanged."""
    return (
        send.bundle,
        *(send.queued_at, send.tried, send.login, send.target, send.is_group, send.content, send.client_id),
        *(send.attempts_left, send.origin, send.sides, send.request or None, send.interim, send.hold_until),
        route,
        send.urgent,
        json_text(send.quoted.as_json()) if send.quoted else "",
        media,
    )


def send_of(row: Row, media: Mapping[int, Media], own_route: str) -> tuple[Send, Verdict | None]:
    """Return a send of an earlier process, and its verdict if it can no longer go out."""
    seq, queued_at, tried, login, target, is_group, content, client_id, attempts_left, origin, *more = row
    sides, number, request, interim, hold_until, strikes, struck, route, urgent, quote, place, begun = more
    # Content that is missing because the database was damaged: the send fails when its turn comes.
    lost = Media(MediaFacts(MessageKind.FILE), id=as_int(number))
    # LOST: the process ended between handing it to WeChat and storing the result.
    step = SendStep.LOST if as_float(tried) > 0 else SendStep.QUEUED
    send = Send(
        target=str(target),
        is_group=bool(is_group),
        content=str(content),
        media=media.get(as_int(number), lost) if number else None,
        origin=str(origin),
        login=str(login),
        sides=str(sides),
        client_id=str(client_id),
        request=str(request) if request else "",
        seq=as_int(seq),
        queued_at=as_float(queued_at),
        tried=as_float(tried),
        attempts_left=as_int(attempts_left),
        step=step,
        verdict=Verdict(step.state),
        bundle=f"place {as_int(place)}",
        begun=bool(begun),
        interim=bool(interim),
        urgent=bool(urgent),
        hold_until=as_float(hold_until),
        strikes=as_int(strikes),
        struck=as_float(struck),
        quoted=quoted_from(quote),
    )
    return send, _NEVER.get(send.attempts_left) or (None if route == own_route else _OTHER_ROUTE)


def media_row(media: Media) -> Row:
    """Return the columns of content: the request's text, the file and its facts, and WeChat's reference."""
    stored: JsonObject = {}
    if media.ready:
        forced = media.file is not None and media.file.kind is MessageKind.FILE
        stored = {**facts_to_json(media.facts), "has_file": media.file is not None, "forced": forced}
    uploaded = upload_to_json(media.uploaded) if media.uploaded else {}
    return json.dumps(dict(media.params)), str(media.kept or ""), json_text(stored), json_text(uploaded)


def media_of(row: Row) -> Media:
    number, params, file, facts, uploaded = row
    kept, stored = Path(str(file)) if file else None, kept_json(facts)
    media = Media(
        facts_from_json(stored),
        {name: text(value) for name, value in kept_json(params).items()},
        uploaded=upload_from_json(kept_json(uploaded)),
        kept=kept,
        id=as_int(number),
    )
    if kept is not None and stored.get("has_file") is True:
        forced = MessageKind.FILE if stored.get("forced") is True else None
        media.file = Upload(kept, media.facts.name, media.facts.mime, media.facts.size, forced)
    return media


def facts_to_json(facts: MediaFacts) -> JsonObject:
    """Return them for ``facts_from_json``."""
    return {"kind": facts.kind.value, **{name: getattr(facts, name) for name in (*_WORDS, *_NUMBERS)}}


def facts_from_json(kept: JsonObject) -> MediaFacts:
    words: dict[str, Any] = {name: text(kept.get(name)) for name in _WORDS}
    numbers: dict[str, Any] = {name: integer(kept.get(name)) for name in _NUMBERS}
    return MediaFacts(MEDIA_KINDS.get(text(kept.get("kind")), MessageKind.FILE), **words, **numbers)


def json_text(value: JsonObject) -> str:
    return json.dumps(value) if value else ""
