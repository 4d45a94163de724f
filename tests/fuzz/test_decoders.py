"""The short run of the fuzzers: the same inputs each time, over every decoder, and all that was ever found."""

import ast
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.corpus import FINDINGS, findings, slug
from tests.fuzz.mutate import Mutator
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS
from tests.fuzz.trial import Trial

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "wxcontroller"
NAMES = sorted(TARGETS)
# Inputs for each part of a decoder's weight: some six seconds in all.
_INPUTS = 80
_LONG_ONES = 3


def feed(target: Target, inputs: list[bytes], tmp_path: Path) -> Trial:
    trial = Trial(target, tmp_path)
    for data in inputs:
        trial.attempt(data)
    assert not trial.found, "\n".join(trial.found.values())
    return trial


@pytest.mark.parametrize("name", NAMES)
def test_recorded_traffic_is_understood(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    assert target.seeds
    assert feed(target, list(target.seeds), tmp_path).taken


@pytest.mark.parametrize("name", NAMES)
def test_what_was_found_once_is_taken_well_now(name: str, tmp_path: Path) -> None:
    feed(TARGETS[name], list(findings(name).values()), tmp_path)


def test_every_finding_belongs_to_a_decoder() -> None:
    assert {path.name for path in FINDINGS.iterdir()} <= {slug(name) for name in TARGETS}


@pytest.mark.parametrize("name", NAMES)
def test_whatever_comes_is_a_value_or_a_refusal(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    mutator = Mutator((*target.seeds, *findings(name).values()), random.Random(4711), target.tokens)
    inputs = [mutator.next() for _ in range(_INPUTS * target.weight)]
    inputs += [mutator.stretched(target.longest) for _ in range(_LONG_ONES)]
    trial = feed(target, inputs, tmp_path)
    assert trial.inputs == len(inputs)
    assert len(set(inputs)) > len(inputs) // 2


# Calls that read bytes or texts which may come from elsewhere.
_READERS = frozenset(
    "json.loads read_json kept_json tomllib.load urlsplit parse_qsl url_of URL b64decode raw_decode parseString "
    "parsedate_tz unquote_to_bytes guess_type get_boundary markup.read".split()
)
# Modules that targets reach through others.
_BEHIND = {
    *(
        "wxcontroller.client.sends.preparing",
        "wxcontroller.client.sends.sender",
        "wxcontroller.client.v1.sendrequest",
    ),
    *("wxcontroller.controller.account_port.client", "wxcontroller.controller.ilink.origin"),
    *("wxcontroller.controller.ilink.pair", "wxcontroller.controller.v1.accounts"),
}
# Modules that call one of these on what is their own, with the reason.
_OWN: dict[str, str] = {
    "wxcontroller.controller.answers": "the controller's own answer",
    "wxcontroller.controller.hostcalls": "three fields of a start, each checked for its type, and read again by it",
    "wxcontroller.controller.hostowners": "files of the keeper and the controller of this host",
    "wxcontroller.client.store.migration": "files that 2.0.0 left, which the account wrote itself",
    "wxcontroller.client.permit": "files of the keeper and the controller of this host",
    "wxcontroller.fleet.keeper": "one field, which is compared",
    "wxcontroller.fleet.connection": "the URL of a host, checked by the settings",
    "wxcontroller.cli.ilink": "the link is typed by the user",
    "wxcontroller.controller.ilink.calls": "one field of a small body, whose type is checked",
    "wxcontroller.cli.events": "the controller's own stream, read as in 'streams of accounts'",
    "wxcontroller.cli.doctor.network": "the option server, checked by 'options'",
    "wxcontroller.cli.credential": "root's own file, read as root alone",
    "wxcontroller.cli.transfer.staging": "root's own file, in a directory that root alone can enter",
    "wxcontroller.cli.local": "systemd's own answers, read as in 'list of units'",
    "wxcontroller.client.v1.typing": "two fields of a small body, each checked for its type",
    "wxcontroller.core.leaving": "the controller's own file",
    "wxcontroller.controller.receiving": "what an import on this machine prints",
    "wxcontroller.core.loginbook": "the controller's own file; accounts publish its entries in 'state files'",
    "wxcontroller.cli.loginlink": "the address of the controller, typed by the user",
    "wxcontroller.client.deliveries.trial": "the option post_api, checked by 'options'",
    "wxcontroller.client.ilink.cdn": "what the account sealed; the key of an upload is read as in 'content of iLink'",
    "wxcontroller.client.ilink.management": "options in a small body, each checked for its type",
    "wxcontroller.client.ilink.messages": "rows of the log, read as in 'rows of the event log'",
    "wxcontroller.client.store.consumers": "the account's own rows",
    "wxcontroller.client.store.history": "rows of the log, read as in 'rows of the event log'",
    "wxcontroller.client.v1.trials": "one field of a small body, whose type is checked",
    "wxcontroller.controller.notify.sending": "answers of an account, of which texts and numbers are taken",
    "wxcontroller.core.webhooksecrets": "the option webhook_secret, checked by 'options'",
    "wxcontroller.client.resuming": "names a file that was fetched just now",
    "wxcontroller.client.quotes": "rows of the log, read as in 'rows of the event log'",
    "wxcontroller.client.reporting": "the option post_message_filter, checked by 'options'",
}


def test_every_module_that_reads_foreign_bytes_has_a_target() -> None:
    covered = {name for path in (ROOT / "tests/fuzz/targets").glob("*.py") for name in _imported(path)}
    readers = {name for path in PACKAGE.rglob("*.py") if _reads(path) and "sandbox" not in (name := _module(path))}
    excepted = _OWN.keys() | _BEHIND
    assert readers - covered - excepted == set()
    assert excepted <= readers - covered, "an exception that is none any more"


def _imported(path: Path) -> Iterator[str]:
    """Yield the modules that a file of targets imports, and reads bytes with."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{one.name}" for one in node.names)


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _reads(path: Path) -> bool:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in _READERS or called.rpartition(".")[2] in _READERS:
                return True
    return False
