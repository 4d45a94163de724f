"""Decoders of external bytes accept or refuse any input, within seconds, and never fail in another way."""

import os
from random import Random

import pytest

from tests.fuzz.mutations import changed, stretched
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

# Set by a long run: the number of inputs of each decoder, and a seed.
_INPUTS = int(os.environ.get("FUZZ_INPUTS", "300"))
_SEED = int(os.environ.get("FUZZ_SEED", "4"))


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_any_input_is_accepted_or_refused(target: Target) -> None:
    chance, seeds = Random(_SEED), target.inputs()
    accepted = [target.accepts(parts) for parts in seeds]
    assert any(accepted)
    for number in range(_INPUTS):
        long = number % 100 == 0
        target.accepts(stretched(chance, seeds, target.longest) if long else changed(chance, seeds))
