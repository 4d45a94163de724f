"""What stands in docs/monitoring: the alerts and the dashboard, held against the figures that are told."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.controller.machine import Machine
from tests.unit.controller.test_metrics import STATUS, promtool, scrape, up
from tests.unit.controller.test_notify import post, target
from wxcontroller.controller.hostowners import HostOwners
from wxcontroller.controller.hosts import other_hosts
from wxcontroller.core.fleetsettings import EtcdSettings, FleetSettings, HostSettings
from wxcontroller.fleet.etcd import EtcdEntry
from wxcontroller.fleet.owners import LivingHost

DOCS = Path(__file__).parents[3] / "docs/monitoring"
RULES = Path(__file__).parents[1] / "monitoring/alerts_test.yml"
NAME = re.compile(r"\b((?:wxclient|wxcontroller|process)_[a-z_]+)\b")


async def families(host: Machine) -> list[Metric]:
    await up(host)
    process = host.process("alice")
    process.sends = []
    assert (await post(host, "/notify/ops", await target(host), "m"))[0] == 200
    await host.gate.consumers.issue(process.account, "helper")
    process.status = json.dumps({**STATUS, "consumers": [{"name": "helper"}]}).encode()
    secret = host.paths.root / "token"
    secret.write_text("wxc_12345678_" + "0" * 64)
    other = HostSettings("b", "https://127.0.0.1:9", str(secret))
    etcd = EtcdSettings(("http://127.0.0.1:9",))
    host.shared.fleet = fleet = other_hosts(host.shared, host.paths, FleetSettings("a", "", (other,), etcd))
    assert isinstance(fleet.ownership, HostOwners)
    fleet.ownership.records.hosts["b"] = LivingHost("2.3.0", frozenset(), 1, EtcdEntry("", b"", 1, 1, 1))
    await host.v1("PATCH", f"accounts/{process.account.name}/options", {"standby": "b"})
    await fleet.standbys.look()
    return list(text_string_to_metric_families(await scrape(host)))


@pytest.mark.parametrize("file", ["alerts.yml", "grafana.json"])
async def test_only_figures_that_are_told_are_asked_for(host: Machine, file: str) -> None:
    told = {sample.name for family in await families(host) for sample in family.samples}
    asked = set(NAME.findall((DOCS / file).read_text()))
    assert asked
    assert asked - told == set()


async def test_the_dashboard_asks_what_prometheus_understands(host: Machine, tmp_path: Path) -> None:
    """Its expressions, with the variables filled in, as rules that promtool checks."""
    board = json.loads((DOCS / "grafana.json").read_text())
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert len(expressions) >= len(board["panels"])
    rules = [
        {"record": f"panel:{number}", "expr": re.sub(r"\$\w+", ".*", expression)}
        for number, expression in enumerate(expressions)
    ]
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    checked = await asyncio.to_thread(promtool, "check", "rules", str(path))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    places = [panel["gridPos"] for panel in board["panels"]]
    assert len({(place["x"], place["y"]) for place in places}) == len(places)


def test_the_alerts_go_off_when_they_should() -> None:
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", str(DOCS / "alerts.yml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tried = promtool("test", "rules", str(RULES))
    assert tried.returncode == 0, tried.stdout + tried.stderr
