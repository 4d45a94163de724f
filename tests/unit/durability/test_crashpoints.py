"""Accounts that die between two durable steps lose and repeat nothing. make torture does it for longer."""

from pathlib import Path

import pytest

from tests.torture.crashpoints import Books, crash
from tests.unit.durability.routes import ILINK, WEB, Route
from wxcontroller.core.faultpoints import VARIABLE, Point
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.limits import LIMITS
from wxcontroller.core.options import OPTIONS


@pytest.mark.timeout(600)  # a minute on two cores that have much else to do
@pytest.mark.parametrize(
    ("route", "runs", "pause"), [(WEB, 30, 0.06), (ILINK, 20, 0.03)], ids=lambda value: getattr(value, "name", "")
)
async def test_a_crash_between_two_durable_steps_loses_and_repeats_nothing(
    tmp_path: Path, route: Route, runs: int, pause: float
) -> None:
    result = await crash(runs, seed=11, directory=tmp_path, route=route, pause=pause, strict=False)
    print(result)
    assert result.faults == []
    assert result.good, str(result)
    assert set(result.killed) == {*Point}
    assert result.sends


def test_nobody_can_order_a_crash_by_an_option() -> None:
    assert VARIABLE not in {option.variable for option in OPTIONS.values()} | {
        one.variable for one in LIMITS.values()
    }


IN: tuple[str, JsonObject] = ("d1", {"post_type": "receive_message", "id": "1", "media_size": 9})
OUT: tuple[str, JsonObject] = ("d2", {"post_type": "send_message", "content": "a", "code": ""})
FAILED: tuple[str, JsonObject] = ("d2", {"post_type": "send_message", "content": "a", "code": -5})


@pytest.mark.parametrize(
    ("arrived", "reports", "good"),
    [
        (["a"], [IN, OUT], True),
        (["a"], [IN, OUT, IN, OUT], True),
        (["a", "c"], [IN, OUT, ("d3", {**OUT[1], "content": "c"})], True),
        (["a"], [OUT], False),  # a message is lost
        (["a"], [("d1", {**IN[1], "media_size": 0}), OUT], False),  # its picture is
        (["a"], [IN, OUT, ("d4", IN[1])], False),  # it is reported as two
        ([], [IN], False),  # a send is lost
        (["a", "a"], [IN, OUT], False),  # it is sent twice
        (["a"], [IN], False),  # it is not reported
        (["a"], [IN, FAILED], False),  # or as a failure
        (["a"], [IN, OUT, ("d4", OUT[1])], False),  # or as two
        (["a", "b"], [IN, OUT, ("d3", {**OUT[1], "content": "b"})], False),  # sent although it was refused
        (["a", "x"], [IN, OUT, ("d3", {**OUT[1], "content": "x"})], False),  # nobody has sent it
    ],
)
def test_the_books_find_every_fault(arrived: list[str], reports: list[tuple[str, JsonObject]], good: bool) -> None:
    books = Books(heard=["1"], pictures={"1"}, accepted=["a"], refused=["b"], unsure=["c"])
    assert (books.faults(arrived, reports) == []) == good
