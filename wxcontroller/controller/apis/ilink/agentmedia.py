"""Media of agents. The URL alone is the secret: it begins with the account and the consumer that it was made for.

The account checks the secret. The controller only finds the account, and checks that the consumer's token is still
valid. Uploads and downloads stream.
"""

from aiohttp import web

from wxcontroller.controller.account_port.backends import SENT_BACK
from wxcontroller.controller.account_port.portfailures import PortFailure
from wxcontroller.controller.apis.ilink.agentcalls import no_such_call
from wxcontroller.controller.apis.ilink.ilinkanswers import FAILED, failure
from wxcontroller.controller.callers.authentication import holder
from wxcontroller.controller.context import context
from wxcontroller.controller.edge.authorization import as_caller
from wxcontroller.controller.forwarding.proxy import pass_on
from wxcontroller.openwx.http import parameters

_PARAMETER = "encrypted_query_param"
MEDIA_SENT_BACK = SENT_BACK | {"x-encrypted-param", "x-error-message"}
_NO_MEDIA = "no such media"


def instance_in(request: web.Request) -> str:
    """Return the account that a URL of media names, "" for none."""
    return request.query.get(_PARAMETER, "").partition(".")[0]


async def pass_on_media(request: web.Request) -> web.StreamResponse:
    """POST /ilink/c2c/upload and GET /ilink/c2c/download: pass the request on to the account that its URL names."""
    shared = context(request)
    if not shared.settings.ilink_serve:
        return await no_such_call(request)
    instance, rest = instance_in(request), request.query.get(_PARAMETER, "").partition(".")[2]
    consumer = shared.gate.consumers.find(instance, rest.rpartition(".")[0])
    account = shared.accounts.registry.find(instance) if consumer else None
    if consumer is None or account is None:
        return failure(FAILED, _NO_MEDIA, 404)
    as_caller(request, holder(consumer.token))
    call = request.path.rpartition("/")[2]
    try:
        return await pass_on(
            request, account, f"/ilink/c2c/{call}?{parameters.query_of(request.raw_path)}", sent_back=MEDIA_SENT_BACK
        )
    except PortFailure as problem:
        return failure(FAILED, problem.text, 502)
