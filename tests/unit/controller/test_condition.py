"""One assessment: every interface names the same accounts in trouble, from real files, units and deliveries."""

import asyncio
import json
import shlex
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.cli.conftest import Wxctl
from tests.unit.controller.machine import Machine, reports_of
from wxcontroller import __version__
from wxcontroller.controller.accounts.statefiles import uptime
from wxcontroller.controller.accounts.units import UnitRecord
from wxcontroller.controller.alerts.alertwatch import AlertWatch, Clock
from wxcontroller.controller.reconcile import BootMark
from wxcontroller.core.condition.deliverystate import DeliveryState
from wxcontroller.core.jsontypes import JsonObject, items, obj
from wxcontroller.core.names import unit_of
from wxcontroller.core.states import LoginState, UnitState
from wxcontroller.core.text.templates import Text

MINUTE = 60
# Condition, severity and code by the name of the account, which states the problem.
TROUBLED = {
    "down": ("down", "error", "unit-down"),
    "failed": ("failed", "error", "unit-failed"),
    "restarting": ("restarting", "warning", "unit-restarting"),
    "crashing": ("running", "error", "crash-loop"),
    "stuck": ("loading", "error", "login-stuck"),
    "stalled": ("loading", "warning", "login-stuck"),
    "scan": ("scanning", "warning", "needs-scan"),
    "confirm": ("confirming", "warning", "needs-confirmation"),
    "offline": ("offline", "error", "offline"),
    "parked": ("parked", "error", "parked"),
    "input": ("input", "error", "needs-decision"),
    "silent": ("up", "warning", "no-state"),
    "unreadable": ("unreadable", "warning", "state-unreadable"),
    "webhook": ("running", "warning", "webhook-failing"),
    "late": ("running", "warning", "reports-late"),
    "dead": ("running", "warning", "dead-letters"),
    "dying": ("running", "error", "dead-letters"),
    "lost": ("running", "error", "reports-lost"),
    "damaged": ("running", "error", "log-damaged"),
    "full": ("running", "error", "cannot-store"),
    "restricted": ("running", "warning", "person-restricted"),
    "limited": ("running", "warning", "sends-limited"),
}
WELL = ("acknowledged", "busy", "fresh", "idle", "old", "stopped")


@pytest_asyncio.fixture
async def troubled(host: Machine) -> AsyncIterator[AlertWatch]:
    """Accounts with the problems that their names state, and a watch without an alert channel."""
    settings = host.accounts.settings
    host.accounts.settings = replace(settings, alerts=replace(settings.alerts, disk_low=0))
    BootMark(host.paths).set()
    passed = 0.0
    watch = AlertWatch(host.accounts, host.shared.ports, BootMark(host.paths), clock=Clock(steady=lambda: passed))
    host.shared.alerts = watch
    now = int(time.time())
    for name in (*TROUBLED, *WELL):
        (await host.start(name)).say(LoginState.RUNNING, version=__version__, last_sync_uptime=uptime())
    for count in range(4):
        host.units.restarted["crashing"] = count
        host.process("crashing").say(LoginState.RUNNING, pid=100 + count, version=__version__)
        await watch.look(await host.accounts.views())
        passed += 30
    say = {name: host.process(name).say for name in (*TROUBLED, *WELL)}
    await host.get("stop_client", client="stopped")
    for name, then in (
        ("down", None),
        ("failed", UnitRecord("failed", UnitState.FAILED, "failed")),
        ("restarting", UnitRecord("restarting", UnitState.ACTIVATING, "auto-restart")),
    ):
        await host.units.kill(name, then)
    del host.units.records["down"]
    logged_out: JsonObject = {"version": __version__, "last_sync_uptime": uptime()}
    say["stuck"](LoginState.LOADING, status="logging in", state_since=now - 21 * MINUTE, version=__version__)
    say["stalled"](LoginState.LOADING, reason="no answer", state_since=now - 2 * MINUTE, version=__version__)
    say["fresh"](LoginState.LOADING, status="logging in", state_since=now - 2 * MINUTE, version=__version__)
    say["scan"](LoginState.SCANNING, qrcode_link="https://login.weixin.qq.com/l/AbC", **logged_out)
    say["confirm"](LoginState.CONFIRMING, **logged_out)
    say["offline"](LoginState.OFFLINE, reason="the proxy can't be reached", version=__version__)
    say["parked"](LoginState.PARKED, reason="refused", version=__version__)
    question: JsonObject = {"id": "allow-desktop", "kind": "consent", "prompt": "a risk"}
    say["input"](LoginState.PARKED, reason="a risk", input=question, version=__version__)
    host.process("silent").write(b'{"account": "silent"}')
    host.process("unreadable").write(b"{half")
    limits = {"limit_24h": 5, "limit_24h_until": now + 1000}
    say["limited"](LoginState.RUNNING, **limits, version=__version__, last_sync_uptime=uptime())
    say["restricted"](LoginState.RUNNING, restricted=1, version=__version__, last_sync_uptime=uptime())
    say["old"](LoginState.RUNNING, version="2.0.0")
    # "busy" has just begun to wait, also on a slow machine.
    for name, deliveries in (
        (
            "webhook",
            DeliveryState(waiting=3, oldest_since=now - 5 * MINUTE, last_error=Text("the webhook returned 500")),
        ),
        ("late", DeliveryState(waiting=3, oldest_since=now - 20 * MINUTE)),
        ("dead", DeliveryState(dead=2, unacknowledged=2, dead_at=now - 3600)),
        ("dying", DeliveryState(dead=2, unacknowledged=2, dead_at=now - MINUTE)),
        ("lost", DeliveryState(dropped=5, dropped_at=now - 3600)),
        ("damaged", DeliveryState(damaged_at=now - 3600)),
        ("full", DeliveryState(trouble=Text("database or disk is full"))),
        ("acknowledged", DeliveryState(dead=2)),
        ("busy", DeliveryState(waiting=3, oldest_since=now + 300, last_error=Text("the webhook returned 500"))),
    ):
        host.process(name).publish(reports=reports_of(deliveries))
    await watch.look(await host.accounts.views())
    yield watch


async def wxctl(host: Machine, *arguments: str) -> str:
    done = await asyncio.to_thread(Wxctl(host.paths.root, host.url), *arguments)
    assert done.returncode in (0, 1) and done.stdout, done.stderr
    return done.stdout


def in_trouble(accounts: object) -> dict[str, tuple[object, object, object]]:
    return {
        str(each["name"]): (each["condition"], each["severity"], obj(each["advice"])["code"])
        for each in map(obj, items(accounts))
        if each["severity"] in ("warning", "error")
    }


async def test_every_interface_names_the_same_accounts(host: Machine, troubled: AlertWatch) -> None:
    _, listed = await host.v1("GET", "accounts")
    assert in_trouble(listed["accounts"]) == TROUBLED
    assert in_trouble(json.loads(await wxctl(host, "list", "--json"))) == TROUBLED
    names = [account["name"] for account in json.loads(await wxctl(host, "list", "--trouble", "--json"))]
    assert sorted(names) == sorted(TROUBLED)
    for name, expected in TROUBLED.items():
        _, one = await host.v1("GET", f"accounts/{name}")
        assert in_trouble([one]) == {name: expected}

    status = await wxctl(host, "status")
    assert {line.split(":")[0].strip() for line in status.splitlines() if line.startswith("  ")} >= set(TROUBLED)
    assert not {line.split(":")[0].strip() for line in status.splitlines() if line.startswith("  ")} & set(WELL)

    lines = [obj(load) for load in json.loads(await wxctl(host, "doctor", "--json"))]
    doubtful = [line for line in lines if line["check"] in ("account", "reports") and line["level"] != "ok"]
    assert {str(each["message"]).split(":")[0] for each in doubtful} == set(TROUBLED)
    assert [line["level"] for line in lines if "wxctl restart old" in str(line["remedy"])] == ["ok"]

    alerts = (await wxctl(host, "alert", "status")).splitlines()
    assert {line.split()[1].rstrip(":") for line in alerts if line.startswith("Account ")} == set(TROUBLED)

    async with host.http.get("/metrics") as answer:
        families = text_string_to_metric_families(await answer.text())
    severities = {
        sample.labels["account"]: sample.value
        for family in families
        if family.name == "wxclient_severity"
        for sample in family.samples
    }
    assert {name for name, severity in severities.items() if severity >= 2} == set(TROUBLED)
    assert severities["old"] == 1


@pytest.mark.parametrize("name", ["webhook", "lost"])
async def test_remedy_with_an_option_takes_effect_as_it_is(host: Machine, troubled: AlertWatch, name: str) -> None:
    _, account = await host.v1("GET", f"accounts/{name}")
    commands = str(obj(obj(account["advice"])["values"])["set"])
    replaced = commands.replace("=URL", "=http://127.0.0.1:9/new").replace("=BYTES", "=2000000")
    before, run = len(host.units.calls), Wxctl(host.paths.root, host.url)
    for each in replaced.split(" && "):
        words = shlex.split(each)[1:]
        done = await asyncio.to_thread(run, *words, *(["--no-wait"] if "restart" in words else []))
        assert done.returncode == 0, done.stderr
    assert f"restart {unit_of(name)}" in host.units.calls[before:]


async def test_code_of_2_0_0_is_assessed_and_reported_as_old(host: Machine, tmp_path: Path) -> None:
    process = await host.start("alice")
    process.say(LoginState.OFFLINE, reason="no network", version="2.0.0")
    _, account = await host.v1("GET", "accounts/alice")
    codes = [obj(issue)["code"] for issue in items(account["issues"])]
    assert (account["condition"], account["severity"], codes) == ("offline", "error", ["offline", "old-code"])
    process.say(LoginState.RUNNING, version="2.0.0")
    _, account = await host.v1("GET", "accounts/alice")
    advice = obj(account["advice"])
    assert (account["severity"], advice["code"], advice["severity"]) == ("notice", "old-code", "notice")
    assert obj(advice["values"])["running"] == "2.0.0"


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        ((3, 1), "at most 3 undelivered reports were lost"),
        ((0, 1), "undelivered reports may be lost"),
        ((0, 0), "no undelivered report was lost"),
    ],
)
async def test_unknown_losses_are_no_number(host: Machine, lost: tuple[int, int], told: str) -> None:
    now = int(time.time())
    (await host.start("alice")).say(LoginState.RUNNING, version=__version__, last_sync_uptime=uptime())
    deliveries = DeliveryState(damaged_at=now, dropped=lost[0], dropped_at=lost[1] * now)
    host.process("alice").publish(reports=reports_of(deliveries))
    _, account = await host.v1("GET", "accounts/alice")
    assert told in str(obj(account["advice"])["message"])


async def test_a_stopped_account_has_no_problems(host: Machine) -> None:
    await host.start("alice")
    await host.get("stop_client", client="alice")
    host.units.records["alice"] = UnitRecord("alice", UnitState.FAILED, "failed")
    _, account = await host.v1("GET", "accounts/alice")
    assert (account["condition"], account["severity"]) == ("failed", "notice")
