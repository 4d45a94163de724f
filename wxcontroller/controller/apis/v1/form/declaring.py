"""A call of /v1, declared once, above its handler: its path, its scope, its meaning, its parameters and its answer.

The router, the check of access and the OpenAPI document follow from that. Calls that an account's program answers are
declared with what passes them on; their scopes are in core/access/rights.py, because the program checks them, too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import web

from wxcontroller.controller.apis.v1.form.recordschemas import described
from wxcontroller.controller.edge.failureanswers import Handler
from wxcontroller.core.access import rights
from wxcontroller.core.access.rights import About, Endpoint, Scope
from wxcontroller.core.records.decoding import WireRecord
from wxcontroller.openwx.contract.describing import (
    TEXT,
    Answer,
    DescribedRoute,
    Parameter,
    Schema,
    listing,
    record,
)

# Failures of any request.
ALWAYS = (400, 403, 408, 413, 431, 500, 502, 503, 505)
# Of one about an account: it may be on another host, which does not answer in time, or on two.
_ABOUT_ACCOUNT = (404, 409, 504)
# Additional ones of calls forwarded to the account's program.
_PASSED_ON = (415,)
_NAME = Parameter("name", "the account's name or its instance id", place="path")
IGNORED = record({"ignored": listing(TEXT)}, ("ignored",))
H = TypeVar("H", bound=Handler)


@dataclass(frozen=True, slots=True)
class RoutedCall:
    """A described route and its handler; ``pattern`` is its path for the router, if that is another one.

    ``endpoint`` is by what its callers are checked.
    ``record`` is the type of an answer that an account or another host gives, None for one that passes unread.
    """

    route: DescribedRoute
    endpoint: Endpoint
    handler: Handler
    pattern: str = ""
    record: type[WireRecord] | None = None

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Route the call; HEAD is answered wherever GET is."""
        path = self.pattern or self.route.path
        if self.route.method == "GET":
            router.add_get(path, self.handler)
        else:
            router.add_route(self.route.method, path, self.handler)


class Calls(list[RoutedCall]):
    """The calls of a module."""

    def route(
        self,
        call: str,
        scope: Scope | None,
        meaning: str,
        answer: Answer | type[WireRecord],
        failures: tuple[int, ...] = (),
        parameters: tuple[Parameter, ...] = (),
        body: Schema | None = None,
        upload: Schema | None = None,
        also: dict[int, Answer] | None = None,
        status: int = 200,
        pattern: str = "",
        decoded: type[WireRecord] | None = None,
        about: About | None = None,
    ) -> Callable[[H], H]:
        """Declare the call ``METHOD PATH`` below /v1, which the decorated function handles.

        ``also`` are its other answers. ``decoded`` is the record of an answer that an account or another host gives
        (controller/forwarding/rewriting.py), if ``answer`` is not that record.
        """
        if isinstance(answer, type):
            decoded, answer = answer, described(answer)
        method, _, path = call.partition(" ")
        named, failed = ((_NAME,), _ABOUT_ACCOUNT) if "{name}" in path else ((), ())
        endpoint = Endpoint((method,), f"/v1/{path}", scope, about or _about(path, scope))
        route = DescribedRoute(
            method,
            endpoint.path,
            meaning,
            {status: answer, **(also or {})},
            scope,
            (*named, *parameters),
            body,
            failures=(*ALWAYS, *failed, *failures),
            tag="v1",
            upload=upload,
        )

        def declared(handler: H) -> H:
            self.append(RoutedCall(route, endpoint, handler, pattern and f"/v1/{pattern}", decoded))
            return handler

        return declared

    def forwarded(
        self, call: str, meaning: str, answer: Answer | type[WireRecord], failures: tuple[int, ...] = (), **more: Any
    ) -> Callable[[H], H]:
        """Declare a call of an account's program (``access.PROGRAM``); ``more`` is as in ``route``."""
        method, _, path = call.partition(" ")
        scope = rights.of_own_port(method, f"/v1/{path}").scope
        failures = (*_PASSED_ON, *failures)
        return self.route(f"{method} accounts/{{name}}/{path}", scope, meaning, answer, failures, **more)


def _about(path: str, scope: Scope | None) -> About:
    """Return how most calls name their accounts. Those for administrators are about this host, and never forwarded:
    an account that is being moved is on two hosts for a moment.
    """
    if "{name}" in path:
        return About.NAME
    if scope is None or not scope.in_ladder:
        return About.NOTHING
    return About.MACHINE if scope is Scope.ADMIN else About.OWN
