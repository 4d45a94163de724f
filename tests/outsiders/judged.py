"""What programs report as sent and read, compared with what arrived."""

import json
import re
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from importlib.metadata import distributions
from typing import TypeAlias

from tests.programs import FETCHED, output_of

Bilingual: TypeAlias = tuple[str, str]  # in English and in Chinese
Run: TypeAlias = Callable[[], Awaitable["Belief"]]
NOT_RUN: Bilingual = ("not run: in none of the registries", "未运行：没有任何软件源收录")


@dataclass
class Belief:
    """The messages that a program reports as sent and as failed, and whether it has read the right ones.

    ``read`` is None for a program that only sends.
    """

    sent: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    read: bool | None = None


@dataclass
class Row:
    """A program and what it does. ``run`` returns what it reports, ``arrived`` the messages that arrived from it."""

    name: str
    version: str
    task: Bilingual
    run: Run | None
    arrived: Callable[[], Awaitable[list[str]]]
    belief: Belief | None = None
    right: bool = False
    result: Bilingual = NOT_RUN

    async def take_part(self) -> None:
        if self.run is None:
            return
        try:
            self.belief = await self.run()
        except Exception as problem:
            traceback.print_exc()
            self.result = (f"failed: {type(problem).__name__}", f"失败：{type(problem).__name__}")

    async def judge(self) -> None:
        if self.belief:
            self.right, self.result = compared(self.belief, await self.arrived())
        self.right |= self.run is None
        print(f"{'ok  ' if self.right else 'FAIL'} {self.name} {self.version}: {self.result[0]}", flush=True)


def compared(belief: Belief, arrived: Iterable[str]) -> tuple[bool, Bilingual]:
    """Return whether a program is right, and the result as a text."""
    believed, true = Counter(belief.sent), Counter(arrived)
    parts: list[Bilingual] = []
    if believed or true:
        sent, came = believed.total(), true.total()
        parts.append((f"{sent} reported as sent, {came} arrived", f"报告已发送 {sent} 条，到达 {came} 条"))
    for english, chinese, wrong in (
        ("reported as failed", "报告失败", belief.failed),
        ("did not arrive", "未到达", list((believed - true).elements())),
        ("arrived although not reported as sent", "未报告已发送却到达", list((true - believed).elements())),
    ):
        if wrong:
            parts.append((f"{english}: {', '.join(wrong)}", f"{chinese}：{'、'.join(wrong)}"))
    if belief.read is not None:
        parts.append(("read correctly", "读取正确") if belief.read else ("read wrongly", "读取有误"))
    right = believed == true and not belief.failed and belief.read is not False
    return right, ("; ".join(part[0] for part in parts), "；".join(part[1] for part in parts))


def fetched_version(place: str, package: str = "") -> str:
    """Return the version of a package that tests/thirdparty/fetch has put into a directory."""
    name = package or place
    manifest = FETCHED / place / "node_modules" / name / "package.json"
    if manifest.exists():
        return str(json.loads(manifest.read_text())["version"])
    [found] = {one.version for one in distributions(name=name, path=[str(FETCHED / place)])}
    return found


def version_of(*command: str, before: str = "") -> str:
    """Return the version that a program prints ``before`` it, without what Debian adds."""
    found = re.search(rf"{before}v?(\d+(\.\d+)+)", output_of(*command), re.MULTILINE)
    assert found, command
    return found[1]
