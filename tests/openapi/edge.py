"""The HTTP edge under schemathesis: ``python3 -m tests.openapi.edge SCHEMATHESIS [--examples N]``.

A world of its own is started, with accounts that are logged in. Requests are made from the OpenAPI document, right
and wrong ones; an answer that is an error of ours, not described, or not as described, ends it with exit code 1.
"""

import argparse
import asyncio
import os
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).with_name("schemathesis.toml")


async def run(schemathesis: str, examples: int, seed: int) -> int:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    with tempfile.TemporaryDirectory(prefix="wxedge-") as place:
        world = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.openapi.world", place),
            cwd=ROOT,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert world.stdout is not None
        assert world.stderr is not None
        complaints = asyncio.create_task(world.stderr.read())
        try:
            async with asyncio.timeout(60):
                url = (await world.stdout.readline()).decode().strip()
            assert url, (await complaints).decode()
            print(f"the edge of {url}", flush=True)
            command = [schemathesis, f"--config-file={CONFIG}", "run", f"{url}/v1/openapi.json"]
            # A stream does not end; the tests of streams are elsewhere.
            command += [f"--max-examples={examples}", f"--seed={seed}", "--exclude-path=/v1/events"]
            testing = await asyncio.create_subprocess_exec(*command, cwd=place, env=environment)
            code = await testing.wait()
            alive = world.returncode is None
        finally:
            if world.returncode is None:
                world.terminate()
                await world.wait()
        said = (await complaints).decode("utf-8", "replace")
    if not alive:
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
    return asyncio.run(run(str(Path(arguments.schemathesis).resolve()), arguments.examples, arguments.seed))


if __name__ == "__main__":
    sys.exit(main())
