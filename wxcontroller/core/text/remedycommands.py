"""Commands of wxctl in remedies, ready to be pasted into a shell."""

import re
import shlex

_SAFE = re.compile(r"[\w.@-]+")  # letters of any script need no quotes


def command(verb: str, name: str, *options: str) -> str:
    """Return the call of a verb for an account, its name quoted where a shell wants it."""
    word = name if _SAFE.fullmatch(name) else shlex.quote(name)
    words = [*options, "--", word] if name.startswith("-") else [word, *options]
    return " ".join(["wxctl", verb, *words])
