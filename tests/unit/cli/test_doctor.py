"""wxctl doctor and alerts without a booted host: WeChat's clock, proxies, login users, and another machine."""

import email.utils
import os
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.inthread import in_thread
from tests.serving import answering
from tests.unit.cli.conftest import Wxctl, program
from tests.unit.cli.host import ASKING, DOWN, PARKED, RISK, RUNNING, SCANNING, Host
from tests.unit.controller.machine import reports_of
from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.doctor import network, services
from wxcontroller.cli.doctor.examine import results
from wxcontroller.cli.doctor.result import CheckTarget
from wxcontroller.controller.alerts.alertwatch import AlertWatch
from wxcontroller.controller.reconcile import BootMark
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.access.tokenfile import TokenFile, minted
from wxcontroller.core.alertspool import AlertOutcome, AlertState, Spool
from wxcontroller.core.condition.deliverystate import DeliveryState
from wxcontroller.core.config.alertsettings import AlertSettings, Channel
from wxcontroller.core.names import parse_name
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.account import Account
from wxcontroller.core.registry.check import Level


def target(**options: str) -> CheckTarget:
    account = Account(parse_name("alice"), 3000, options=options)
    return CheckTarget(Api("http://127.0.0.1:9"), registered=[account, account])


@pytest.mark.parametrize(
    ("ahead", "level", "words"),
    [(0, Level.OK, "correct"), (-50, Level.WARN, "s ahead of http"), (4000, Level.FAIL, "s behind http")],
)
def test_the_clock_is_compared_with_wechats(ahead: float, level: Level, words: str) -> None:
    date = email.utils.formatdate(time.time() + ahead, usegmt=True)
    with in_thread(answering(f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n".encode())) as server:
        # Once, although two accounts use that server.
        line, clock = network.wechat(target(server=f"http://127.0.0.1:{server.entered}"))
    assert line.level is Level.OK
    assert (clock.what, clock.level) == ("clock", level)
    assert words in str(clock.message)


def test_a_server_that_is_busy_is_named() -> None:
    with in_thread(answering(b"HTTP/1.1 503 busy\r\nContent-Length: 0\r\n\r\n")) as server:
        url = f"http://127.0.0.1:{server.entered}"
        line, *_ = network.wechat(target(server=url))
    assert (line.level, url in str(line.message), "503" in str(line.message)) == (Level.WARN, True, True)


def test_the_proxy_is_checked_instead_of_wechat(unused_url: str) -> None:
    [found] = network.wechat(target(proxy=unused_url.replace("http://", "http://u:secret@")))
    assert found.level is Level.FAIL
    assert "secret" not in f"{found.message}{found.remedy}"
    with socket.create_server(("127.0.0.1", 0)) as there:
        [found] = network.wechat(target(proxy=f"socks5://127.0.0.1:{there.getsockname()[1]}"))
    assert found.level is Level.OK


def test_unrestricted_login_users_are_named_until_a_token_exists(tmp_path: Path) -> None:
    one = CheckTarget(Api("http://127.0.0.1:9"), Paths(tmp_path))
    passwd = tmp_path / "etc/passwd"
    one.paths.tokens_file.parent.mkdir(parents=True)
    passwd.write_text("root:x:0:0::/root:/bin/bash\nwww-data:x:33:33::/:/bin/sh\nbot:x:1001:1::/:/usr/sbin/nologin\n")
    assert [found.level for found in services.callers(one)] == [Level.OK]
    passwd.write_text(passwd.read_text() + "ann:x:1000:1000:Ann:/home/ann:/bin/bash\nbob:x:1002:1::/:/bin/sh\n")
    [found] = services.callers(one)
    assert (found.level, "ann, bob" in str(found.message)) == (Level.WARN, True)
    TokenFile(one.paths.tokens_file).add(minted("me", Scope.ADMIN, (), None)[1])
    assert [found.level for found in services.callers(one)] == [Level.OK]


def test_a_credential_of_the_controller_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # For the controller's unit only; an empty value forgets those before it.
    unit = "LoadCredential=old:/etc/gone\nLoadCredential=\nLoadCredential=tls.crt:/etc/nowhere.pem\n"
    program(
        tmp_path,
        "systemctl",
        f"case \"$*\" in *'cat -- wxcontroller.service') printf '{unit}' ;; *) exit 1 ;; esac\n",
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = [str(one.message) for one in services.credentials(target())]
    assert "wxcontroller.service has the credential tls.crt from /etc/nowhere.pem, which is not there" in found
    assert "/etc/gone" not in "".join(found)


@pytest.fixture
def webhook(host: Host) -> Spool:
    """The spool of the controller's only alert channel, whose last alert failed."""
    paths, channel = host.machine.paths, Channel.WEBHOOK
    for place in (paths.alerts_spool, paths.alerts_runtime):
        place(channel).mkdir(parents=True)
    alerts = AlertSettings(webhook="http://127.0.0.1:9/", disk_low=0)
    host.machine.accounts.settings = replace(host.machine.accounts.settings, alerts=alerts)
    spool = Spool(paths, channel)
    spool.note(AlertState(last=AlertOutcome("old", "the webhook returned 500", int(time.time()))))
    return spool


@pytest.mark.usefixtures("webhook")
def test_another_machine_is_checked_through_its_controller(host: Host) -> None:
    host.add("well", RUNNING)
    host.add("given-up", PARKED)
    host.add("alice", ASKING)
    host.add("down", DOWN)
    host.add("waits", SCANNING)
    host.add("deadly", RUNNING)
    deliveries = DeliveryState(unacknowledged=2, dead_at=int(time.time()))
    host.process("deadly").publish(reports=reports_of(deliveries))
    api = Api(host.url)
    api.is_local = False
    found = {
        str(result.message): (result.level.value, result.what, str(result.remedy))
        for result in results(api, Paths(Path("/nonexistent")))
    }
    assert {what for _, what, _ in found.values()} == {
        *("controller", "polkit", "account", "program", "reports", "alerts")
    }
    assert any(words.startswith("given-up: no phone") and one[0] == "fail" for words, one in found.items())
    assert "wxctl answer alice" in found[f"alice: waiting for your answer: {RISK}"][2]
    assert any(words.startswith("down: unit wxclient@") and one[2] for words, one in found.items())
    assert any(words.startswith("waits: the QR code") and one[0] == "warn" for words, one in found.items())
    assert found["deadly: 2 dead letters, the latest: delivery failed"][:2] == ("fail", "reports")
    assert not any(words.startswith("well") and one[1] == "account" for words, one in found.items())
    failed = "the last alert by webhook was not delivered: the webhook returned 500"
    assert found[failed][2] == "wxctl alert test"


def test_alerts_that_were_not_delivered_are_reported(host: Host, wxctl: Wxctl, webhook: Spool) -> None:
    host.add("alice", PARKED)
    machine, mark = host.machine, BootMark(host.machine.paths)
    mark.set()
    machine.shared.alerts = watch = AlertWatch(machine.accounts, machine.shared.ports, mark)
    host.do(watch.look(host.do(machine.accounts.views())))
    channel, problem = wxctl("alert", "status").stdout.splitlines()
    assert ("1 waiting" in channel, problem.startswith("Account alice")) == (True, True)
    assert channel.endswith("the webhook returned 500")
    webhook.clear()
    done = wxctl("alert", "test", "--timeout", "0.5")
    assert (done.returncode, done.stdout) == (1, "webhook: not tried within 0.5 s\n")
    assert "systemctl restart wxcontroller-alert@webhook" in done.stderr
