"""wxctl asks systemd of this machine only, and waits for no controller that crashes; system tests do the rest."""

import socket
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Wxctl, program

SYSTEMCTL = """
case "$*" in
    *Listen*) echo "Listen=127.0.0.1:$PORT (Stream)" ;;
    *" show "*|*"show --timestamp"*) printf 'Id=%s\\nActiveState=active\\nSubState=running\\n' "$1" ;;
    *) echo "$@" >> "$CALLS" ;;
esac
"""


CRASHING = r"""
case "$*" in *Listen*) echo "Listen=127.0.0.1:$PORT (Stream)"; exit ;; esac
while [ "$1" != -- ]; do shift || exit; done
shift
for unit; do printf 'Id=%s\nActiveState=activating\nNRestarts=7\nResult=exit-code\n\n' "$unit"; done
"""


@pytest.fixture
def calls(wxctl: Wxctl, stand_in_program: Path, nobody: str, tmp_path: Path) -> Path:
    """What systemctl was told to do; the controller is away."""
    program(stand_in_program, "systemctl", SYSTEMCTL)
    wxctl.url = nobody
    wxctl.environment["PORT"] = nobody.rpartition(":")[2]
    wxctl.environment["CALLS"] = str(tmp_path / "calls")
    return tmp_path / "calls"


def test_local_end_of_a_tunnel_is_not_this_machine(wxctl: Wxctl, calls: Path) -> None:
    port, wxctl.environment["PORT"] = wxctl.environment["PORT"], "2000"
    done = wxctl("stop", "alice")
    assert (done.returncode, "systemd has" in done.stderr, calls.exists()) == (3, False, False)
    wxctl.environment["PORT"] = port
    assert (wxctl("stop", "alice").returncode, calls.exists()) == (0, True)


def test_another_machines_accounts_are_not_looked_for_here(wxctl: Wxctl, calls: Path) -> None:
    for verb in ("stop", "list", "status"):
        done = wxctl(verb, *(["alice"] if verb == "stop" else []), "--url", "http://192.0.2.1:9")
        assert done.returncode == 3
        assert "systemd" not in done.stdout + done.stderr
    assert not calls.exists()


@pytest.mark.parametrize("verb", [("status",), ("list",), ("doctor", "-q")])
def test_a_controller_that_crashes_at_each_start_is_not_waited_for(
    wxctl: Wxctl, calls: Path, stand_in_program: Path, verb: tuple[str, ...]
) -> None:
    program(stand_in_program, "systemctl", CRASHING)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        wxctl.environment["PORT"] = str(port)
        done = wxctl(*verb, "--url", f"http://127.0.0.1:{port}")
    assert done.returncode == (1 if verb[0] == "doctor" else 3)
    assert "keeps failing; automatic restarts so far: 7" in done.stdout + done.stderr
