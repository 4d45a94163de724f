"""Tests of an account's webhook and proxy, made by the account's process, from where they are used."""

from wxcontroller.controller.apis.v1.form.declaring import Calls
from wxcontroller.controller.forwarding.proxy import pass_on_v1
from wxcontroller.openwx.contract.describing import SWITCH, TEXT, WHOLE, Fields, maybe, record, texts

_ENDED: Fields = {"account": TEXT, "status": maybe(WHOLE), "milliseconds": WHOLE, **texts("error")}
CALLS = Calls()
CALLS.forwarded(
    "POST webhook/test",
    "send a signed test event to the webhook, and return its answer",
    record({**_ENDED, "answer": TEXT}),
)(pass_on_v1)
CALLS.forwarded(
    "POST proxy/test",
    "contact WeChat's host through a proxy, by default the current one",
    record({**_ENDED, "reached": SWITCH, "host": TEXT, **texts("remedy")}),
    body=record({"proxy": TEXT}, ("proxy",)),
)(pass_on_v1)
