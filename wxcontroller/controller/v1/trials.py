"""Trials of an account's webhook and proxy: made by its own process, which alone is where they count."""

from aiohttp import web

from wxcontroller.controller.account_port.proxy import pass_on_v1
from wxcontroller.controller.errors import OlderVersion
from wxcontroller.controller.v1.calls import NAME, PASSED_ON, RoutedCall
from wxcontroller.core.messages import N_
from wxcontroller.openwx import described_trials


async def attempt(request: web.Request) -> web.StreamResponse:
    """POST /v1/accounts/{name}/webhook/test and …/proxy/test: passed on; programs of 2.0.0 know neither."""
    response = await pass_on_v1(request)
    if response.status == 404 and not response.prepared:
        raise OlderVersion(
            N_("account {account} runs an older version, which does not support this test"),
            N_("restart it: wxctl restart {account}"),
            account=request.match_info["name"],
        )
    return response


CALLS = tuple(
    RoutedCall(route, attempt) for route in described_trials.routes("/v1/accounts/{name}", (NAME,), PASSED_ON)
)
