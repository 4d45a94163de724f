"""Messages, chats and people: passed on to the account's program, which older versions of it do not know."""

from aiohttp import web

from wxcontroller.controller.context import context
from wxcontroller.controller.v1.calls import NAME, PASSED_ON, RoutedCall
from wxcontroller.controller.v1.newer import pass_on_newer
from wxcontroller.openwx import described_messages


async def passed_on(request: web.Request) -> web.StreamResponse:
    """Pass a request on, whose body may be as large as an upload."""
    return await pass_on_newer(request, context(request).settings.max_body)


CALLS = tuple(
    RoutedCall(route, passed_on) for route in described_messages.routes("/v1/accounts/{name}", (NAME,), PASSED_ON)
)
