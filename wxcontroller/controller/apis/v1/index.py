"""All calls of /v1, and with them all endpoints of the controller."""

from wxcontroller.controller.apis.v1 import accesscheck, openapi
from wxcontroller.controller.apis.v1.account import (
    accountcalls,
    consumercalls,
    deliverycalls,
    eventcalls,
    journalstream,
    loginlinkcalls,
    messagecalls,
    optioncalls,
    qrcall,
    sendcalls,
    trialcalls,
)
from wxcontroller.controller.apis.v1.host import (
    alertcalls,
    fleetcalls,
    health,
    moves,
    pairingcalls,
    targetcalls,
    tokencalls,
)
from wxcontroller.core.access import rights

CALLS = (
    *openapi.CALLS,
    *accesscheck.CALLS,
    *health.CALLS,
    *accountcalls.CALLS,
    *optioncalls.CALLS,
    *qrcall.CALLS,
    *loginlinkcalls.CALLS,
    *journalstream.CALLS,
    *eventcalls.CALLS,
    *messagecalls.CALLS,
    *sendcalls.CALLS,
    *trialcalls.CALLS,
    *deliverycalls.CALLS,
    *alertcalls.CALLS,
    *tokencalls.CALLS,
    *fleetcalls.CALLS,
    *consumercalls.CALLS,
    *pairingcalls.CALLS,
    *targetcalls.CALLS,
    *moves.CALLS,
)
ENDPOINTS = tuple(dict.fromkeys((*(each.endpoint for each in CALLS), *rights.CONTROLLER)))
