"""A process forbids dumps and tracing, and still reads its own files."""

import subprocess
from pathlib import Path

from wxcontroller.core import dumps

CODE = """
import os
from pathlib import Path
print(Path(f"/proc/{os.getpid()}/environ").stat().st_uid)
forbid_dumps()
print(Path(f"/proc/{os.getpid()}/environ").stat().st_uid)
descriptor = os.open("/etc/passwd", os.O_RDONLY)
print(Path(f"/proc/self/fd/{descriptor}").readlink(), Path(f"/proc/self/fd/{descriptor}").stat().st_size > 0)
parent = os.getpid()
child = os.fork()
if child == 0:
    try:
        Path(f"/proc/{parent}/environ").read_bytes()
    except PermissionError:
        print("refused", flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


def test_process_memory_is_private_to_the_process() -> None:
    # As a user who is not root, who may look into everything, and who need not be able to read this tree.
    program = Path(dumps.__file__).read_text() + CODE
    command = ["/usr/bin/python3", "-c", program]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, user=65534, group=65534, extra_groups=[], cwd="/"
    )
    assert done.stdout.splitlines() == ["65534", "0", "/etc/passwd True", "refused"]
