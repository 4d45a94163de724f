"""Blocks of code in documents, and a shell to run them."""

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.system.host import ENVIRONMENT, Host

ROOT = Path(__file__).resolve().parents[2]
# The tutorial comes first: it installs.
PAGES = [
    "docs/tutorial.md",
    "README.md",
    *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs/howto").glob("*.md")),
]
_BLOCK = re.compile(r"^```(\w+)(?: ([^\n]*))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^##+ (.+)$", re.MULTILINE)
NOT_RUN = "no-test: "


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code of a page. ``reason``: why it can't run here, or "". ``heading``: the last one above."""

    page: str
    line: int
    language: str
    reason: str
    text: str
    heading: str

    @property
    def file(self) -> str:
        """The file that the block's first line names, "" for none."""
        match = re.match(r"# (/\S+)", self.text)
        return match[1] if match and self.language != "sh" else ""

    @property
    def unit(self) -> str:
        """The unit that the block is a drop-in for, by its first line, or ""."""
        match = re.match(r"# systemctl edit (\S+)\n", self.text)
        return match[1] if match and self.language == "ini" else ""

    @property
    def done(self) -> bool:
        """Whether a reader runs or writes it."""
        return self.language == "sh" or bool(self.file or self.unit)


def blocks(page: str) -> list[Block]:
    source = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(source):
        remark = match[2] or ""
        assert not remark or remark.startswith(NOT_RUN), f"{page}: what does {remark!r} mean?"
        line = source.count("\n", 0, match.start()) + 1
        heading = _HEADING.findall(source, 0, match.start())[-1:]
        found.append(Block(page, line, match[1], remark.removeprefix(NOT_RUN), match[3], "".join(heading)))
    return found


def step(page: str, heading: str, kind: str = "sh", number: int = 0) -> str:
    """Return a block of a kind below a heading: of a language, or a file, or a unit's drop-in."""
    below = (block for block in blocks(page) if block.heading == heading)
    return [block.text for block in below if kind in (block.language, block.file, block.unit)][number]


@dataclass(eq=False)
class Shell:
    """A shell of root in the host. A block sees variables of the blocks before."""

    process: "subprocess.Popen[str]"
    _lines: list[str] = field(default_factory=list)
    _news: threading.Condition = field(default_factory=threading.Condition)
    _ended: bool = False

    @classmethod
    @contextmanager
    def open(cls, host: Host, directory: str) -> Iterator["Shell"]:
        """Open a shell in which a start waits for the scan, as on the terminal that a reader has."""
        host.run("mkdir", "-p", directory)
        enter = ["nsenter", "-a", "-r", "-w", "-t", str(host.leader), "--"]
        process = subprocess.Popen(
            [*enter, "bash", "--norc", "-o", "errexit", "-o", "pipefail"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=ENVIRONMENT,
            text=True,
        )
        shell = cls(process)
        threading.Thread(target=shell._read, daemon=True).start()
        try:
            shell._write(f"cd {directory}")
            wait = 'case $1 in start|restart) set -- "$1" --wait "${@:2}";; esac'
            shell._write(f'wxctl() {{ {wait}; command wxctl "$@"; }}')
            yield shell
        finally:
            process.kill()
            process.wait()

    def do(self, block: str, seconds: float = 60) -> str:
        """Run a block and return what it prints. Raises AssertionError if a command of it fails."""
        begin = len(self._lines)
        self._write(f"source /dev/stdin </dev/stdin <<'THE-END-OF-THE-BLOCK'\n{block}\nTHE-END-OF-THE-BLOCK")
        self._write("printf '\\n%s\\n' --block-done--")
        with self._news:
            ended = self._news.wait_for(lambda: self._ended or "--block-done--\n" in self._lines[begin:], seconds)
            printed = "".join(self._lines[begin:])
        assert ended, f"not done after {seconds} s:\n{block}\n--- it printed:\n{printed}"
        assert "--block-done--\n" in self._lines[begin:], f"a command failed:\n{block}\n--- it printed:\n{printed}"
        return printed.removesuffix("--block-done--\n")

    def _write(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            with self._news:
                self._lines.append(line)
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()


def until_printed(command: str, text: str) -> str:
    """Return an endless command as one that ends once it has printed a text."""
    return f"""{command} >/tmp/endless 2>&1 & endless=$!
until grep -q -- '{text}' /tmp/endless; do kill -0 $endless; sleep 0.1; done
kill $endless; wait $endless || true; cat /tmp/endless; mv /tmp/endless /tmp/endless.seen"""
