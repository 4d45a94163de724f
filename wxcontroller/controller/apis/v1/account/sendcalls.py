"""Sends that have not ended and reply windows, which only the account's program knows."""

from collections.abc import Mapping

from wxcontroller.controller.apis.v1.form.declaring import Calls
from wxcontroller.controller.apis.v1.form.recordschemas import schema_of, schemas_of
from wxcontroller.controller.forwarding.proxy import pass_on_v1
from wxcontroller.core.records.accountrecords import SendingRecord, WindowRecord
from wxcontroller.core.records.messagerecords import CancelledSend, SendList, SendRecord, TypingRecord
from wxcontroller.openwx.contract.describing import SWITCH, TEXT, Parameter, Schema, record

# Codes of refused requests, in addition to those of every request.
CODES = ("no-such-send", "being-sent")
SCHEMAS: Mapping[str, Schema] = {
    "Send": schema_of(SendRecord, optional=("detail",)),
    **schemas_of(WindowRecord, SendingRecord),
}
_ID = Parameter("id", "the send's id", place="path")
CALLS = Calls()
CALLS.forwarded(
    "GET sends",
    "messages that wait to be sent or are held, in order",
    SendList,
)(pass_on_v1)
CALLS.forwarded(
    "GET sends/{id}",
    "one by its id, including finished ones",
    SendRecord,
    parameters=(_ID,),
)(pass_on_v1)
CALLS.forwarded(
    "POST typing",
    "show or end the typing indicator for a person; shown: whether it is shown",
    TypingRecord,
    body=record({"peer": TEXT, "on": SWITCH}, ("on",)),
)(pass_on_v1)
CALLS.forwarded(
    "DELETE sends/{id}",
    "cancel one that waits, is held, or has its file uploaded; it is reported as not sent. 409 being-sent: WeChat "
    "may have it already",
    CancelledSend,
    parameters=(_ID,),
)(pass_on_v1)
