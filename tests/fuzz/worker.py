"""One target's share of a long run, in a process of its own: ``worker TARGET INPUTS SEED PLACE``.

With atheris, inputs are led by what of our code they reach; without, they come from the seeds alone. The last line on
standard output is the result as JSON.
"""

import json
import os
import random
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

_FRESH = 0.4

if TYPE_CHECKING:
    from tests.fuzz.mutate import Mutator
    from tests.fuzz.trial import Trial


def main() -> None:
    name, inputs, seed, place = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    try:
        import atheris
    except ImportError:
        _by_chance(name, inputs, seed, place)
        return
    with atheris.instrument_imports(include=["wxcontroller"], enable_loader_override=False):
        from tests.fuzz import targets

    from tests.fuzz.corpus import slug
    from tests.fuzz.mutate import LONGEST

    assert targets.TARGETS
    trial, mutator, began = _prepared(name, seed, place)
    seeds = place / "seeds" / slug(name)
    seeds.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(mutator.seeds):
        (seeds / f"seed{number}").write_bytes(content[:LONGEST])

    fresh = random.Random(seed)

    def one(data: bytes) -> None:
        trial.attempt(data)
        _now_and_then_a_long_one(trial, mutator)
        if trial.inputs >= inputs:
            _tell(trial, began, guided=True)
            os._exit(0)  # libFuzzer would end the process without a word of ours

    def change(data: bytes, longest: int, _: int) -> bytes:
        # Now and then from a seed: changes upon changes are refused at the door.
        return mutator.next()[:longest] if fresh.random() < _FRESH else mutator.changed(data, min(longest, LONGEST))

    options = (f"-seed={seed}", f"-max_len={LONGEST}", "-len_control=0", "-timeout=60", "-rss_limit_mb=3000")
    arguments = [sys.argv[0], *options, "-verbosity=0", f"-artifact_prefix={place}/", str(seeds)]
    atheris.Setup(arguments, one, custom_mutator=change)
    atheris.Fuzz()


def _by_chance(name: str, inputs: int, seed: int, place: Path) -> None:
    trial, mutator, began = _prepared(name, seed, place)
    while trial.inputs < inputs:
        trial.attempt(mutator.next())
        _now_and_then_a_long_one(trial, mutator)
    _tell(trial, began, guided=False)


def _prepared(name: str, seed: int, place: Path) -> "tuple[Trial, Mutator, float]":
    from tests.fuzz.corpus import findings
    from tests.fuzz.mutate import Mutator
    from tests.fuzz.targets import TARGETS
    from tests.fuzz.trial import Trial

    target = TARGETS[name]
    given = (*target.seeds, *findings(name).values())
    return Trial(target, place), Mutator(given, random.Random(seed), target.tokens), time.monotonic()


def _now_and_then_a_long_one(trial: "Trial", mutator: "Mutator") -> None:
    from tests.fuzz.trial import STRETCHED

    if trial.inputs % STRETCHED == 0:
        trial.attempt(mutator.stretched(trial.target.longest))


def _tell(trial: "Trial", began: float, guided: bool) -> None:
    result = {
        "target": trial.target.name,
        "inputs": trial.inputs,
        "taken": trial.taken,
        "slowest": round(trial.slowest, 3),
        "found": trial.found,
        "seconds": round(time.monotonic() - began, 1),
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "guided": guided,
    }
    sys.stdout.write("\n" + json.dumps(result) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
