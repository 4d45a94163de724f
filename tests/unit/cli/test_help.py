"""wxctl --help and wrong calls: each verb's own options, examples to paste, and one form of errors."""

import re
import shlex

import click
import pytest

from tests.unit.cli.conftest import Wxctl
from wxcontroller.cli.__main__ import cli

VERBS: list[tuple[str, ...]] = [(name,) for name in cli.commands]
VERBS += [
    (name, inner)
    for name, group in cli.commands.items()
    if isinstance(group, click.Group)
    for inner in group.commands
]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_a_verbs_help_has_its_own_options_and_examples_to_paste(wxctl: Wxctl, verb: tuple[str, ...]) -> None:
    told = wxctl(*verb, "--help").stdout
    _can_be_pasted(told, verb)
    options = told.partition("\nOptions:\n")[2].partition("\nExamples:")[0]
    described = re.findall(r"^  (?:-\w, )?(--[a-z-]+)", options.partition("\n\n")[0], re.MULTILINE)
    assert "--help" in described
    assert not {"--url", "--json", "--token-file", "--insecure"} & set(described)
    if "--json" in options:
        assert re.search(r"^  --(.*--)?json.*wxctl --help$", told, re.MULTILINE)


def test_the_global_options_are_described_once(wxctl: Wxctl) -> None:
    told = wxctl("--help").stdout
    _can_be_pasted(told, ())
    for option in ("--url URL", "--json", "--token-file FILE", "--insecure"):
        assert f"\n  {option} " in told


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
    "arguments",
    [
        ("list", "--what"),
        ("start",),
        ("strat",),
        ("--url",),
        ("qr", "a", "b"),
        ("start", "a", "-o", "x"),
        ("add", ".x"),
    ],
    ids=" ".join,
)
def test_errors_have_one_form(wxctl: Wxctl, arguments: tuple[str, ...]) -> None:
    """The program and the failure, then what to do; whoever found it."""
    done = wxctl(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    failed, remedy = done.stderr.splitlines()
    assert re.match(r"wxctl: [^A-Z]", failed)
    assert not failed.endswith(".")
    assert re.match(r"  \S", remedy)


def test_help_is_help(wxctl: Wxctl) -> None:
    assert wxctl("help").stdout == wxctl("--help").stdout
    assert wxctl("help", "logs").stdout == wxctl("logs", "--help").stdout
    assert wxctl("help", "nonsense").returncode == 2
