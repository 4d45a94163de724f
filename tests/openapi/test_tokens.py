"""Once there are tokens: the ports ask for the scopes that the document names, and refusals are as described."""

import json
from pathlib import Path

from tests.openapi.validating import Judge
from tests.unit.controller.machine import Machine
from tests.unit.controller.test_access import bearer, token_of_each_scope
from wxcontroller.controller.v1.described import openapi as of_controller
from wxcontroller.core import access
from wxcontroller.core.access import Scope
from wxcontroller.core.jsontypes import items, obj, text

PARTS = {
    **dict.fromkeys(("name", "account"), "alice"),
    **{"id": "0badcafe-1", "file": "x", "consumer": "helper", "code": "x", "target": "ops"},
}


def needed(judge: Judge, method: str, path: str) -> Scope | None:
    """The scope that the document names, None where nothing is needed."""
    ways = items(judge.operation(method, path)["security"])
    named = {text(scope) for way in ways for scopes in obj(way).values() for scope in items(scopes)}
    assert len(named) <= 1
    return Scope(named.pop()) if named else None


async def test_every_call_needs_the_scope_that_is_described(tmp_path: Path) -> None:
    judge = Judge(of_controller())
    async with Machine(tmp_path) as host:
        await host.start("alice")
        shown = token_of_each_scope(host)

        async def ask(method: str, path: str, headers: dict[str, str]) -> int:
            address = f"{path.format(**PARTS)}?client=alice"
            async with host.http.request(method, address, headers=headers) as answer:
                judge.judge(method, path, answer.status, answer.headers["Content-Type"], await answer.read())
                return answer.status

        for method, path in judge.operations():
            scope = needed(judge, method, path)
            if scope is None:
                expected = 410 if path == "/v1/login-code" else 200  # it asks for a link instead
                assert await ask(method, path, {}) == expected
                continue
            refused = 401 if path.startswith("/v1/") else 403
            assert await ask(method, path, {}) in (refused, 429)
            for lower in shown:
                if not lower.covers(scope):
                    assert await ask(method, path, bearer(shown[lower])) == 403


def test_scopes_are_those_of_the_table() -> None:
    judge = Judge(of_controller())
    lines = {
        (method, endpoint.path): endpoint.scope
        for table in (access.ACCOUNT, access.CONTROLLER)
        for endpoint in table
        for method in endpoint.methods
    }
    found = {one: needed(judge, *one) for one in judge.operations()}
    assert found == {one: lines[one] for one in found}
    assert json.dumps(judge.document["components"]).count("securitySchemes") == 1
