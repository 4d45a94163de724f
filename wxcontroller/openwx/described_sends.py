"""Sends that have not ended, and reply windows, over HTTP, described."""

from wxcontroller.openwx.describing import (
    SWITCH,
    TEXT,
    WHOLE,
    DescribedRoute,
    Parameter,
    Schema,
    listing,
    maybe,
    record,
    ref,
    word,
)

# Codes of refused requests, besides those of every request.
CODES = ("no-such-send", "being-sent")
HOLDS = ("no-context", "window", "budget", "throttled", "restricted", "confirming", "offline")
REFUSALS = (
    *("bad-recipient", "no-peer", "too-large", "media-refused", "media-failed", "expired", "overtaken"),
    *("cancelled", "other-user", "other-route", "not-wanted", "refused-twice"),
)
STATES = ("waiting", "sending", "held", "delivered", "accepted", "refused", "unknown")
_NEVER = "in seconds since 1970; null: never"


def with_meaning(kind: Schema, meaning: str) -> Schema:
    return {**kind, "description": meaning}


_STATES = word("waiting", "held", "delivered", "accepted", "refused", "unknown")
# Additional fields of sends on routes with a reply window.
VERDICT: dict[str, Schema] = {
    "state": with_meaning(_STATES, "how it ended, or held; on routes with a reply window"),
    "refusal": with_meaning(word(*REFUSALS), "why it was refused, for programs"),
    "held_until": with_meaning(WHOLE, "when it is refused if it is still held, in seconds since 1970"),
    "position": with_meaning(WHOLE, "its place among the messages that are held for the person"),
    "parts": with_meaning(listing(WHOLE), "pieces that went out, and all of them"),
}
SCHEMAS: dict[str, Schema] = {
    "Send": record(
        {
            "id": with_meaning(TEXT, "its id, as the call answered it"),
            "peer": with_meaning(TEXT, "who gets it"),
            "is_group": with_meaning(SWITCH, "whether that is a group"),
            "kind": with_meaning(TEXT, "text, image, video or file"),
            "interim": with_meaning(SWITCH, "whether it is progress, which may be dropped"),
            "urgent": with_meaning(
                SWITCH, "whether it is sent before others; not reported by programs of version 2.0.0"
            ),
            "queued_at": with_meaning(WHOLE, "when it was queued, in seconds since 1970"),
            "attempts_left": with_meaning(WHOLE, "attempts that are left"),
            "state": with_meaning(word(*STATES), "its state, or its result"),
            "reason": with_meaning(maybe(word(*HOLDS, *REFUSALS)), "why it is held or was refused; null: neither"),
            "detail": with_meaning(maybe(TEXT), "more about the state, in words"),
            "held_until": with_meaning(maybe(WHOLE), "when it is refused if it is still held, in seconds since 1970"),
        },
        ("interim", "urgent", "queued_at", "attempts_left", "detail"),
        "a message to be sent; interim, urgent, queued_at and attempts_left are not kept after it has ended",
    ),
    "Window": record(
        {
            "peer": with_meaning(TEXT, "the person"),
            "state": with_meaning(
                word("open", "low", "spent", "closed", "throttled", "never"), "never: has not written"
            ),
            "opened": with_meaning(maybe(WHOLE), f"when the person wrote last, {_NEVER}"),
            "closes": with_meaning(maybe(WHOLE), f"when the window closes, {_NEVER}"),
            "sent": with_meaning(WHOLE, "messages sent since then"),
            "limit": with_meaning(WHOLE, "messages in a window; 0: any number"),
            "left": with_meaning(WHOLE, "messages that both limits still allow"),
            "held": with_meaning(WHOLE, "messages that are held for the person"),
            "held_since": with_meaning(maybe(WHOLE), f"when the oldest of them was queued, {_NEVER}"),
            "restricted": with_meaning(SWITCH, "whether WeChat accepts messages for the person but shows none"),
        },
        meaning="what can be sent to a person on a route with reply windows",
    ),
    "Sending": record(
        {
            "sent_24h": with_meaning(WHOLE, "messages sent in the last 24 hours, to everybody"),
            "limit_24h": with_meaning(WHOLE, "the limit for them; 0: none"),
            "limit_24h_from": with_meaning(word("unset", "set", "learned"), "learned: from a refusal"),
            "throttled_until": with_meaning(maybe(WHOLE), f"until when nothing is sent, {_NEVER}"),
            "held": with_meaning(WHOLE, "messages that are held for all persons"),
            "left": with_meaning(
                maybe(WHOLE), "messages that the most used window still allows; null: nobody has written"
            ),
            "accepted_without_id": with_meaning(WHOLE, "messages in a row that WeChat accepted without an id"),
            "media": with_meaning(word("allowed", "refused"), "whether WeChat lets the account send media"),
            "media_since": with_meaning(maybe(WHOLE), f"since when it does not, {_NEVER}"),
            "revived": with_meaning(WHOLE, "sessions that seemed to be over and were not, since the start"),
        },
        meaning="the limits of the account as a whole on such a route",
    ),
}


def routes(path: str, first: tuple[Parameter, ...], failures: tuple[int, ...]) -> tuple[DescribedRoute, ...]:
    """Return the calls below ``path`` (an account's in /v1); ``first`` are the path's own parameters."""
    one = (*first, Parameter("id", "the send's id", place="path"))
    found, gone = tuple(sorted({*failures, 404})), tuple(sorted({*failures, 404, 409}))
    return (
        DescribedRoute(
            *("GET", f"{path}/sends", "messages that wait to be sent or are held, in order"),
            {200: record({"sends": listing(ref("Send"))})},
            first,
            failures=failures,
            tag="v1",
        ),
        DescribedRoute(
            *("GET", f"{path}/sends/{{id}}", "one by its id, including ended ones"),
            {200: ref("Send")},
            one,
            failures=found,
            tag="v1",
        ),
        DescribedRoute(
            *("POST", f"{path}/typing", "show a person that somebody is typing, or end that; shown: whether it is"),
            {200: record({"peer": TEXT, "on": SWITCH, "shown": SWITCH})},
            first,
            record({"peer": TEXT, "on": SWITCH}, ("on",)),
            failures=tuple(sorted({*failures, 400, 408, 413, 415})),
            tag="v1",
        ),
        DescribedRoute(
            *("DELETE", f"{path}/sends/{{id}}", "give one up; it is reported as not sent"),
            {200: record({"id": TEXT, "state": word("refused")})},
            one,
            failures=gone,
            tag="v1",
        ),
    )
