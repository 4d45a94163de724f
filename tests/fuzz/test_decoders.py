"""The short run of the fuzzers: the same inputs each time, over every decoder, and all that was ever found."""

import ast
import random
from pathlib import Path

import pytest

from tests.fuzz.corpus import FINDINGS, findings, slug
from tests.fuzz.mutate import Mutator
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS
from tests.fuzz.trial import Trial

ROOT = Path(__file__).parents[2]
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
def test_earlier_findings_remain_fixed(name: str, tmp_path: Path) -> None:
    feed(TARGETS[name], list(findings(name).values()), tmp_path)


def test_every_finding_belongs_to_a_decoder() -> None:
    assert {path.name for path in FINDINGS.iterdir()} <= {slug(name) for name in TARGETS}


@pytest.mark.parametrize("name", NAMES)
def test_any_input_yields_a_value_or_a_refusal(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    mutator = Mutator((*target.seeds, *findings(name).values()), random.Random(4711), target.tokens)
    inputs = [mutator.next() for _ in range(_INPUTS * target.weight)]
    inputs += [mutator.stretched(target.longest) for _ in range(_LONG_ONES)]
    trial = feed(target, inputs, tmp_path)
    assert trial.inputs == len(inputs)
    assert len(set(inputs)) > len(inputs) // 2


# Calls that read bytes or texts which may come from elsewhere.
_READERS = frozenset(
    "json.loads read_json kept_json urlsplit parse_qsl url_of URL b64decode raw_decode parseString parsedate_tz "
    "unquote_to_bytes guess_type get_boundary markup.read".split()
)
# Where input from WeChat, webhooks and callers is read first. Elsewhere it is mostly an account's or the machine's.
_EDGES = ("drivers", "openwx", "client/deliveries", "client/sends", "controller/notify", "controller/mcp", "core")
_EXCEPTIONS = {
    "wxcontroller.client.deliveries.trial": "the option post_api, checked by 'options'",
    "wxcontroller.client.sends.preparing": "reached through 'requests to an account'",
    "wxcontroller.client.sends.sender": "reached through 'requests to an account'",
    "wxcontroller.controller.notify.sending": "answers of an account, of which texts and numbers are taken",
    "wxcontroller.core.leaving": "the controller's own file",
    "wxcontroller.core.loginbook": "the controller's own file; accounts publish its entries in 'state files'",
    "wxcontroller.core.webhooksecrets": "the option webhook_secret, checked by 'options'",
}


def test_every_module_that_reads_foreign_bytes_has_a_target() -> None:
    targets = [ast.walk(ast.parse(path.read_text())) for path in (ROOT / "tests/fuzz/targets").glob("*.py")]
    imports = [node for nodes in targets for node in nodes if isinstance(node, ast.ImportFrom)]
    covered = {node.module for node in imports} | {
        f"{node.module}.{one.name}" for node in imports for one in node.names
    }
    readers = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for edge in _EDGES
        for path in (ROOT / "wxcontroller" / edge).rglob("*.py")
        if _reads(path)
    }
    assert readers - covered == _EXCEPTIONS.keys()


def _reads(path: Path) -> bool:
    calls = (ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    return any(call in _READERS or call.rpartition(".")[2] in _READERS for call in calls)
