"""All calls of /v1."""

from wxcontroller.controller.v1 import (
    accounts,
    admission,
    alerts,
    deliveries,
    events,
    health,
    journalstream,
    messages,
    openapi,
    options,
    qr,
    sends,
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
)
