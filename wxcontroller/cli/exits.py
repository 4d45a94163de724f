"""Exit codes of wxctl: one table for the program's help, its man page and scripts."""

from collections.abc import Mapping
from types import MappingProxyType

from wxcontroller.core.errors import WxError

INTERRUPTED = 130
# Code → the word of it in JSON, and what it means. The errors of core.errors and cli.errors carry the codes.
EXITS: Mapping[int, tuple[str, str]] = MappingProxyType(
    {
        0: ("done", "Done."),
        1: ("failed", "It failed; standard error says what, for which account, and what to do."),
        2: ("usage", "Wrong arguments, a name or option that can't be."),
        3: ("unreachable", "The controller can't be reached, or something else answers at its address."),
        4: ("unknown", "There is no such account, token or event."),
        5: ("unit-failed", "The unit did not come up, has failed, or should be up but is not."),
        6: ("needs-human", "The account has stopped trying and needs attention."),
        7: (
            "not-allowed",
            "The controller does not let you in, or not to this: a token is missing, wrong or too weak.",
        ),
        8: ("exists", "It is there already, and is not overwritten."),
        9: ("locked", "An exported account can't be opened: a wrong passphrase, or a damaged file."),
        78: ("configuration", "A file of settings can't be used."),
        INTERRUPTED: (
            "interrupted",
            "Interrupted, or a question was answered with no. What was begun is left as it is.",
        ),
    }
)


def word_of(problem: WxError) -> str:
    """Return the word of an error's exit code."""
    return EXITS.get(problem.exit_code, EXITS[1])[0]


def short() -> str:
    """Return the table in a few lines, for the help."""
    lines = (
        "0 done, 1 failed, 2 wrong arguments, 3 controller not reachable,",
        "4 not there, 5 its unit failed, 6 it needs a human, 7 not allowed,",
        f"8 there already, 9 can't be opened, 78 wrong settings, {INTERRUPTED} interrupted.",
    )
    return "\n  ".join(lines)
