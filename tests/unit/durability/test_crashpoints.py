"""Accounts that die between two durable steps lose and repeat nothing. make torture does it for longer."""

from pathlib import Path

import pytest

from tests.torture.crashpoints import Books, crash, lost_answers
from tests.unit.durability.routes import ILINK, WEB, Route
from wxcontroller.core.faultpoints import VARIABLE, Point
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.limits import LIMITS
from wxcontroller.core.options import OPTIONS
from wxcontroller.sandbox.ilink.model import RecordedCall


@pytest.mark.timeout(600)  # a minute on two cores that have much else to do; each account dies at every point in turn
@pytest.mark.parametrize(
    ("route", "runs", "pause"), [(WEB, 20, 0.06), (ILINK, 10, 0.03)], ids=lambda value: getattr(value, "name", "")
)
async def test_a_crash_between_two_durable_steps_loses_and_repeats_nothing(
    tmp_path: Path, route: Route, runs: int, pause: float
) -> None:
    result = await crash(runs, seed=11, directory=tmp_path, route=route, pause=pause)
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


@pytest.mark.parametrize(
    ("polls", "lost"),
    [
        ([(0, "", "b", "1"), (1, "", "c", "")], [{"1"}]),  # the process was killed before it read its last answer
        ([(0, "", "b", "1"), (1, "b", "b", "")], []),  # it had stored the position
        ([(0, "", "b", "1"), (0, "", "c", "2"), (1, "c", "c", "")], []),  # it asked again, and had read it
    ],
)
def test_only_the_last_answer_to_a_killed_process_can_be_on_its_way(
    polls: list[tuple[int, str, str, str]], lost: list[set[str]]
) -> None:
    calls = []
    for seq, (life, shows, position, message) in enumerate(polls):
        call = RecordedCall(seq, 0.0, 1, "getupdates", "POST", "", "", {}, {"get_updates_buf": shows})
        call.answer = {"get_updates_buf": position, "msgs": [{"message_id": message}] if message else []}
        calls.append((life, call))
    assert lost_answers(calls) == lost
