"""Everything around two accounts breaks, each thing once; nothing is lost. make torture does it for longer."""

import pytest

from tests.system.host import Host
from tests.torture.ledger import Arrival, Ledger
from tests.torture.mischief import MISCHIEF
from tests.torture.play import Play


def test_no_message_is_lost_whatever_breaks(host: Host) -> None:
    lines: list[str] = []
    play = Play(host, messages=150, seed=3, rate=6, pause=0.5, patience=120, say=lines.append)
    verdict = play.run(least=len(MISCHIEF))
    print("\n".join(lines))
    assert verdict.sent >= 150
    assert "0 with a backlog" not in lines[-1], "no power cut proved anything"
    assert verdict.good, lines


@pytest.mark.parametrize(
    ("got", "fault"),
    [
        ([("a", "1", "x-1"), ("a", "2", "x-2")], ""),
        ([("a", "1", "x-1"), ("a", "1", "x-1"), ("a", "2", "x-2")], ""),
        ([("a", "1", "x-1"), ("a", "2", "x-2"), ("a", "1", "x-1")], ""),
        ([("a", "1", "x-1")], "missing"),
        ([("a", "1", "x-1"), ("a", "1", "x-3"), ("a", "2", "x-2")], "renamed"),
        ([("a", "2", "x-2"), ("a", "1", "x-1")], "disordered"),
        ([("a", "1", "x-1"), ("a", "2", "x-2"), ("a", "3", "x-3")], "invented"),
        ([("b", "1", "x-1"), ("a", "2", "x-2")], "missing"),
    ],
)
def test_the_books_find_every_fault(got: list[tuple[str, str, str]], fault: str) -> None:
    """The judge is judged: a checker that finds nothing would prove nothing."""
    ledger = Ledger()
    ledger.send("a", "1")
    ledger.send("a", "2")
    for one in got:
        ledger.arrive(Arrival(*one))
    verdict = ledger.verdict()
    assert verdict.good == (not fault)
    if fault:
        assert getattr(verdict, fault)
