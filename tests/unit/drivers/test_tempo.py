"""The pace of asking."""

from wxcontroller.drivers.web.tempo import Tempo


def test_a_burst_is_free_and_then_each_request_waits_its_turn() -> None:
    tempo = Tempo(spacing=10.0, burst=3)
    assert [tempo.due() for _ in range(3)] == [0.0, 0.0, 0.0]
    waits = [tempo.due() for _ in range(3)]
    assert [round(wait / 10) for wait in waits] == [1, 2, 3]


def test_no_spacing_means_no_wait() -> None:
    tempo = Tempo(spacing=0.0, burst=1)
    assert [tempo.due() for _ in range(100)] == [0.0] * 100
