"""Sends that have not ended, which only the account's program knows."""

from wxcontroller.controller.account_port.proxy import pass_on_v1
from wxcontroller.controller.v1.calls import NAME, PASSED_ON, RoutedCall
from wxcontroller.openwx import described_sends

CALLS = tuple(
    RoutedCall(route, pass_on_v1) for route in described_sends.routes("/v1/accounts/{name}", (NAME,), PASSED_ON)
)
