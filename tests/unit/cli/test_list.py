"""wxctl list on terminals of different widths, and its selection and order."""

import json
import time

from tests.unit.cli.conftest import Wxctl
from tests.unit.cli.host import DOWN, FAILED, PARKED, RUNNING, SCANNING, STOPPED, Host


def test_selection_and_order(wxctl: Wxctl, host: Host) -> None:
    now = int(time.time())
    states = {"f": FAILED, "a": RUNNING, "d": DOWN, "p": PARKED, "s": SCANNING, "z": STOPPED}
    for age, (name, state) in enumerate(states.items()):
        host.add(name, state.but(state_since=now - 100 * age) if state.told else state)
    for arguments, names in (
        (["--trouble"], "dfps"),
        (["--state", "scanning", "--state", "running"], "as"),
        (["--state", "failed", "--trouble"], "f"),
        (["--sort", "since"], "apsdfz"),  # those without a program tell no time
        (["--sort", "state"], "dfpasz"),
        ([], "adfpsz"),
    ):
        done = wxctl("list", *arguments)
        assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == list(names)
        assert [one["name"] for one in json.loads(wxctl("list", "--json", *arguments).stdout)] == list(names)
    none = wxctl("list", "--state", "confirming")
    assert (none.returncode, none.stdout, "no account" in none.stderr) == (0, "", True)
    wrong = wxctl("list", "--state", "odd")
    assert (wrong.returncode, "scanning" in wrong.stderr) == (2, True)
