"""The HTTP edge under schemathesis: ``python3 -m tests.openapi.edge SCHEMATHESIS [--examples N]``.

Starts a controller with accounts that are logged in, and sends valid and invalid requests made from the OpenAPI
document. Exits with status 1 after an internal error or an answer that does not match its description.
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
            # Streams do not end.
            command += [f"--max-examples={examples}", f"--seed={seed}", "--exclude-path=/v1/events"]
            code = subprocess.run(command, cwd=place, env={**os.environ, "NO_COLOR": "1"}, check=False).returncode
            has_ended = world.process.poll() is not None
        text = log.read_text("utf-8", "replace")
    if has_ended:
        print(f"the product has ended:\n{text[-3000:]}")
        return 1
    traces = re.findall(r"Traceback \(most recent call last\):\n(?:.*\n){1,80}", text)
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
