"""The short run of the fuzzers: the same inputs each time, over every decoder, and all that was ever found."""

import random
from pathlib import Path

import pytest

from tests.fuzz.corpus import findings
from tests.fuzz.mutate import Mutator
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS
from tests.fuzz.trial import Trial

NAMES = sorted(TARGETS)
# Inputs for each part of a decoder's weight: some six seconds in all.
_INPUTS = 80
_LONG_ONES = 3


def feed(target: Target, inputs: list[bytes], tmp_path: Path) -> Trial:
    trial = Trial(target, tmp_path)
    for data in inputs:
        trial.attempt(data)
    assert not trial.found, "\n".join(trial.found.values())
    return trial


@pytest.mark.parametrize("name", NAMES)
def test_recorded_traffic_is_decoded(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    assert target.seeds
    assert feed(target, list(target.seeds), tmp_path).taken


@pytest.mark.parametrize("name", NAMES)
def test_any_input_yields_a_value_or_a_refusal(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    mutator = Mutator((*target.seeds, *findings(name).values()), random.Random(4711), target.tokens)
    inputs = [*findings(name).values(), *(mutator.next() for _ in range(_INPUTS * target.weight))]
    inputs += [mutator.stretched(target.longest) for _ in range(_LONG_ONES)]
    trial = feed(target, inputs, tmp_path)
    assert trial.inputs == len(inputs)
    assert len(set(inputs)) > len(inputs) // 2
