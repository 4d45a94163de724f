"""/metrics, and the rules and the dashboard of docs/monitoring, checked by Prometheus' own tool."""

import asyncio
import json
import re
import subprocess
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.programs import run
from tests.unit.controller.machine import Machine
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.states import LoginState

STATUS: JsonObject = {
    "name": "alice",
    "instance": "alice",
    "start_time": 1_700_000_000,
    "last_sync_time": 1_700_000_100,
    "queue": {"waiting": 3, "oldest_since": 1_700_000_050},
    "reports": {
        **{"waiting": 7, "oldest_since": None, "dead": 2, "bytes": 4096},
        **{"delivered": 40, "failed": 5, "refused": 6, "dropped": 0, "last_error": "the webhook returned 500"},
    },
    "messages": {
        "received": {"text": 12, "image": 1},
        "sent": {"text": 4},
        "sent_elsewhere": {"text": 9},
        "not_sent": 1,
    },
    "memory": 31_000_000,
    "media": {"files": 1, "bytes": 900},
    "roster": {"contacts": 5, "groups": 1, "members": 9},
    "user": {"id": "@secret", "name": "a chat's name"},
}
Figures = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def scrape(host: Machine, accept: str = "") -> str:
    async with host.http.get("/metrics", headers={"Accept": accept} if accept else {}) as answer:
        assert answer.status == 200
        return await answer.text()


def promtool(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run Prometheus' own tool."""
    return run("promtool", *arguments, given=stdin)


def figures(text: str) -> Figures:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(found: Figures, name: str, **labels: str) -> float:
    return found[name, tuple(sorted(labels.items()))]


async def up(host: Machine) -> None:
    process = await host.start("alice")
    process.say(LoginState.RUNNING, last_sync_time=STATUS["last_sync_time"])
    process.status = json.dumps(STATUS).encode()


async def test_metrics_of_an_account(host: Machine) -> None:
    await up(host)
    text = await scrape(host)
    for secret in ("@secret", "a chat's name", "the webhook returned 500"):
        assert secret not in text
    checked = await asyncio.to_thread(promtool, "check", "metrics", stdin=text)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    found = figures(text)
    assert of(found, "wxclient_up", account="alice") == 1
    assert of(found, "wxclient_wanted", account="alice") == 1
    gauges = {
        **{"start_time_seconds": 1_700_000_000, "last_sync_timestamp_seconds": 1_700_000_100},
        **{"sends_waiting": 3, "sends_oldest_timestamp_seconds": 1_700_000_050},
        **{"deliveries_waiting": 7, "deliveries_oldest_timestamp_seconds": 0, "deliveries_dead": 2},
    }
    for name, value in gauges.items():
        assert of(found, f"wxclient_{name}", account="alice") == value, name
    for direction, count in {"received": 12, "sent": 4, "sent_elsewhere": 9}.items():
        assert of(found, "wxclient_messages_total", account="alice", direction=direction, kind="text") == count
    by_result = {"delivered": 40, "failed": 5, "dead": 6, "dropped": 0}
    for result, count in by_result.items():
        assert of(found, "wxclient_deliveries_total", account="alice", result=result) == count


async def test_an_account_makes_no_labels(host: Machine) -> None:
    await up(host)
    host.process("alice").publish(messages={"received": {"text": 12, "of-its-own": 3}})
    found = figures(await scrape(host))
    kinds = {dict(labels)["kind"] for name, labels in found if name == "wxclient_messages_total"}
    assert kinds == {"text"}


async def test_an_account_without_a_usable_status_affects_no_other(host: Machine) -> None:
    await up(host)
    process = await host.start("bob")
    process.status = b"<html>"
    await host.start("carol")
    await host.v1("POST", "accounts/carol/stop")
    found = figures(await scrape(host))
    assert [of(found, "wxclient_up", account=name) for name in ("alice", "bob", "carol")] == [1, 1, 0]
    assert of(found, "wxclient_wanted", account="carol") == 0
    assert of(found, "wxcontroller_accounts", state="stopped") == 1
    assert [("wxclient_sends_waiting", (("account", name),)) in found for name in ("alice", "bob")] == [True, False]


DOCS = Path(__file__).parents[3] / "docs/monitoring"
RULES = Path(__file__).parents[1] / "monitoring/alerts_test.yml"
NAME = re.compile(r"\b((?:wxclient|wxcontroller|process)_[a-z_]+)\b")


async def test_requests_are_counted_by_the_part_of_the_api(host: Machine) -> None:
    """Also those that an account answers."""
    await host.start("alice")
    for path in ("/openwx/echo?client=alice", "/v1/accounts/alice/media/1.jpg"):
        async with host.http.get(path) as answer:
            assert answer.status < 500
    async with host.http.post("/mcp", json={}) as answer:  # to a path like that of a target
        assert answer.status == 404
    found, name = figures(await scrape(host)), "wxcontroller_requests_total"
    for part, number in (("openwx", 2), ("v1", 1), ("mcp", 1)):  # the account was started by one of them
        assert sum(of(found, name, part=part, code=code) for code in ("2xx", "4xx")) == number, part


async def test_rules_and_dashboard_use_metrics_that_exist(host: Machine) -> None:
    await up(host)
    await host.v1("GET", "accounts")  # for the counters of requests
    exposed = {name for name, _ in figures(await scrape(host))}
    for file in ("alerts.yml", "grafana.json"):
        used = set(NAME.findall((DOCS / file).read_text()))
        assert used
        assert used - exposed == set()


def test_alert_rules_fire_as_intended() -> None:
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", str(DOCS / "alerts.yml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tried = promtool("test", "rules", str(RULES))
    assert tried.returncode == 0, tried.stdout + tried.stderr
