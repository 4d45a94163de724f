"""``make outsiders`` finds each way in which a program is mistaken."""

import pytest

from tests.outsiders.__main__ import PAGES, written
from tests.outsiders.judged import Belief, Row, compared


@pytest.mark.parametrize(
    ("belief", "arrived", "right", "result"),
    [
        (Belief(["a", "b"]), ["b", "a"], True, "2 reported as sent, 2 arrived"),
        (Belief(["a"], read=True), ["a"], True, "1 reported as sent, 1 arrived; read correctly"),
        (Belief(read=False), [], False, "read wrongly"),
        (Belief(["a"]), [], False, "1 reported as sent, 0 arrived; did not arrive: a"),
        (Belief(["a"]), ["a", "a"], False, "1 reported as sent, 2 arrived; arrived although not reported as sent: a"),
        (
            Belief([], ["a"]),
            ["a"],
            False,
            "0 reported as sent, 1 arrived; reported as failed: a; arrived although not reported as sent: a",
        ),
        (Belief([], ["a"]), [], False, "reported as failed: a"),
    ],
)
def test_a_program_is_right_if_it_reports_what_arrived(
    belief: Belief, arrived: list[str], right: bool, result: str
) -> None:
    found, (english, _) = compared(belief, arrived)
    assert (found, english) == (right, result)


def test_rows_replace_those_of_the_table() -> None:
    async def none() -> list[str]:
        return []

    row = Row("apprise", "1.9.3", ("four alarms", "四条告警"), None, none)
    for language, result in enumerate(("four alarms | not run", "四条告警 | 未运行")):
        page = PAGES[language].read_text(encoding="utf-8")
        once = written(page, [row], language)
        assert f"| apprise | 1.9.3 | {result}" in once
        assert written(once, [row], language) == once
        assert once.startswith(page[: page.index("| ---")]) and once.endswith(page[page.index("\n\n## ") :])
