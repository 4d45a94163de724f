"""Messages, chats and people: passed on to the account's program, which older versions of it do not know."""

from aiohttp import web

from wxcontroller.controller.account_port.proxy import pass_on_v1
from wxcontroller.controller.context import context
from wxcontroller.controller.errors import OlderVersion
from wxcontroller.controller.v1.calls import NAME, PASSED_ON, RoutedCall
from wxcontroller.core.commands import command
from wxcontroller.core.messages import N_
from wxcontroller.openwx import described_messages


async def passed_on(request: web.Request) -> web.StreamResponse:
    """Pass a request on, whose body may be as large as an upload."""
    response = await pass_on_v1(request, context(request).settings.max_body)
    body = response.body if isinstance(response, web.Response) else None
    if response.status == 404 and isinstance(body, bytes) and b'"no-such-path"' in body:
        view = await context(request).accounts.require(request.match_info["name"])
        name = view.account.name.name
        raise OlderVersion(
            N_("account {account} runs an older version, which does not support this call"),
            N_("restart it: {restart}"),
            account=name,
            restart=command("restart", name),
        )
    return response


CALLS = tuple(
    RoutedCall(route, passed_on) for route in described_messages.routes("/v1/accounts/{name}", (NAME,), PASSED_ON)
)
