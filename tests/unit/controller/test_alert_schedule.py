"""The rules for sending alerts, with a simulated clock."""

import json
from dataclasses import replace

from wxcontroller.controller.alerts.findings import Healthy, Ignored, Problem, Track, Verdict
from wxcontroller.controller.alerts.schedule import SPACING, Key, Ledger
from wxcontroller.core.alerts import Kind
from wxcontroller.core.alertsettings import AlertSettings
from wxcontroller.core.messages import Text

ALICE, BOB = ("alice", Track.LOGIN), ("bob", Track.LOGIN)
PARKED = Problem(Kind.PARKED, "alice", Text("alice has given up"), Text("start it"))
OFFLINE = Problem(Kind.OFFLINE, "alice", Text("alice is offline"), Text("wait"), hold=300)
SCAN = Problem(Kind.SCAN, "alice", Text("alice needs a scan"), Text("scan"), first=True)
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


def test_a_recovery_recorded_by_2_0_0_is_alerted_with_its_text() -> None:
    world, words = World(), "Account alice is running again."
    world.live(PARKED)
    world.live(WELL)
    kept = json.loads(world.ledger.dump())
    [record] = kept["records"]
    record["recovered"] = ["alice", words]
    again = Ledger()
    again.load(json.dumps(kept).encode())
    _, [recovery] = again.due(AlertSettings(), 2e9)
    assert isinstance(recovery.what, Healthy)
    assert (recovery.what.account, str(recovery.what.message)) == ("alice", words)
