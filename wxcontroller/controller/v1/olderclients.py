"""Calls that programs of earlier versions do not know: accounts keep running their code after an upgrade."""

from aiohttp import web

from wxcontroller.controller.account_port.proxy import PASSED_BODY_BYTES, pass_on_v1
from wxcontroller.controller.context import context
from wxcontroller.controller.errors import OlderVersion
from wxcontroller.core.commands import command
from wxcontroller.core.messages import N_


async def pass_on_newer(request: web.Request, body_bytes: int = PASSED_BODY_BYTES) -> web.StreamResponse:
    """Pass a call on as ``pass_on_v1``. Raises OlderVersion for a program that has no such path."""
    response = await pass_on_v1(request, body_bytes)
    body = response.body if isinstance(response, web.Response) else None
    if response.status == 404 and isinstance(body, bytes) and b'"no-such-path"' in body:
        raise older_program(context(request).accounts.account(request.match_info["name"]).name.name)
    return response


def older_program(account: str) -> OlderVersion:
    """Return the failure of a call that an account's program does not know."""
    return OlderVersion(
        N_("account {account} runs an older version, which does not support this call"),
        N_("restart it: {restart}"),
        account=account,
        restart=command("restart", account),
    )
