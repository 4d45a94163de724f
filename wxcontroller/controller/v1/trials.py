"""Trials of an account's webhook and proxy: made by its own process, which alone is where they count."""

from wxcontroller.controller.v1.calls import NAME, PASSED_ON, RoutedCall
from wxcontroller.controller.v1.newer import pass_on_newer
from wxcontroller.openwx import described_trials

CALLS = tuple(
    RoutedCall(route, pass_on_newer) for route in described_trials.routes("/v1/accounts/{name}", (NAME,), PASSED_ON)
)
