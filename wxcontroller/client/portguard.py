"""Access to an account's port: for the controller, token holders and, while there are no tokens, local programs.

Web pages have no access. The controller shows the secret that this process made when it started, which is in a file
that the controller can read; with it come the scope of the controller's caller and whose token that is.
"""

import asyncio
import hmac
import logging
import secrets
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from wxcontroller.client.calls.call import json_answer
from wxcontroller.client.login.publicfiles import PublicFiles
from wxcontroller.client.sends.content.callbodies import BODIES
from wxcontroller.client.sends.content.holders import set_holder
from wxcontroller.client.v1.forms.v1answers import RequestRefused, refusal
from wxcontroller.core.access import rights
from wxcontroller.core.access.porttokens import port_book
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.access.tokenfile import digest, token_id
from wxcontroller.core.config.limits import DEFAULTS
from wxcontroller.core.failurelimit import FailureLimiter, caller_of
from wxcontroller.core.paths import Paths
from wxcontroller.core.process.journal import Event, fields
from wxcontroller.core.process.summaries import cause
from wxcontroller.core.text.templates import N_
from wxcontroller.openwx.contract import replies
from wxcontroller.openwx.http import credentials, crosssite, parameters
from wxcontroller.openwx.http.admission import (
    ADMISSION,
    EVERYTHING,
    UNKNOWN_BODY_SECONDS,
    Claim,
    claim_of_admitted,
    claim_of_unknown,
)

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_SCOPE = "scope of the caller"
_BY_CONTROLLER = "the controller calls"
AGENTS = "/ilink/"  # paths of the iLink API
_FOREIGN = N_("web pages may not call an account's own port; use the controller's port, 2000")
_HOW = N_(
    "a token that is bound to this account alone is needed here; use the controller's port, 2000, with any other"
)


class Guard:
    """Accepts requests or refuses them."""

    def __init__(
        self, instance: str, paths: Paths, files: PublicFiles, token_failures: int = DEFAULTS.token_failures
    ) -> None:
        self._instance = instance
        self._secret = secrets.token_hex(32)
        self._files = files
        self._path = paths.port_secret(self._instance)
        self._book = port_book(paths)
        self._limiter = FailureLimiter(token_failures=token_failures)

    def tell_controller(self) -> None:
        """Write the secret for the controller, which then expects this process to listen."""
        self._files.write(self._path, f"{self._secret}\n".encode())

    @property
    def headers(self) -> dict[str, str]:
        """The secret that this process shows when it calls itself, as poll_api does."""
        return {credentials.PORT_HEADER: f"{Scope.ADMIN} {self._secret}"}

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Serve a request, or refuse it. To be wrapped as a middleware."""
        # First, with any token: a page in a browser of this machine can also reach 127.0.0.1.
        if is_foreign(request):
            return json_answer(replies.reply(replies.REFUSED, _FOREIGN), 403)
        if request.path.startswith(AGENTS):
            # These calls always need a token, even while others need none. The controller checks it.
            if request.get(_BY_CONTROLLER) is None:
                return json_answer({"ret": -1, "errmsg": "agents call the controller's port, with their token"}, 403)
            return await handler(request)
        needed = scope_for(request)
        if needed is None:
            return await handler(request)
        scope = await self._scope(request)
        if scope is None or not scope.covers(needed):
            return self._refused(request, scope, needed)
        return await handler(request)

    def claim(self, request: web.Request) -> Claim:
        """Return the limits for a request according to its head; remember its caller."""
        scope, _, shown = request.headers.get(credentials.PORT_HEADER, "").partition(" ")
        # In constant time; as bytes, because a str with other characters than ASCII raises.
        same = hmac.compare_digest(shown.encode("utf-8", "surrogateescape"), self._secret.encode())
        if same and request.path.startswith(AGENTS):
            request[_BY_CONTROLLER] = True
            return EVERYTHING
        if same and scope in set(Scope):
            request[_SCOPE] = Scope(scope)
            set_holder(request, request.headers.get(credentials.HOLDER_HEADER, ""))
            return EVERYTHING
        # No token exists: as on the controller's port, programs of this machine may do everything.
        if not self._book.current().closed:
            request[_SCOPE] = Scope.ADMIN
            return EVERYTHING
        try:
            token = credentials.from_head(request.headers, request.raw_path)
        except parameters.BadParameter:  # the next reader of the query reports it
            token = None
        return self._claim_by_token(request, token)

    def _claim_by_token(self, request: web.Request, token: str | None) -> Claim:
        # Read again when the file has changed, so that a revoked token ends without a restart.
        found = self._book.current().find(self._instance, token, time.time()) if token is not None else None
        if token is None or found is None:
            return claim_of_unknown("")
        request[_SCOPE] = found.scope
        set_holder(request, token_id(token))
        return claim_of_admitted(digest(token), "", reserve=False)

    async def _scope(self, request: web.Request) -> Scope | None:
        """Return the caller's scope, None for an unknown caller. Raises Busy."""
        if _SCOPE not in request and (token := await presented(request)) is not None:
            claim = self._claim_by_token(request, token)
            request.app[ADMISSION].recognize(request, claim)
        scope: Scope | None = request.get(_SCOPE)
        return scope

    def _refused(self, request: web.Request, scope: Scope | None, needed: Scope) -> web.Response:
        if scope is None:
            problem = RequestRefused(401, "no-token", N_("the token that is needed is missing or not valid"), _HOW)
        else:
            problem = RequestRefused(
                403,
                "not-allowed",
                N_("that needs the scope {needed}"),
                N_("use a token with that scope; this one has {scope}"),
                needed=needed,
                scope=scope,
            )
        failure = self._limiter.failed(caller_of(request.remote))
        if failure.log:
            marks = {**fields(Event.ACCESS_REFUSED), **cause("refused")}  # 127.0.0.0/8 has many addresses
            log.warning("a call was refused: %s", problem.message, extra=marks)
        if failure.retry_after and scope is None:
            problem = RequestRefused(
                429,
                "too-many-failures",
                N_("too many calls without a valid token"),
                N_("wait {seconds} s, or use a valid token, which is accepted immediately"),
                seconds=failure.retry_after,
            )
        if request.path.startswith("/v1/"):
            answer = refusal(problem)
        else:
            # /openwx has 403 where /v1 has 401 (openwx-api 5.1 no. 7).
            answer = json_answer({**replies.AUTH_FAILURE, "reason": str(problem)}, max(problem.status, 403))
        if problem.status == 401:
            answer.headers["WWW-Authenticate"] = 'Bearer realm="wxclient"'
        if problem.status == 429:
            answer.headers["Retry-After"] = str(failure.retry_after)
        return answer


def scope_for(request: web.Request) -> Scope | None:
    """Return the scope that a request needs: for /v1 by its route, for other calls by the path as sent. None: no
    token.
    """
    path = request.raw_path.partition("#")[0].partition("?")[0]
    resource = request.match_info.route.resource
    if path.startswith("/v1/") and resource is not None:
        return rights.of_own_port(request.method, resource.canonical).scope
    return rights.of_call(path).scope


def is_foreign(request: web.Request) -> bool:
    headers = request.headers
    # All host names a proxy may have used, including one in the request's target.
    hosts: list[str | None] = [*headers.getall("Host", [])]
    target, separator, rest = request.raw_path.partition("://")
    if separator and not target.startswith("/"):
        hosts.append(rest.partition("/")[0])
    foreign = crosssite.foreign_origin(
        headers.get("Origin"), headers.get("Sec-Fetch-Site"), headers.get("Host"), allowed=()
    )
    return foreign or not all(crosssite.own_host(host, allowed=()) for host in hosts)


async def presented(request: web.Request) -> str | None:
    token = credentials.from_head(request.headers, request.raw_path)
    kind = request.headers.get("Content-Type", "")
    short = (request.content_length or 0) <= credentials.TOKEN_FORM_BYTES
    if token is None and short and request.can_read_body and parameters.holds_parameters(request.path, kind):
        try:
            async with asyncio.timeout(UNKNOWN_BODY_SECONDS):
                body = await request.app[BODIES].take(request, credentials.TOKEN_FORM_BYTES)
        except (TimeoutError, web.RequestPayloadError, web.HTTPRequestEntityTooLarge, web.HTTPUnsupportedMediaType):
            return None
        token = credentials.from_form(kind, body)
    return token


async def no_page(_: web.Request, response: web.StreamResponse) -> None:
    """Tell browsers neither to render nor to store a response. For ``on_response_prepare``."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Cache-Control", "no-store")
