"""Every decoder of bytes from outside, by name: the inventory."""

import logging

from tests.fuzz.target import Target
from tests.fuzz.targets import (
    account,
    alerts,
    bundles,
    edge,
    fleet,
    ilink,
    log,
    machine,
    mcp,
    notify,
    tokens,
    wechat,
    wxctl,
)

TARGETS: dict[str, Target] = {
    target.name: target
    for part in (edge, wechat, ilink, account, alerts, bundles, fleet, log, machine, mcp, notify, tokens, wxctl)
    for target in part.TARGETS
}

# What is refused is logged, and here that is nearly everything.
logging.getLogger().addHandler(logging.NullHandler())
