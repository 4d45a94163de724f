"""Every decoder of external bytes."""

import logging

from tests.fuzz.targets import accounts, callers, ilink, ports, webhooks, wechat

TARGETS = [*ports.TARGETS, *callers.TARGETS, *wechat.TARGETS, *ilink.TARGETS, *webhooks.TARGETS, *accounts.TARGETS]

# Refusals are logged, and most inputs are refused.
logging.getLogger().addHandler(logging.NullHandler())
