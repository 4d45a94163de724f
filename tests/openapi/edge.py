"""The HTTP edge under schemathesis: ``python3 -m tests.openapi.edge SCHEMATHESIS [--examples N]``.

A world of its own is started, with accounts that are logged in. Requests are made from the OpenAPI document, right
and wrong ones; an answer that is an error of ours, not described, or not as described, ends it with exit code 1.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.openapi.served import served

CONFIG = Path(__file__).with_name("schemathesis.toml")


def run(schemathesis: str, examples: int, seed: int) -> int:
    with tempfile.TemporaryDirectory(prefix="wxedge-") as place:
        log = Path(place) / "log"
        (Path(place) / "world").mkdir()
        with served(Path(place) / "world", log) as world:
            print(f"the edge of {world.url}", flush=True)
            command = [schemathesis, f"--config-file={CONFIG}", "run", f"{world.url}/v1/openapi.json"]
            # A stream does not end; the tests of streams are elsewhere.
            command += [f"--max-examples={examples}", f"--seed={seed}", "--exclude-path=/v1/events"]
            code = subprocess.run(command, cwd=place, env={**os.environ, "NO_COLOR": "1"}, check=False).returncode
            has_ended = world.process.poll() is not None
        said = log.read_text("utf-8", "replace")
    if has_ended:
        print(f"the product has ended:\n{said[-3000:]}")
        return 1
    traces = re.findall(r"Traceback \(most recent call last\):\n(?:.*\n){1,80}", said)
    for trace in traces[:5]:
        print(f"a trace in the journal:\n{trace}")
    return code or bool(traces)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.openapi.edge", description=__doc__)
    parser.add_argument("schemathesis")
    parser.add_argument("--examples", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    return run(str(Path(arguments.schemathesis).resolve()), arguments.examples, arguments.seed)


if __name__ == "__main__":
    sys.exit(main())
