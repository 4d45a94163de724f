"""Exit codes of wxctl: one table for the program's help, its man page and scripts."""

from collections.abc import Mapping
from types import MappingProxyType

from wxcontroller.core.errors import WxError

INTERRUPTED = 130
# Code → its word in JSON, and its meaning. The errors of core/errors.py and cli/clierrors.py carry the codes.
EXITS: Mapping[int, tuple[str, str]] = MappingProxyType(
    {
        0: ("done", "Done."),
        1: ("failed", "Failed. Standard error gives the account, the failure and the remedy."),
        2: ("usage", "Invalid arguments, name or option."),
        3: ("unreachable", "The controller cannot be reached, or another program responds at its address."),
        4: ("unknown", "The account, token or event does not exist."),
        5: ("unit-failed", "The unit did not start, has failed, or should be running but is not."),
        6: (
            "needs-human",
            "Somebody has to act: scan a code, confirm, decide, or start an account that has stopped trying.",
        ),
        7: (
            "not-allowed",
            "Access denied: the token is missing, invalid, or lacks the required scope.",
        ),
        8: ("exists", "It exists already and was not overwritten."),
        9: ("locked", "An exported account cannot be decrypted: the passphrase is wrong or the file is damaged."),
        10: ("needs-scan", "The account is started and waits for the scan of its QR code."),
        78: ("configuration", "A configuration file is invalid."),
        INTERRUPTED: (
            "interrupted",
            "Interrupted, or a question was answered with no. Actions that have started are not undone.",
        ),
    }
)


def word_of(problem: WxError) -> str:
    """Return the word of an error's exit code."""
    return EXITS.get(problem.exit_code, EXITS[1])[0]


def short() -> str:
    """Return the table in a few lines, for the help."""
    lines = (
        "0 done, 1 failed, 2 invalid arguments, 3 controller unreachable,",
        "4 not found, 5 unit failed, 6 needs attention, 7 access denied,",
        "8 exists already, 9 decryption failed, 10 waits for a scan,",
        f"78 invalid settings, {INTERRUPTED} interrupted.",
    )
    return "\n  ".join(lines)
