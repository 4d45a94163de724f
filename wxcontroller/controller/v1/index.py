"""All calls of /v1."""

from wxcontroller.controller.v1 import (
    accounts,
    admission,
    alerts,
    consumers,
    deliveries,
    events,
    health,
    journalstream,
    messages,
    openapi,
    options,
    pairings,
    qr,
    sends,
    targets,
    tokens,
)

CALLS = (
    *openapi.CALLS,
    *admission.CALLS,
    *health.CALLS,
    *accounts.CALLS,
    *options.CALLS,
    *qr.CALLS,
    *journalstream.CALLS,
    *events.CALLS,
    *messages.CALLS,
    *sends.CALLS,
    *deliveries.CALLS,
    *alerts.CALLS,
    *tokens.CALLS,
    *consumers.CALLS,
    *pairings.CALLS,
    *targets.CALLS,
)
