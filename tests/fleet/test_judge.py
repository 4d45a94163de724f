"""The judge finds each thing that must not happen, in journals of a few lines."""

import json
from typing import Any

import pytest

from tests.fleet.judge import Judge, Records


def message(host: str, delivery: str, message_id: str = "m1") -> dict[str, Any]:
    return {
        **{"at": 0, "client": "alice", "host": host, "delivery": delivery},
        "report": {"post_type": "receive_message", "id": message_id},
    }


def send(code: int | str = "") -> dict[str, Any]:
    return {
        **{"at": 0, "client": "alice", "host": "1", "delivery": "s"},
        "report": {"post_type": "send_message", "content": "send-1", "code": code},
    }


def polls(*polls: tuple[str, float, float]) -> list[dict[str, Any]]:
    """Return the lines of polls: the host's address, begin and end."""
    lines: list[dict[str, Any]] = []
    for number, (host, begin, end) in enumerate(polls):
        lines += [{"at": begin, "begin": number, "host": host, "uin": 7, "call": "synccheck", "text": ""}]
        lines += [{"at": end, "end": number}]
    return sorted(lines, key=lambda line: float(line["at"]))


@pytest.mark.parametrize(
    ("journal", "kinds"),
    [
        ([*polls(("1", 0, 1), ("2", 2, 3)), message("1", "d"), message("2", "d"), send()], []),
        (polls(("1", 0, 1), ("2", 2, 3), ("1", 4, 5)), ["late"]),
        (polls(("1", 0, 3), ("2", 1, 2)), ["at once"]),
        (polls(("1", 10, 13), ("2", 11, 12)), []),  # the first host is cut off by then
        (polls(("2", 0, 1), ("1", 2, 3)), ["late"]),
        ([message("1", "d"), message("2", "e")], ["renamed"]),
        ([message("1", "d"), message("2", "d", "m2")], ["same id"]),
        ([message("1", "d", "m2")], ["lost"]),
        ([{"at": 0, "taken": ["m1"], "uin": 7}], ["lost"]),
        ([send(-5)], ["wrong end"]),
    ],
)
def test_findings(journal: list[dict[str, Any]], kinds: list[str]) -> None:
    records = Records()
    records.note(2, "host-b")
    records.note(1, "host-a")
    judge = Judge({7: "alice"}, {"1": "host-a", "2": "host-b"}, {"alice": records}, {"host-a": [(10.5, 13.0)]})
    judge.read(json.dumps(line).encode() for line in journal)
    if any("report" in line and line["report"]["post_type"] == "receive_message" for line in journal):
        judge.sent["alice"].add("m1")
    if any("report" in line and line["report"]["post_type"] == "send_message" for line in journal):
        judge.accepted["alice"].add("send-1")
    findings = judge.findings({"alice": ["send-1"]})
    assert [each.kind for each in findings] == kinds
    assert not judge.findings({"alice": ["send-1"]})  # once


def test_sends() -> None:
    judge = Judge({}, {}, {"alice": Records()}, {})
    judge.accepted["alice"].add("send-1")
    assert judge.missing("alice") == {"send-1"}
    assert [finding.kind for finding in judge.findings({"alice": ["send-2", "send-2"]})] == ["sent twice", "no end"]
