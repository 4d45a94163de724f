"""One target's share of a long run, in a process of its own: ``worker TARGET INPUTS SEED PLACE``.

With atheris, inputs are guided by the code that they reach; without, they come from the seeds alone. The last line on
standard output is the result, findings are on standard error; they, or too much memory, make the exit code 1.
"""

import os
import random
import resource
import sys
import time
from pathlib import Path

# Now and then from a seed: changes upon changes are refused at the door.
_FRESH = 0.4
_MEGABYTES = 1500


def main() -> None:
    name, inputs, seed, place = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    try:
        import atheris
    except ImportError:
        atheris = None
    else:
        with atheris.instrument_imports(include=["wxcontroller"], enable_loader_override=False):
            pass
    from tests.fuzz.corpus import findings, slug
    from tests.fuzz.mutate import LONGEST, Mutator
    from tests.fuzz.targets import TARGETS
    from tests.fuzz.trial import STRETCHED, Trial

    target, chance, began = TARGETS[name], random.Random(seed), time.monotonic()
    trial = Trial(target, place)
    mutator = Mutator((*target.seeds, *findings(name).values()), chance, target.tokens)

    def one(data: bytes) -> None:
        trial.attempt(data)
        if trial.inputs % STRETCHED == 0:
            trial.attempt(mutator.stretched(target.longest))
        if trial.inputs >= inputs:
            megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            taken, seconds = 100 * trial.taken // trial.inputs, time.monotonic() - began
            fault = "FOUND" if trial.found else "MEMORY" if megabytes > _MEGABYTES else ""
            print(*trial.found.values(), sep="\n", file=sys.stderr)
            figures = f"{trial.inputs:9,} {taken:4} % {trial.slowest:8.2f} s {megabytes:5} MB {seconds:7.0f} s"
            print(f"\n{name:40} {figures}  {fault or ('guided' if atheris else '')}", flush=True)
            os._exit(bool(fault))  # libFuzzer would end the process without a word of ours

    if atheris is None:
        while True:
            one(mutator.next())

    def change(data: bytes, longest: int, _: int) -> bytes:
        fresh = chance.random() < _FRESH
        return mutator.next()[:longest] if fresh else mutator.changed(data, min(longest, LONGEST))

    seeds = place / "seeds" / slug(name)
    seeds.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(mutator.seeds):
        (seeds / f"seed{number}").write_bytes(content[:LONGEST])
    options = (f"-seed={seed}", f"-max_len={LONGEST}", "-len_control=0", "-timeout=60", "-rss_limit_mb=3000")
    arguments = [sys.argv[0], *options, "-verbosity=0", f"-artifact_prefix={place}/", str(seeds)]
    atheris.Setup(arguments, one, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
