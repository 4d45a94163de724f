"""Calls of /v1 that are passed on to an account's own program."""

from tests.unit.controller.machine import Machine
from wxcontroller.core.jsontypes import items, obj


async def test_deliveries_are_asked_of_the_account_and_nothing_else_is(host: Machine) -> None:
    await host.start("alice")
    status, seen = await host.v1("GET", "accounts/alice/deliveries?state=dead&after=5")
    assert (status, seen["method"], seen["target"]) == (200, "GET", "/v1/deliveries?state=dead&after=5")
    assert obj(seen["headers"]).keys() == {"Accept", "Host", "User-Agent", "X-Wxcontroller"}
    status, seen = await host.v1("GET", "accounts/alice/deliveries/a-1%2F..%2F..")
    assert seen["target"] == "/v1/deliveries/a-1%2F..%2F.."
    status, seen = await host.v1("POST", "accounts/alice/deliveries/replay", {"state": "dead"})
    assert (seen["method"], seen["target"], seen["size"]) == ("POST", "/v1/deliveries/replay", 17)
    for method, path in (("POST", "deliveries"), ("GET", "status"), ("GET", "never"), ("DELETE", "deliveries/a-1")):
        status, _ = await host.v1(method, f"accounts/alice/{path}")
        assert status in (404, 405), path


async def test_an_account_that_does_not_run_is_not_asked(host: Machine) -> None:
    await host.start("alice")
    await host.v1("POST", "accounts/alice/stop")
    status, answer = await host.v1("GET", "accounts/alice/deliveries")
    assert (status, obj(answer["error"])["code"]) == (409, "not-running")
    for method, path in (("GET", "messages"), ("POST", "messages"), ("GET", "chats"), ("GET", "contacts")):
        status, answer = await host.v1(method, f"accounts/alice/{path}")
        assert (status, obj(answer["error"])["code"]) == (409, "not-running")
        assert "wxctl start alice" in str(obj(answer["error"])["remedy"])
    status, answer = await host.v1("GET", "accounts/nobody/deliveries")
    assert (status, obj(answer["error"])["code"]) == (404, "unknown-account")


async def test_the_numbers_of_all_accounts_with_those_that_do_not_tell(host: Machine) -> None:
    for name in ("alice", "bob"):
        await host.start(name)
    await host.v1("POST", "accounts/bob/stop")
    status, answer = await host.v1("GET", "deliveries")
    alice, bob = (obj(one) for one in items(answer["accounts"]))
    assert (status, alice["account"], alice["pending"], alice["dead"], alice["error"]) == (200, "alice", 3, 1, None)
    assert "secret" not in alice
    assert (bob["account"], bob["pending"]) == ("bob", None)
    assert "is not running" in str(bob["error"])
