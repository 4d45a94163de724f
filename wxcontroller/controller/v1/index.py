"""All calls of /v1, and with them all endpoints of the controller."""

from wxcontroller.controller.v1 import (
    accounts,
    admission,
    alerts,
    consumers,
    deliveries,
    events,
    fleet,
    health,
    journalstream,
    loginlinks,
    messages,
    moves,
    openapi,
    options,
    pairings,
    qr,
    sends,
    targets,
    tokens,
    trials,
)
from wxcontroller.core import access

CALLS = (
    *openapi.CALLS,
    *admission.CALLS,
    *health.CALLS,
    *accounts.CALLS,
    *options.CALLS,
    *qr.CALLS,
    *loginlinks.CALLS,
    *journalstream.CALLS,
    *events.CALLS,
    *messages.CALLS,
    *sends.CALLS,
    *trials.CALLS,
    *deliveries.CALLS,
    *alerts.CALLS,
    *tokens.CALLS,
    *fleet.CALLS,
    *consumers.CALLS,
    *pairings.CALLS,
    *targets.CALLS,
    *moves.CALLS,
)
ENDPOINTS = tuple(dict.fromkeys((*(each.endpoint for each in CALLS), *access.CONTROLLER)))
