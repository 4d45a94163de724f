"""wxctl --help in both languages, and wrong calls: own options, examples to paste, and one form of errors."""

import json
import os
import re
import shlex
import subprocess
import sys

import click
import pytest

from tests.i18n import compiled
from tests.unit.cli.conftest import ROOT, Wxctl
from wxcontroller.cli.__main__ import cli
from wxcontroller.cli.language import columns
from wxcontroller.core.catalog import entries

VERBS: list[tuple[str, ...]] = [(), *((name,) for name in cli.commands)]
VERBS += [
    (name, inner)
    for name, group in cli.commands.items()
    if isinstance(group, click.Group)
    for inner in group.commands
]


# The help of all verbs by one process, in the language of its environment.
HELP = """
import json, sys
from click.testing import CliRunner
from wxcontroller.cli.__main__ import cli
from wxcontroller.cli.language import speak
speak(cli)
print(json.dumps([CliRunner().invoke(cli, [*verb, "--help"]).output for verb in json.load(sys.stdin)]))
"""


def helps(language: str) -> list[str]:
    """Return what each verb's --help prints, to somebody whose LANG is this."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LANG": language}
    done = subprocess.run(
        [sys.executable, "-c", HELP],
        input=json.dumps(VERBS),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return [str(each) for each in json.loads(done.stdout)]


def test_a_verbs_help_has_its_own_options_and_examples_to_paste() -> None:
    for verb, told in zip(VERBS, helps("C.UTF-8"), strict=True):
        assert [line for line in told.splitlines() if columns(line) > 80] == [], verb
        _can_be_pasted(told, verb)
        options = told.partition("\nOptions:\n")[2].partition("\nExamples:")[0]
        described = re.findall(r"^  (?:-\w, )?(--[a-z-]+)", options.partition("\n\n")[0], re.MULTILINE)
        assert "--help" in described, verb
        assert verb == () or not {"--url", "--json", "--token-file", "--insecure"} & set(described), verb


def test_help_in_chinese_fits_a_terminal() -> None:
    compiled()
    # What has lines of its own keeps them.
    own = {line for text in entries("zh-CN").values() if "\n" in text for line in text.splitlines()}
    for verb, told in zip(VERBS, helps("zh_CN.UTF-8"), strict=True):
        assert "\n选项:\n" in told, verb
        lines = told.splitlines()
        assert [line for line in lines if columns(line) > 80 and line.removeprefix("  ") not in own] == []
        assert [line for line in lines if re.match(r"\s+[，。；：、）]", line)] == []


def _can_be_pasted(told: str, verb: tuple[str, ...]) -> None:
    """Each example is a line of its own that a shell takes, and a call of this verb."""
    block = told.partition("\nExamples:\n")[2].partition("\n\n")[0]
    examples = block.splitlines()
    assert examples
    for line in examples:
        assert "·" not in line
        words = shlex.split(line, comments=True)
        at = words.index("wxctl")
        assert words[at + 1 : at + 1 + len(verb)] == list(verb), line


@pytest.mark.parametrize(
    "arguments", [("list", "--what"), ("start",), ("strat",), ("start", "a", "-o", "x"), ("add", ".x")], ids=" ".join
)
def test_errors_have_one_form(wxctl: Wxctl, arguments: tuple[str, ...]) -> None:
    """The program and the failure, then what to do; whoever found it."""
    done = wxctl(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    failed, remedy = done.stderr.splitlines()
    assert re.match(r"wxctl: [^A-Z]", failed)
    assert not failed.endswith(".")
    assert re.match(r"  \S", remedy)
