"""wxctl alert: test alerts, and the status of alerts."""

import json
import time
from dataclasses import replace
from functools import partial

import pytest

from tests.unit.cli.conftest import Wxctl
from tests.unit.cli.host import PARKED, Host
from wxcontroller.controller.alerts.watch import AlertWatch
from wxcontroller.controller.reconcile import BootMark
from wxcontroller.core.alertsettings import AlertSettings, Channel
from wxcontroller.core.alertspool import AlertOutcome, AlertState, Spool

WEBHOOK, MAIL = Channel.WEBHOOK, Channel.MAIL


@pytest.fixture
def watch(host: Host) -> AlertWatch:
    """What makes alerts; there are no channels yet."""
    machine, mark = host.machine, BootMark(host.machine.paths)
    mark.set()
    machine.shared.alerts = made = AlertWatch(machine.accounts, machine.shared.ports, mark)
    return made


def set_channels(host: Host) -> None:
    for channel in (WEBHOOK, MAIL):
        for place in (host.machine.paths.alerts_spool, host.machine.paths.alerts_runtime):
            place(channel).mkdir(parents=True, exist_ok=True)
    alerts = AlertSettings(webhook="http://127.0.0.1:9/", mail="a@example.org", disk_low=0)
    host.machine.accounts.settings = replace(host.machine.accounts.settings, alerts=alerts)
    tried(host, WEBHOOK, "the webhook returned 500")


def tried(host: Host, channel: Channel, error: str = "") -> None:
    """Note as the deliverer does how it went with the alert that waits, or with an older one."""
    spool = Spool(host.machine.paths, channel)
    number = "".join(each.id for each in spool.waiting()) or "old"
    spool.note(AlertState(last=AlertOutcome(number, error, int(time.time()))))


def test_test_alert_reports_the_result_of_each_channel(host: Host, wxctl: Wxctl, watch: AlertWatch) -> None:
    set_channels(host)
    host.after = {"POST alerts/test": partial(tried, host, WEBHOOK), "GET alerts": partial(tried, host, MAIL)}
    done = wxctl("alert", "test")
    assert (done.returncode, done.stdout) == (0, "webhook: delivered\nmail: delivered\n")
    for channel in (WEBHOOK, MAIL):
        Spool(host.machine.paths, channel).clear()
    host.after["GET alerts"] = partial(tried, host, MAIL, "no mail program")
    failed = wxctl("alert", "test", "--json")
    assert (failed.returncode, "journalctl -u wxcontroller-alert@mail" in failed.stderr) == (1, True)
    assert json.loads(failed.stdout)["channels"] == {"webhook": None, "mail": "no mail program"}


def test_test_alert_times_out_for_an_idle_channel(host: Host, wxctl: Wxctl, watch: AlertWatch) -> None:
    set_channels(host)
    done = wxctl("alert", "test", "--timeout", "0.5")
    assert done.returncode == 1
    assert "webhook: not tried within 0.5 s" in done.stdout
    assert "systemctl restart wxcontroller-alert@webhook" in done.stderr
    assert wxctl("alert", "test", "--timeout", "0.1", "--json").stdout.count("not tried") == 2


def test_status_shows_channels_and_their_errors(host: Host, wxctl: Wxctl, watch: AlertWatch) -> None:
    host.add("alice", PARKED)
    host.do(watch.look(host.do(host.machine.accounts.views())))
    done = wxctl("alert", "status")
    [problem] = done.stdout.splitlines()
    assert (done.returncode, problem.startswith("Account alice"), "[alerts]" in done.stderr) == (0, True, True)
    set_channels(host)
    mail, webhook, pending = wxctl("alert", "status").stdout.splitlines()
    assert (webhook.startswith("webhook: last "), webhook.endswith("the webhook returned 500")) == (True, True)
    assert (mail, pending) == ("mail: nothing sent yet", f"{problem} (not reported yet)")
    host.do(watch.look(host.do(host.machine.accounts.views())))
    _, webhook, reported = wxctl("alert", "status").stdout.splitlines()
    assert ("1 waiting" in webhook, reported) == (True, problem)
    assert json.loads(wxctl("alert", "status", "--json").stdout)["problems"][0]["account"] == "alice"
