"""An account's questions to a person, over HTTP, described: at its own port, and at the controller for its path."""

from wxcontroller.openwx.describing import (
    SWITCH,
    TEXT,
    WHOLE,
    DescribedRoute,
    Parameter,
    Schema,
    maybe,
    record,
    texts,
    word,
)
from wxcontroller.openwx.statefile import QUESTION_KINDS

# Codes of refused answers, besides those of every request.
CODES = ("not-asked", "older-version")
# ACCOUNT, STATE and STATUS have it as ``input`` while the account waits.
INPUT: Schema = record(
    {"id": TEXT, "kind": word(*QUESTION_KINDS), **texts("prompt"), "digits": maybe(WHOLE)},
    ("prompt_text",),
    meaning="what it waits for a person to give: yes to a consent, or a code",
)


def route(path: str, first: tuple[Parameter, ...], failures: tuple[int, ...]) -> DescribedRoute:
    """Return the call below ``path`` (``/v1`` or an account's there); ``first`` are the path's own parameters."""
    return DescribedRoute(
        *("POST", f"{path}/input", "answer what it waits for: yes to a consent, or the digits of a code"),
        {200: record({"account": TEXT, "id": TEXT, "answered": SWITCH})},
        first,
        record({"id": TEXT, "value": TEXT}),
        failures=tuple(sorted({*failures, 400, 408, 409, 413, 415, 504})),
        tag="v1",
    )
