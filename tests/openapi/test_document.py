"""The OpenAPI document: valid, and about the routes, parameters and codes that there are."""

import json
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import cast

import pytest
from aiohttp import web
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from tests.openapi.validating import Judge, plain_path
from tests.unit.controller.machine import Machine
from wxcontroller.controller.app import application
from wxcontroller.controller.v1.described import openapi as of_controller
from wxcontroller.core import access
from wxcontroller.core.jsontypes import JsonObject

# Routes that answer what is not there, or a browser's question before a call.
NOT_CALLS = {
    *(("*", path) for path in ("/openwx", "/openwx/", "/openwx/{rest}")),
    ("OPTIONS", "/{path}"),
    *((method, "/v1/{rest}") for method in ("GET", "POST", "PUT", "PATCH", "DELETE")),
}


@pytest.fixture
def document() -> JsonObject:
    written: JsonObject = json.loads(json.dumps(of_controller()))
    return written


def test_it_is_valid(document: JsonObject) -> None:
    validate(cast("Mapping[Hashable, object]", document), cls=OpenAPIV31SpecValidator)


def routes(app: web.Application) -> Iterator[tuple[str, str]]:
    """Yield method and path of every route that is a call. HEAD comes with GET."""
    paths = {plain_path(resource.canonical) for resource in app.router.resources()}
    for route in app.router.routes():
        assert route.resource is not None
        path = plain_path(route.resource.canonical)
        if access.call_path(path) in paths:
            path = access.call_path(path)  # a slash or a format at the end makes no other call
        found = (route.method, path)
        if route.method != "HEAD" and found not in NOT_CALLS:
            yield found


async def test_the_controllers_routes_are_those_described(tmp_path: Path) -> None:
    async with Machine(tmp_path) as host:
        made = {found for found in routes(application(host.shared)) if found[1].startswith(("/v1", "/openwx"))}
    described = set(Judge(of_controller()).operations())
    assert made - described == set(), "described nowhere: declare them as a call of their module"
    # What is passed on is what accounts answer; a test of the accounts' port compares that table with its router.
    answered = {(method, endpoint.path) for endpoint in access.ACCOUNT for method in endpoint.methods}
    assert described - made == answered - made
