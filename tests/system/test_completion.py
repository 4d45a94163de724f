"""Completion of wxctl in Debian's bash, zsh and fish, typed at a terminal."""

from pathlib import Path

import pytest

from tests.system.host import Host

pytestmark = pytest.mark.system
TYPING = Path(__file__).with_name("typing.py").read_text(encoding="utf-8")
SHELLS = ("bash", "zsh", "fish")
# Lines before and after a tab.
COMPLETED = {
    # In zsh the first tab loads the file, and the second one does not.
    "wxctl doc": "wxctl doctor ",
    "wxctl deliveries re": "wxctl deliveries replay ",
    "wxctl add new --post": "wxctl add new --post-api ",
    "wxctl list --js": "wxctl list --json ",
    "wxctl token create bot --scope co": "wxctl token create bot --scope control ",
    "wxctl stop mo": "wxctl stop mover ",
    "wxctl stop 静": "wxctl stop 静静 ",
    "wxctl stop 小": r"wxctl stop 小店\ 一号 ",
    r"wxctl stop 小店\ ": r"wxctl stop 小店\ 一号 ",
    "wxctl stop '小店 ": "wxctl stop '小店 一号' ",
    "wxctl stop a@": "wxctl stop a@b ",
    "wxctl --url http://127.0.0.1:2000 logs mo": "wxctl --url http://127.0.0.1:2000 logs mover ",
    "wxctl events mover 静": "wxctl events mover 静静 ",
    "wxctl token create bot --account mo": "wxctl token create bot --account mover ",
    # The value follows without a space.
    "wxctl set mover send_int": "wxctl set mover send_interval=",
    "wxctl start mover -o lang=en": "wxctl start mover -o lang=en_US ",
    "wxctl set mover --unset send_int": "wxctl set mover --unset send_interval ",
    "wxctl import /etc/machine-i": "wxctl import /etc/machine-id ",
    "wxctl export mover --passphrase-file /etc/machine-i": "wxctl export mover --passphrase-file /etc/machine-id ",
    "wxctl send mover filehelper --file /etc/machine-i": "wxctl send mover filehelper --file /etc/machine-id ",
    "wxctl stop nobod": "wxctl stop nobod",
}


@pytest.fixture(scope="module", autouse=True)
def accounts(host: Host) -> None:
    for name in ("mover", "静静", "小店 一号", "a@b"):
        host.run("wxctl", "add", name)


def after_a_tab(host: Host, shell: str, *lines: str) -> list[str]:
    return host.text("/usr/bin/python3", "-c", TYPING, shell, *lines, timeout=120).splitlines()


@pytest.mark.parametrize("shell", SHELLS)
def test_tab_completes_commands_options_and_names(host: Host, shell: str) -> None:
    shown = after_a_tab(host, shell, *COMPLETED)
    assert dict(zip(COMPLETED, shown, strict=True)) == COMPLETED


def test_tab_completes_names_while_the_controller_is_stopped(host: Host) -> None:
    host.run("systemctl", "stop", "wxcontroller.socket", "wxcontroller.service")
    try:
        assert after_a_tab(host, "bash", "wxctl stop mo", "wxctl stop 静") == [
            "wxctl stop mover ",
            "wxctl stop 静静 ",
        ]
    finally:
        host.run("systemctl", "start", "wxcontroller.socket")
