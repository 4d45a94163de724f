"""A call of /v1, declared once: its path, what handles it, and how it is described. Each module lists its own.

The scopes that calls need are in the one table of core/access.py, which a test holds against the router.
"""

from dataclasses import dataclass

from aiohttp import web

from wxcontroller.controller.errors import Handler
from wxcontroller.openwx.describing import (
    TEXT,
    Answer,
    DescribedRoute,
    Parameter,
    Schema,
    either,
    listing,
    record,
    ref,
)

# Failures of any request, and those of requests that only the account's program can answer.
ALWAYS = (400, 403, 408, 413, 431, 500, 502, 503, 505)
PASSED_ON = (*ALWAYS, 404, 409, 415, 504)
NAME = Parameter("name", "the account's name or its instance id", place="path")
IGNORED = record({"ignored": listing(TEXT)}, ("ignored",))


@dataclass(frozen=True, slots=True)
class RoutedCall:
    """A described route and its handler; ``pattern`` is its path for the router, if that is another one."""

    route: DescribedRoute
    handler: Handler
    pattern: str = ""

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Route the call; HEAD is answered wherever GET is."""
        path = self.pattern or self.route.path
        if self.route.method == "GET":
            router.add_get(path, self.handler)
        else:
            router.add_route(self.route.method, path, self.handler)


def call(
    method: str,
    path: str,
    handler: Handler,
    meaning: str,
    answer: Answer,
    failures: tuple[int, ...] = (),
    parameters: tuple[Parameter, ...] = (),
    body: Schema | None = None,
    troubled: Schema | None = None,
    status: int = 200,
) -> RoutedCall:
    """Return the call ``/v1/PATH``; ``troubled`` is what it answers with 503 besides an error."""
    about = (NAME,) if "{name}" in path else ()
    answers: dict[int, Answer] = {status: answer, **({503: either(troubled, ref("Error"))} if troubled else {})}
    # The account may be on another host, which does not answer in time, or on two.
    failed = tuple(dict.fromkeys((*ALWAYS, *((404, 409, 504) if about else ()), *failures)))
    route = DescribedRoute(
        method, f"/v1/{path}", meaning, answers, (*about, *parameters), body, failures=failed, tag="v1"
    )
    return RoutedCall(route, handler)


def both(*schemas: Schema) -> Schema:
    """Return the schema of what fits all of these."""
    return {"allOf": list(schemas)}
