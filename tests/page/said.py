"""What the controller and the accounts' programs say to people, read from their code: sentences with {1}, … in them.

A sentence is a text of two words or more that is neither a documentation string nor written to the journal; what
options mean are sentences, too. They arrive on the page as they are, in English; the page finds the sentence, and its
translation in a catalog.
"""

import ast
import errno
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from wxcontroller.core.options import OPTIONS, Origin

ROOT = Path(__file__).parents[2] / "wxcontroller"
# Where what is said may get into an answer that the page shows, or into the state of an account.
_SPEAKERS = (
    "core/account.py",
    "core/egress.py",
    "core/envfile.py",
    "core/materialise.py",
    "core/names.py",
    "core/parsers.py",
    "core/targets.py",
    "core/tls.py",
    "core/unreached.py",
    "core/urls.py",
    "controller/access.py",
    "controller/accounts.py",
    "controller/errors.py",
    "controller/gate.py",
    "controller/openwx.py",
    "controller/origin.py",
    "controller/statefiles.py",
    "controller/stream/serve.py",
    "controller/units.py",
    "controller/v1/accounts.py",
    "controller/v1/journal.py",
    "controller/v1/journalstream.py",
    "controller/v1/options.py",
    "controller/v1/qr.py",
    "controller/v1/watching.py",
    "controller/view.py",
    "client/calls.py",
    "client/store/writer.py",
    "client/deliveries/delivery.py",
    "client/sends/drain.py",
    "client/deliveries/outbound.py",
    "client/deliveries/receivers.py",
    "client/sends/model.py",
    "client/sends/pacer.py",
    "client/sends/queue.py",
    "client/resuming.py",
    "client/sends/calls.py",
    "client/session.py",
    "client/v1/__init__.py",
    "client/v1/deliveries.py",
    "client/v1/inputs.py",
    "client/v1/selecting.py",
    "drivers/base.py",
    "drivers/web/commands.py",
    "drivers/web/consent.py",
    "drivers/web/decode.py",
    "drivers/web/driver.py",
    "drivers/web/failures.py",
    "drivers/web/listing.py",
    "drivers/web/login.py",
    "drivers/line/failures.py",
    "drivers/line/outages.py",
    "drivers/web/sync.py",
    "drivers/line/transport.py",
    "drivers/line/tunnels.py",
    "openwx/admission.py",
    "openwx/replies.py",
)
# Of these only what is raised: their tables are explained elsewhere.
_RAISERS = ("core/options.py",)
# Two words, where {1} is one too.
SENTENCE = re.compile(r"[a-z]['a-z]+[ ,:;]+[a-z('{]|\{\d\}[ ,]+[a-z]{2}")
# Two words in the code that nobody is shown.
_UNSPOKEN = re.compile(
    "|".join(
        (
            r"^ |^/|^text/|^bytes |^with(out)? (a|the) |^send \{|^must be one of $",
            r"realm=|Basic|^sandbox;|^[\w-]+: \{1\}$|%s",
            r"\b(SELECT|INSERT|UPDATE|CREATE|PRAGMA)\b|held,pending",
            r"on this machine$|environment file|comes first$|that lead nowhere|the reader takes nothing",
            r"(ing|reading|writing) (a report|the event log)$",
            r"^(account|client|unit|token) \{1\}:?( is)? \(?\{2\}\)?( \{3\})?$",
        )
    )
)
# What is put together in the code, and what systems and libraries say where it is passed on.
_MORE = (
    "must be one of {1}",
    *(
        os.strerror(number)
        for number in (
            errno.EACCES,
            errno.EADDRINUSE,
            errno.ECONNREFUSED,
            errno.ECONNRESET,
            errno.EDQUOT,
            errno.EIO,
            errno.EMFILE,
            errno.ENOENT,
            errno.ENOSPC,
            errno.EPERM,
            errno.EROFS,
        )
    ),
    "attempt to write a readonly database",
    "database disk image is malformed",
    "database or disk is full",
    "disk I/O error",
    "unable to open database file",
)


def sentences() -> list[str]:
    """Return all of them, in a fixed order."""
    found = {*_MORE, *(option.meaning for option in OPTIONS.values() if option.origin is not Origin.IGNORED)}
    for name in _SPEAKERS:
        found.update(_spoken(ast.parse((ROOT / name).read_text(encoding="utf-8"))))
    for name in _RAISERS:
        tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
        for raised in ast.walk(tree):
            if isinstance(raised, ast.Raise) and raised.exc is not None:
                found.update(_spoken(raised.exc))
    return sorted(found)


def _spoken(tree: ast.AST) -> Iterator[str]:
    for text in texts(tree):
        if SENTENCE.search(text) and not _UNSPOKEN.search(text):
            yield text


def texts(node: ast.AST, passed_over: Callable[[ast.AST], bool] = lambda _: False) -> Iterator[str]:
    """Yield the texts below a node, but for what is logged, documentation, and what is to be passed over."""
    if passed_over(node):
        return
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="log"))):
            return
        case ast.Expr(value=ast.Constant()):
            return
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=values):
            yield _template(values)
            for value in values:
                if isinstance(value, ast.FormattedValue):
                    yield from texts(value.value, passed_over)
        case _:
            for child in ast.iter_child_nodes(node):
                yield from texts(child, passed_over)


def _template(values: list[ast.expr]) -> str:
    """Return an f-string with its values numbered: their names in the code may change, the sentence stays."""
    text, number = "", 0
    for value in values:
        if isinstance(value, ast.Constant):
            text += str(value.value)
        else:
            number += 1
            text += f"{{{number}}}"
    return text


if __name__ == "__main__":
    print("\n".join(sentences()))
