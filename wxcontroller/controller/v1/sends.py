"""Sends that have not ended and reply windows, which only the account's program knows."""

from collections.abc import Mapping

from wxcontroller.controller.account_port.proxy import pass_on_v1
from wxcontroller.controller.v1.calls import Calls
from wxcontroller.controller.v1.messages import VERDICT, VERDICT_OPTIONAL
from wxcontroller.core.records.messages import CancelledSend, SendList, SendRecord, TypingRecord
from wxcontroller.openwx.describing import SWITCH, TEXT, WHOLE, Parameter, Schema, listing, maybe, record, ref, word

# Codes of refused requests, in addition to those of every request.
CODES = ("no-such-send", "being-sent")
_NEVER = "in seconds since 1970; null: never"
SCHEMAS: Mapping[str, Schema] = {
    "Send": record(
        {
            "id": (TEXT, "id in the response to the call"),
            "peer": (TEXT, "the recipient"),
            "is_group": (SWITCH, "whether that is a group"),
            "kind": (TEXT, "text, image, video or file"),
            "interim": (SWITCH, "whether it is progress, which may be dropped"),
            "urgent": (SWITCH, "whether it is sent before others"),
            "queued_at": (WHOLE, "when it was queued, in seconds since 1970"),
            "attempts_left": (WHOLE, "attempts that are left"),
            **VERDICT,
        },
        ("interim", "urgent", "queued_at", "attempts_left", "detail", *VERDICT_OPTIONAL),
        "a message to be sent; interim, urgent, queued_at and attempts_left are not kept after it has ended",
    ),
    "Window": record(
        {
            "peer": (TEXT, "the person"),
            "state": (
                word("open", "low", "spent", "closed", "throttled", "never"),
                "never: the person has not written",
            ),
            "opened": (maybe(WHOLE), f"time of the person's last message, {_NEVER}"),
            "closes": (maybe(WHOLE), f"end of the window, {_NEVER}"),
            "sent": (WHOLE, "messages sent in this window"),
            "limit": (WHOLE, "messages in a window; 0: any number"),
            "left": (WHOLE, "messages that both limits still allow"),
            "held": (WHOLE, "messages that are held for the person"),
            "held_since": (maybe(WHOLE), f"when the oldest of them was queued, {_NEVER}"),
            "restricted": (SWITCH, "whether WeChat accepts messages for the person but shows none"),
        },
        meaning="reply window of a person, on routes that have one",
    ),
    "Sending": record(
        {
            "sent_24h": (WHOLE, "messages sent in the last 24 hours, to all people"),
            "limit_24h": (WHOLE, "the limit for them; 0: none"),
            "limit_24h_from": (word("unset", "set", "learned"), "learned: derived from refusals"),
            "limit_24h_until": (maybe(WHOLE), "end of a learned limit, in seconds since 1970; null: none"),
            "limit_24h_refusals": (
                listing(record({"time": WHOLE, "sent_24h": WHOLE})),
                "the refusals from which it is derived, with the messages sent in 24 hours before each",
            ),
            "throttled_until": (maybe(WHOLE), f"the time until which nothing is sent, {_NEVER}"),
            "held": (WHOLE, "messages that are held for all persons"),
            "left": (maybe(WHOLE), "messages that the most used window still allows; null: nobody has written"),
            "accepted_without_id": (WHOLE, "messages in a row that WeChat accepted without an id"),
            "media": (word("allowed", "refused"), "whether WeChat lets the account send media"),
            "media_since": (maybe(WHOLE), f"since when WeChat refuses media, {_NEVER}"),
            "revived": (WHOLE, "sessions that were found valid again after an error, since the start"),
        },
        meaning="limits of the account on a route with reply windows",
    ),
}
_ID = Parameter("id", "the send's id", place="path")
CALLS = Calls()
CALLS.forwarded(
    "GET sends",
    "messages that wait to be sent or are held, in order",
    record({"sends": listing(ref("Send")), "more": (SWITCH, "whether more are waiting than are listed")}, ("more",)),
    decoded=SendList,
)(pass_on_v1)
CALLS.forwarded(
    "GET sends/{id}",
    "one by its id, including finished ones",
    ref("Send"),
    parameters=(_ID,),
    decoded=SendRecord,
)(pass_on_v1)
CALLS.forwarded(
    "POST typing",
    "show or end the typing indicator for a person; shown: whether it is shown",
    record({"peer": TEXT, "on": SWITCH, "shown": SWITCH}),
    body=record({"peer": TEXT, "on": SWITCH}, ("on",)),
    decoded=TypingRecord,
)(pass_on_v1)
CALLS.forwarded(
    "DELETE sends/{id}",
    "cancel one that waits, is held, or has its file uploaded; it is reported as not sent. 409 being-sent: WeChat "
    "may have it already",
    record({"id": TEXT, "state": word("refused")}),
    parameters=(_ID,),
    decoded=CancelledSend,
)(pass_on_v1)
