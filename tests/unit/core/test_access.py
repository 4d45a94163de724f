"""Scopes, failure limits, and addresses of this machine."""

import itertools

import pytest

from wxcontroller.core.access import rights
from wxcontroller.core.access.rights import About, Scope
from wxcontroller.core.config.limits import DEFAULTS
from wxcontroller.core.failurelimit import TOKEN_FAILURE_SECONDS, FailureLimiter, caller_of
from wxcontroller.core.net.addresses import is_loopback


def test_each_scope_includes_those_before_it() -> None:
    order = [Scope.READ, Scope.SEND, Scope.CONTROL, Scope.ADMIN]
    for (low, a), (high, b) in itertools.product(enumerate(order), repeat=2):
        assert b.covers(a) == (low <= high)
    assert tuple(order) == rights.LADDER


@pytest.mark.parametrize("outside", [Scope.ILINK, Scope.NOTIFY, Scope.FLEET])
def test_separate_scope_covers_and_is_covered_by_no_other(outside: Scope) -> None:
    assert [scope for scope in Scope if outside.covers(scope)] == [outside]
    assert [scope for scope in Scope if scope.covers(outside)] == [outside]


def test_unlisted_paths_need_scope_admin() -> None:
    for endpoint in (
        rights.of_controller("GET", "/v1/new"),
        rights.of_controller("PUT", "/v1/accounts/{name}"),
        rights.of_call("/openwx/new_call"),
        rights.of_call("/openwx/get_user_inf%6f"),
        rights.of_call("/openwx/get_user_info//"),
        rights.of_call("/"),
        rights.of_own_port("POST", "/v1/status"),
        rights.of_own_port("GET", "/v1/new/{id}"),
    ):
        assert endpoint.scope is Scope.ADMIN
    assert rights.of_controller("GET", "/v1/new").about is About.MACHINE
    assert rights.of_controller("HEAD", "/v1/accounts").scope is Scope.READ
    assert rights.of_controller("GET", "/openwx/start_client/").scope is Scope.CONTROL
    assert rights.of_controller("GET", "/v1/accounts/").scope is Scope.ADMIN
    assert rights.of_call("/openwx/get_user_info/").scope is Scope.READ


BURST, SECONDS_EACH = DEFAULTS.token_failures, TOKEN_FAILURE_SECONDS


def test_ipv6_network_is_one_caller_and_mapped_addresses_are_ipv4() -> None:
    limiter = FailureLimiter(lambda: 0.0)
    for number in range(BURST):
        limiter.failed(caller_of(f"2001:db8::{number:x}"))
        limiter.failed(caller_of("192.0.2.1"))
    assert limiter.failed(caller_of("2001:db8::ffff:1")).retry_after > 0
    assert limiter.failed(caller_of("2001:db8:0:1::1")).retry_after == 0
    assert limiter.failed(caller_of("::ffff:192.0.2.1")).retry_after > 0
    assert limiter.failed(caller_of(None)).retry_after == 0
    assert caller_of("fe80::1%eth0") == caller_of("fe80::2")


def test_failures_are_answered_again_with_time_and_summarized_every_ten_seconds() -> None:
    now = 0.0
    limiter = FailureLimiter(lambda: now)
    assert [limiter.failed("a").log for _ in range(BURST + 1)] == [True] + [False] * BURST
    now = 9.9
    last = limiter.failed("a")
    assert (last.retry_after, last.log, last.unlogged) == (0, False, BURST + 1)
    now = 10.1
    assert (limiter.failed("a").unlogged, limiter.failed("b").log) == (BURST + 1, True)
    now += 2 * SECONDS_EACH
    assert [limiter.failed("a").retry_after > 0 for _ in range(5)] == [False] * 3 + [True] * 2


def test_memory_does_not_grow_with_callers() -> None:
    limiter = FailureLimiter(lambda: 0.0)
    for number in range(20_000):
        limiter.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(limiter._peers) <= 4096


def test_addresses_that_only_this_machine_reaches() -> None:
    locals_ = ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1")
    assert [is_loopback(each) for each in ("/run/x.sock", "", *((local, 1) for local in locals_))] == [True] * 6
    others = ("0.0.0.0", "::", "192.0.2.1", "::ffff:192.0.2.1", "fe80::1%lo")
    assert [is_loopback(each) for each in (None, (3, 5), *((each, 1) for each in others))] == [False] * 7
