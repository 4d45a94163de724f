"""A test event for the webhook: posted at once, outside of the queue; the caller gets the receiver's response.

It is signed and sent like every report, with its own id and the number 0. It is neither stored nor retried.
"""

import asyncio
import secrets
import time
from dataclasses import dataclass

import aiohttp

from wxcontroller.client.deliveries.lanes import Policy
from wxcontroller.client.deliveries.receivers import Receiver, posting
from wxcontroller.client.deliveries.signatures import report_headers
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.net.httpbody import Outgoing
from wxcontroller.core.net.unreachable import unreached
from wxcontroller.core.net.urls import url_of
from wxcontroller.core.text.templates import NOTHING, Text, text_fields
from wxcontroller.openwx.contract import reports
from wxcontroller.openwx.contract.replies import to_bytes

TEST_EVENT = "test"
# Enough of an answer to recognize an error page or the wrong program.
SHOWN_ANSWER_BYTES = 500


@dataclass(frozen=True, slots=True)
class Trial:
    """The result: ``status`` 0 and an ``error`` for no answer; ``answer`` is the beginning of the answer."""

    status: int
    seconds: float
    answer: str = ""
    error: Text = NOTHING

    def as_json(self) -> JsonObject:
        return {
            "status": self.status or None,
            "milliseconds": round(self.seconds * 1000),
            "answer": self.answer,
            **text_fields(error=self.error),
        }


async def try_webhook(receiver: Receiver, policy: Policy, account: str, epoch: int) -> Trial:
    """Post a test event. Failures of the receiver or the network are results, not exceptions."""
    body = to_bytes(reports.event(TEST_EVENT, account))
    headers = report_headers(receiver.secrets, f"test-{secrets.token_hex(8)}", 0, epoch, 1, body)
    began = time.monotonic()
    status = 0
    try:
        # A redirect is also an answer; ``receivers`` decides which ones reports follow. A connection of its own: the
        # test must neither wait for a report that is being posted nor delay it.
        async with (
            asyncio.timeout(policy.timeout),
            posting(receiver, policy) as poster,
            await poster.send(url_of(receiver.address), Outgoing(body), headers) as answer,
        ):
            status = answer.status
            beginning = await answer.content.read(SHOWN_ANSWER_BYTES)
    except (aiohttp.ClientError, OSError, ValueError) as problem:
        return Trial(status, time.monotonic() - began, error=unreached(problem))
    return Trial(status, time.monotonic() - began, beginning.decode("utf-8", "replace"))
