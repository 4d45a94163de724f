"""Alerts of the controller: from real files and accounts, and the rules for sending them, with a simulated clock."""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytest_asyncio

from tests.i18n import compiled
from tests.tokens import bearer, token
from tests.unit.controller.machine import Machine
from tests.unit.controller.test_journal import Journal, line
from wxcontroller.controller.accounts.units import Restarts, UnitRecord, Verb
from wxcontroller.controller.alerts import disk
from wxcontroller.controller.alerts.alerttext import (
    ALERT_PICTURE_BYTES,
    ALERT_PROBLEMS,
    ALERT_QRCODES,
    Composer,
)
from wxcontroller.controller.alerts.alertwatch import AlertWatch, Clock
from wxcontroller.controller.alerts.disk import disk_of
from wxcontroller.controller.alerts.findings import Healthy, Ignored, Problem, Track, Verdict
from wxcontroller.controller.alerts.schedule import SPACING, Due, Key, Ledger
from wxcontroller.controller.reconcile import BootMark
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.alerts import Alert, AlertEvent, Kind
from wxcontroller.core.alertspool import Spool
from wxcontroller.core.config.alertsettings import AlertSettings, Channel
from wxcontroller.core.jsontypes import items, obj
from wxcontroller.core.states import LoginState, UnitState
from wxcontroller.core.text.templates import Text, text_fields

STEP = 5.0


class Watched:
    """A controller whose accounts are watched; ``alerts`` are those of the webhook so far."""

    def __init__(self, host: Machine) -> None:
        self.host = host
        self.now = 0.0
        for channel in Channel:
            for place in (host.paths.alerts_spool(channel), host.paths.alerts_runtime(channel)):
                place.mkdir(parents=True)
        self.set(webhook="http://127.0.0.1:9/", disk_low=0)
        BootMark(host.paths).set()
        self.alerts: list[Alert] = []
        self.watch = self.another()

    def another(self) -> AlertWatch:
        clock = Clock(wall=lambda: 1_700_000_000 + self.now, steady=lambda: self.now)
        return AlertWatch(self.host.accounts, self.host.shared.ports, BootMark(self.host.paths), clock=clock)

    def set(self, **alerts: object) -> None:
        settings = self.host.accounts.settings
        self.host.accounts.settings = replace(settings, alerts=replace(settings.alerts, **alerts))  # type: ignore[arg-type]

    async def live(self, seconds: float = STEP) -> list[Alert]:
        """Let time pass; return the alerts of that time."""
        before = len(self.alerts)
        for _ in range(max(1, int(seconds / STEP))):
            self.now += STEP
            await self.watch.look(await self.host.accounts.views())
            self._collect()
        return self.alerts[before:]

    def _collect(self) -> None:
        for waiting in Spool(self.host.paths, Channel.WEBHOOK).waiting():
            self.alerts.append(waiting.read())
            waiting.path.unlink()

    async def running(self, *names: str) -> None:
        for name in names:
            (await self.host.start(name)).say(LoginState.RUNNING)
        await self.live()


@pytest_asyncio.fixture
async def watched(host: Machine) -> AsyncIterator[Watched]:
    yield Watched(host)


def kinds(alerts: list[Alert]) -> list[str]:
    return [f"{alert.event} {item.account} {item.kind}" for alert in alerts for item in alert.items]


async def test_alerts_are_in_the_language_of_the_settings_or_of_the_service(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled()
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    await watched.running("小店")
    watched.host.process("小店").say(LoginState.PARKED, **text_fields(reason=Text("flagged {ret}", ret=1203)))
    [chinese] = await watched.live()
    assert chinese.subject.endswith("小店：已搁置")
    [item] = map(obj, items(chinese.to_json()["items"]))
    values = obj(item["values"])
    assert (item["code"], values["account"]) == ("parked", "小店")
    assert "1203" in json.dumps(values["reason"])
    assert str(item["message"]).startswith("账号 小店")
    watched.set(language="en")
    await watched.running("小店")
    [english] = await watched.live(60)
    assert english.subject.endswith("recovered: 小店")


async def test_a_lost_session_is_alerted_immediately_with_its_code(watched: Watched) -> None:
    await watched.running("小店")
    process = watched.host.process("小店")
    process.show_qrcode()
    [alert] = await watched.live()
    assert kinds([alert]) == ["problem 小店 scan"]
    [item] = alert.items
    assert item.qrcode is not None
    assert item.qrcode.content.startswith(b"\x89PNG")
    assert "wxctl qr 小店" in str(item.remedy)
    assert item.instance == watched.host.accounts.registry.resolve("小店")
    process.say(LoginState.RUNNING)
    assert kinds(await watched.live(60)) == ["recovery 小店 scan"]


async def test_an_alert_has_so_many_codes_and_problems_and_counts_the_rest(watched: Watched) -> None:
    await watched.running("alice")
    watched.host.process("alice").show_qrcode()
    [view] = await watched.host.accounts.views()
    instance, what = view.instance, Problem(Kind.SCAN, "alice", Text("needs a scan"), Text("scan it"))
    composer = Composer(watched.host.accounts.state_files, lambda: "en")
    dues = [Due((instance, Track.LOGIN), Kind.SCAN, what)] * (ALERT_PROBLEMS + 1)
    alert = composer.alert(AlertEvent.PROBLEM, dues, {instance: view}, 1_700_000_000)
    codes = sum(item.qrcode is not None for item in alert.items)
    assert (len(alert.items), alert.more, codes) == (ALERT_PROBLEMS, 1, ALERT_QRCODES)


@pytest.mark.parametrize(("more", "is_shown"), [(0, True), (1, False)])
async def test_a_code_that_is_too_large_is_not_part_of_an_alert(watched: Watched, more: int, is_shown: bool) -> None:
    await watched.running("alice")
    process = watched.host.process("alice")
    process.paths.qrcode_file(process.instance).write_bytes(b"x" * (ALERT_PICTURE_BYTES + more))
    process.say(LoginState.SCANNING, login_state=None)  # as a foreign program
    [alert] = await watched.live()
    assert [item.qrcode is not None for item in alert.items] == [is_shown]


async def test_a_limit_that_refusals_taught_is_alerted_with_its_number(watched: Watched) -> None:
    process = await watched.host.start("alice")
    process.say(LoginState.RUNNING, restricted=0, limit_24h=0, limit_24h_until=0)
    assert await watched.live() == []
    day = int(time.time()) + 86400
    process.say(LoginState.RUNNING, restricted=0, limit_24h=5, limit_24h_until=day)
    [alert] = await watched.live(120)
    assert kinds([alert]) == ["problem alice limit"]
    assert "5" in alert.text
    process.say(LoginState.RUNNING, restricted=0, limit_24h=0, limit_24h_until=0)
    assert kinds(await watched.live(60)) == ["recovery alice limit"]
    process.say(LoginState.RUNNING, restricted=0, limit_24h=5, limit_24h_until=day - 2 * 86400)  # over
    assert await watched.live(120) == []


async def test_a_restricted_person_is_alerted_once_without_a_code(watched: Watched) -> None:
    process = await watched.host.start("alice")
    process.say(LoginState.RUNNING, restricted=0)
    assert await watched.live() == []
    process.say(LoginState.RUNNING, restricted=1)
    [alert] = await watched.live(120)
    assert kinds([alert]) == ["problem alice restricted"]
    words = f"{alert.subject} {alert.text}".lower()
    assert not any(word in words for word in ("scan", "qr", "扫", "二维码"))
    process.say(LoginState.LOADING)  # after a restart, which has not detected it yet
    await watched.live(60)
    process.say(LoginState.RUNNING, restricted=1)
    assert await watched.live(60) == []
    watched.set(interval=60.0)
    assert await watched.live(120) == []
    process.say(LoginState.RUNNING, restricted=2)  # one more
    assert kinds(await watched.live(120)) == ["problem alice restricted"]
    process.say(LoginState.RUNNING, restricted=0)
    assert kinds(await watched.live(60)) == ["recovery alice restricted"]
    process.say(LoginState.RUNNING, restricted=1)
    assert kinds(await watched.live(120)) == ["problem alice restricted"]
    await watched.host.get("stop_client", client="alice")  # no recovery for an account stopped on purpose
    assert await watched.live(60) == []
    (await watched.host.start("alice")).say(LoginState.RUNNING, restricted=0)
    assert await watched.live(120) == []


async def test_a_crash_loop_is_alerted_although_the_account_runs_in_between(watched: Watched) -> None:
    await watched.running("alice")
    process = watched.host.process("alice")
    pids = iter(range(1, 100))

    def crash(count: int) -> None:
        watched.host.units.restarted["alice"] = count
        process.say(LoginState.RUNNING, pid=next(pids))

    for count in (1, 2):
        crash(count)
        assert await watched.live(60) == []
    crash(3)
    [alert] = await watched.live(60)
    assert "keeps exiting" in alert.text
    watched.watch = watched.another()  # a restart of the controller does not end the loop
    assert await watched.live(60) == []
    # Processes that lived for a minute must live for two. Restarts spread over a day are no loop.
    assert kinds(await watched.live(150)) == ["recovery alice failed"]
    for count in range(4, 14):
        crash(count)
        assert await watched.live(500) == []


async def test_a_crash_loop_is_over_once_the_process_has_run_for_a_minute(watched: Watched) -> None:
    await watched.running("alice")
    for count in range(1, 5):
        watched.host.units.restarted["alice"] = count
        watched.host.process("alice").say(LoginState.RUNNING, pid=count)
        await watched.live()
    await watched.live(55)
    assert watched.host.accounts.crash_loops == {"alice"}
    await watched.live(10)
    assert watched.host.accounts.crash_loops == set()


_TRACEBACK, _BIND, _BYE = "Traceback (most recent call last):", "cannot bind 127.0.0.1:3001", "bye"


@pytest.mark.parametrize(
    ("journal", "shown"),
    [
        ([(_TRACEBACK, "3"), (_BIND, "3"), (_BYE, "6")], f", last error: {_BIND}"),
        ([("Can't locate Mojo/Weixin.pm in @INC", "6")], ", last error: Can't locate Mojo/Weixin.pm in @INC"),
        (
            [("{unit}: Failed at step EXEC spawning /usr/bin/perl: No such file or directory", "3")],
            ", last error: Failed at step EXEC spawning /usr/bin/perl: No such file or directory",
        ),
        ([("scaning → stop: stopped", "own"), ("4 sends of the previous run are queued again", "own")], ""),
    ],
)
async def test_last_end_of_a_failed_or_restarted_process_is_told(
    watched: Watched, journal: list[tuple[str, str]], shown: str
) -> None:
    host, unit = watched.host, "wxclient@alice.service"
    own = {"PRIORITY": "6", "_TRANSPORT": "journal"}  # lines of wxclient, which has a priority for each
    lines = [
        *(
            line(words.format(unit=unit), **(own if kind == "own" else {"PRIORITY": kind, "_TRANSPORT": "stdout"}))
            for words, kind in journal
        ),
        line(f"{unit}: Main process exited, code=exited, status=7/NOTRUNNING", PRIORITY="5"),
        line(f"{unit}: Failed with result 'exit-code'.", PRIORITY="4"),
        line("Failed to start wxclient@alice.service - WeChat account alice.", PRIORITY="3"),
    ]
    async with Journal(host.paths, b"".join(lines)).open():
        await watched.running("alice")
        for record in (
            UnitRecord("alice", UnitState.ACTIVATING, "auto-restart"),
            UnitRecord("alice", UnitState.FAILED, "failed"),
        ):
            await host.units.kill("alice", record)
            host.units.ended["alice"] = Restarts(1, 1_700_000_007, Text("exit status {status}", status=7))
            await watched.live()
            _, account = await host.v1("GET", "accounts/alice")
            advice = obj(account["advice"])
            assert str(advice["message"]).endswith(f"(exit status 7{shown})")
            assert (account["since"], advice["since"]) == (1_700_000_007, 1_700_000_007)
            await host.start("alice")
        del host.units.ended["alice"]
        await watched.live()
        _, account = await host.v1("GET", "accounts/alice")
        assert account["since"] != 1_700_000_007


async def test_crash_loops_are_known_without_a_channel_and_after_a_restart(watched: Watched) -> None:
    watched.set(webhook="")
    await watched.running("alice")
    for count in (1, 2, 3):
        watched.host.units.restarted["alice"] = count
        watched.host.process("alice").say(LoginState.RUNNING, pid=count)
        await watched.live(60)
    watched.host.accounts.crash_loops = set()
    watched.watch = watched.another()
    await watched.live()
    assert watched.host.accounts.crash_loops == {"alice"}
    # A damaged file neither stops the watch nor stays.
    for damaged in (b"{half", b'{"version": 1, "restarts": {"alice": [], "bob": [[1], 7, ["x", {}]]}}'):
        watched.host.paths.alerts_state.write_bytes(damaged)
        watched.watch = watched.another()
        watched.host.process("alice").say(LoginState.PARKED)
        await watched.live(120)
        assert json.loads(watched.host.paths.alerts_state.read_bytes())["records"]


async def test_a_full_spool_delays_only_its_channel(watched: Watched) -> None:
    watched.set(mail="root", per_hour=2)
    await watched.running("alice", "bob", "carol")
    places = [watched.host.paths.alerts_spool(Channel.MAIL), watched.host.paths.alerts_runtime(Channel.MAIL)]
    for place in places:
        place.rmdir()
    for name in ("alice", "bob", "carol"):
        watched.host.process(name).say(LoginState.PARKED)
        await watched.live(60)
    assert kinds(watched.alerts) == ["problem alice parked", "problem bob parked"]  # no more in this hour
    for place in places:
        place.mkdir()
    await watched.live()
    waiting = [each.id for each in Spool(watched.host.paths, Channel.MAIL).waiting()]
    assert sorted(waiting) == sorted(alert.id for alert in watched.alerts)


async def test_after_a_boot_only_accounts_that_stay_down_are_alerted(watched: Watched) -> None:
    await watched.running("alice", "bob", "carol")
    mark = watched.host.paths.controller_runtime / "accounts-started"
    mark.unlink()
    for name in ("alice", "bob", "carol"):
        await watched.host.units.kill(name)
        watched.host.units.records.pop(name)
    watched.watch = watched.another()
    assert await watched.live(120) == []
    # Two come up, one without its session; the third does not.
    for name in ("alice", "bob"):
        await watched.host.units.act(Verb.START, name, 1)
    watched.host.process("alice").say(LoginState.RUNNING)
    watched.host.process("bob").show_qrcode()
    assert kinds(await watched.live(60)) == ["problem bob scan"]
    [alert] = await watched.live(300)
    assert kinds([alert]) == ["problem carol failed"]


async def test_the_time_an_account_was_stopped_on_purpose_does_not_count_after_a_boot(watched: Watched) -> None:
    await watched.running("alice")
    await watched.host.units.act(Verb.STOP, "alice", 1)
    assert await watched.live(600) == []
    (watched.host.paths.controller_runtime / "accounts-started").unlink()
    watched.watch = watched.another()
    patience = watched.host.accounts.settings.alerts.after
    assert await watched.live(patience) == []
    assert kinds(await watched.live(2 * STEP)) == ["problem alice failed"]


async def test_problems_are_alerted_once_a_channel_is_configured(watched: Watched) -> None:
    watched.host.shared.alerts = watched.watch
    watched.set(webhook="")
    await watched.running("alice")
    watched.host.process("alice").say(LoginState.PARKED)
    assert await watched.live(600) == []
    _, answer = await watched.host.v1("GET", "alerts")
    assert answer["channels"] == {}
    assert (await watched.host.v1("POST", "alerts/test"))[0] == 409
    [problem] = map(obj, items(answer["problems"]))
    assert (problem["account"], problem["told"]) == ("alice", False)
    watched.set(webhook="http://127.0.0.1:9/")
    assert kinds(await watched.live(10)) == ["problem alice parked"]
    bound = bearer(token(watched.host, Scope.READ, "bob"))
    assert (await watched.host.v1("GET", "alerts", headers=bound))[1]["problems"] == []


async def test_systemd_delivers_by_the_channels_that_are_set_up_and_no_other(watched: Watched) -> None:
    units = watched.host.units
    units.delivering = {Channel.MAIL}  # of an earlier version
    (watched.host.paths.alerts_spool(Channel.MAIL) / "old.json").write_text("{}")
    await watched.live()
    assert units.delivering == {Channel.WEBHOOK}
    assert Spool(watched.host.paths, Channel.MAIL).waiting() == []
    watched.set(webhook="", command=("/bin/true",))
    units.broken = True
    await watched.watch.look((), "systemd can't be asked")
    units.broken = False
    await watched.live()
    assert units.delivering == {Channel.COMMAND}
    watched.set(command=())
    await watched.live()
    assert units.delivering == set()


async def test_an_unreachable_systemd_is_alerted_after_a_minute(watched: Watched) -> None:
    await watched.running("alice")
    for _ in range(20):
        watched.now += STEP
        await watched.watch.look((), "systemctl was not done after 10 s")
    watched._collect()
    [alert] = watched.alerts
    assert [item.kind for item in alert.items] == [Kind.SYSTEMD]
    # The state of the accounts is kept.
    assert watched.watch.ledger.records[("alice", Track.LOGIN)].was_well
    assert [alert.event for alert in await watched.live(40)] == [AlertEvent.RECOVERY]


@pytest.mark.parametrize(("free", "expected"), [(0.099, Problem), (0.11, type(None)), (0.13, Healthy)])
def test_disk_space_thresholds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: float, expected: type) -> None:
    real = disk.places

    def places(paths: object) -> object:
        for path, status in real(paths):  # type: ignore[arg-type]
            blocks = {"f_blocks": status.f_blocks, "f_bavail": int(status.f_blocks * free)}
            yield path, SimpleNamespace(f_frsize=status.f_frsize, **blocks, f_files=10**6, f_favail=10**6)

    monkeypatch.setattr(disk, "places", places)
    paths = Machine(tmp_path).paths
    verdict = disk_of(paths, 1 << 50)
    assert isinstance(verdict, expected)
    if isinstance(verdict, Problem):
        assert str(paths.accounts) in str(verdict.message)
    paths.alerts_state.parent.rename(tmp_path / "away")
    assert isinstance(unwritable := disk_of(paths, 1), Problem)
    assert unwritable.code == "disk-unwritable"


ALICE, BOB = ("alice", Track.LOGIN), ("bob", Track.LOGIN)
PARKED = Problem(Kind.PARKED, "alice", Text("alice has given up"), Text("start it"))
OFFLINE = Problem(Kind.OFFLINE, "alice", Text("alice is offline"), Text("wait"), hold=300)
WELL = Healthy("alice", Text("alice is running again"))


class World:
    """A ledger that is evaluated every ``step`` seconds; each of ``lines`` is an alert."""

    def __init__(self, **settings: float) -> None:
        self.settings = replace(AlertSettings(), **settings)  # type: ignore[arg-type]
        self.ledger = Ledger()
        self.now = 1_700_000_000.0
        self.lines: list[str] = []

    def live(self, verdicts: dict[Key, Verdict] | Verdict, seconds: float = 5, step: float = 5) -> None:
        """Let time pass with these verdicts."""
        current = verdicts if isinstance(verdicts, dict) else {ALICE: verdicts}
        for _ in range(max(1, int(seconds / step))):
            self.now += step
            self.ledger.look(current, step)
            for dues in self.ledger.due(self.settings, self.now):
                if dues:
                    self.lines.append(" + ".join(f"{due.kind} {due.what.message}" for due in dues))
                    self.ledger.note_sent(dues, self.now)

    def restart(self) -> None:
        """Load the stored ledger, as another controller does."""
        kept = self.ledger.dump()
        self.ledger = Ledger()
        self.ledger.load(kept)


def test_problem_and_recovery_are_alerted_once() -> None:
    world = World()
    world.live(WELL, 60)
    world.live(PARKED, 7200)
    assert world.lines == ["parked alice has given up"]
    world.live(WELL, 600)
    assert world.lines[1:] == ["parked alice is running again"]


def test_short_problems_are_not_alerted() -> None:
    world = World()
    for _ in range(10):
        world.live(WELL, 60)
        world.live(OFFLINE, 290)
    world.live(WELL, 60)
    assert world.lines == []
    world.live(OFFLINE, 320)
    assert world.lines == ["offline alice is offline"]


def test_a_recurring_problem_is_alerted_once_an_hour() -> None:
    world = World()
    for _ in range(36):  # two hours
        world.live(WELL, 60)
        world.live(PARKED, 140)
    assert world.lines.count("parked alice has given up") == 2
    # Recoveries are only sent for problems that were.
    assert world.lines.count("parked alice is running again") == 2


def test_stopped_account_is_not_reported() -> None:
    world = World()
    world.live(WELL)
    world.live(OFFLINE, 200)
    world.live(Ignored(), 7200)
    assert world.lines == []
    world.live(WELL)
    world.live(PARKED)
    world.live(Ignored(), 60)
    world.live(WELL, 60)
    assert world.lines == ["parked alice has given up"]  # no recovery is sent, not even after it is started again


def test_simultaneous_problems_are_one_alert() -> None:
    world = World()
    bob = replace(PARKED, account="bob", message=Text("bob has given up"))
    world.live({ALICE: PARKED})
    world.live({ALICE: PARKED, BOB: bob})  # too soon after the first
    world.live({ALICE: PARKED, BOB: bob, ("c", Track.LOGIN): bob}, SPACING + 5)
    assert world.lines == ["parked alice has given up", "parked bob has given up + parked bob has given up"]


def test_many_problems_are_combined_into_few_alerts() -> None:
    world = World(per_hour=3)
    verdicts: dict[Key, Verdict] = {}
    for number in range(100):  # one more fails every 40 seconds
        verdicts[(f"a{number}", Track.LOGIN)] = replace(PARKED, message=Text(f"{number}."))
        world.live(verdicts, 40)
    assert len(world.lines) <= 3 + 3
    world.live(verdicts, 3600)
    text = " ".join(world.lines)
    assert all(f"{number}." in text for number in range(100))
    assert len(world.lines) <= 7


def test_last_alert_of_the_hour_is_a_problem() -> None:
    world = World(per_hour=2)
    world.live({ALICE: PARKED})
    # One problem ends and another begins, and one alert is left.
    world.live({ALICE: WELL, BOB: replace(PARKED, message=Text("bob has given up"))}, 60)
    assert world.lines == ["parked alice has given up", "parked bob has given up"]
    world.live({ALICE: WELL, BOB: replace(PARKED, message=Text("bob has given up"))}, 3600)
    assert world.lines[2:] == ["parked alice is running again"]


def test_a_restart_neither_repeats_nor_loses_alerts() -> None:
    world = World()
    world.live(WELL)
    world.live(PARKED)
    world.restart()
    world.live(PARKED, 600)
    assert world.lines == ["parked alice has given up"]
    world.restart()
    world.live(WELL)
    assert world.lines[1:] == ["parked alice is running again"]
    world.live(OFFLINE, 200)
    for _ in range(4):  # the duration of the problem is stored, too
        world.restart()
        world.live(OFFLINE, 40)
    assert world.lines[2:] == ["offline alice is offline"]
