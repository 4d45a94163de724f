"""A call of /v1, declared once, above its handler: its path, its meaning, its parameters and its answer.

Calls that an account's program answers are declared with what passes them on. The scopes that calls need are in the
one table of core/access.py, which a test holds against the router.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from aiohttp import web

from wxcontroller.controller.errors import Handler
from wxcontroller.core.records.decoding import WireRecord
from wxcontroller.openwx.describing import (
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
PASSED_ON = (415,)
_NAME = Parameter("name", "the account's name or its instance id", place="path")
IGNORED = record({"ignored": listing(TEXT)}, ("ignored",))
H = TypeVar("H", bound=Handler)


@dataclass(frozen=True, slots=True)
class RoutedCall:
    """A described route and its handler; ``pattern`` is its path for the router, if that is another one.

    ``record`` is the type of an answer that an account or another host gives, None for one that passes unread.
    """

    route: DescribedRoute
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
        method: str,
        path: str,
        meaning: str,
        answer: Answer,
        failures: tuple[int, ...] = (),
        parameters: tuple[Parameter, ...] = (),
        body: Schema | None = None,
        upload: Schema | None = None,
        also: dict[int, Answer] | None = None,
        status: int = 200,
        pattern: str = "",
        decoded: type[WireRecord] | None = None,
    ) -> Callable[[H], H]:
        """Declare the call ``/v1/PATH``, which the decorated function handles; ``also`` are its other answers.

        ``decoded`` is the record of an answer that an account or another host gives (``account_port.rewriting``).
        """
        about, failed = ((_NAME,), _ABOUT_ACCOUNT) if "{name}" in path else ((), ())
        route = DescribedRoute(
            method,
            f"/v1/{path}",
            meaning,
            {status: answer, **(also or {})},
            (*about, *parameters),
            body,
            failures=(*ALWAYS, *failed, *failures),
            tag="v1",
            upload=upload,
        )

        def declared(handler: H) -> H:
            self.append(RoutedCall(route, handler, pattern and f"/v1/{pattern}", decoded))
            return handler

        return declared


def both(*schemas: Schema) -> Schema:
    """Return the schema of values that match all of these."""
    return {"allOf": list(schemas)}
