"""Which messages an account knows as reported: the latest, by whatever ids they have."""

import random

import pytest

from wxcontroller.drivers.web.session.saved import ReportedIds


@pytest.mark.parametrize("limit", [1, 3, 50, 700])
def test_the_latest_ids_are_known_and_no_others(limit: int) -> None:
    chance, ids, expected = random.Random(limit), ReportedIds(limit), list[str]()
    for number in range(6000):
        one = str(chance.choice((number, chance.randrange(2 * limit), 10**18 + number // 2, "", "消息")))
        assert (one in ids) == (one in expected)
        ids.add(one)
        if one in expected:
            expected.remove(one)
        expected.append(one)
        del expected[:-limit]
    assert [one for one in expected if one not in ids] == []


def test_only_new_ids_are_stored_and_stored_ones_are_known() -> None:
    ids = ReportedIds()
    ids.restore(("1", "2"))
    assert [ids.first(one) for one in ("1", "3", "3", "x")] == [False, True, False, True]
    assert ids.fresh() == ("3", "x")
    assert ids.fresh() == ()
