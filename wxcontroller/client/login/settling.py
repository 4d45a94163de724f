"""Settling an account on a host that was away while another one adopted it, in a fleet with etcd. It no longer
connects to WeChat. Undelivered reports are delivered, under the epoch in which they were received. Queued sends end
as not sent, and their senders are informed.
"""

import asyncio
import logging

from wxcontroller.client.deliveries.delivery import Delivery
from wxcontroller.client.sends.queue import SendQueue
from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.core.condition.verdict import Cause

log = logging.getLogger(__name__)
# Time for the webhook. It is short because other hosts refuse calls for the account while two hosts have a process of
# it.
_SECONDS = 30.0
_LOOK_SECONDS = 0.1


async def settle(
    adopter: str, sends: SendQueue, events: EventLog, delivery: Delivery, stopping: asyncio.Event
) -> bool:
    """End all sends, and deliver all reports; return whether that is done before ``stopping``.

    Sends end as refused (``moved``), or as unknown if they may have arrived.
    """
    # Before that, "no sends" could mean that they have not been read yet.
    await sends.until_taken_up()
    log.info(
        "host %s has taken the account over: %d queued sends end here; reports are still delivered",
        adopter,
        len(sends),
    )
    sends.stop_accepting()
    sends.over(Cause.MOVED)

    def is_done() -> bool:
        return not (sends.unsettled() or events.writing or (delivery.address and events.counts.waiting))

    try:
        async with asyncio.timeout(_SECONDS):
            while not (is_done() or stopping.is_set()):
                await asyncio.sleep(_LOOK_SECONDS)
                await events.settled(_LOOK_SECONDS)  # results of deliveries wait for other changes
    except TimeoutError:
        log.warning(
            "%d reports are not delivered yet: %s", events.counts.waiting, delivery.last_error or "not enough time"
        )
    return is_done()
