"""Each failure happens once around two accounts, and nothing is lost. make torture does it for longer."""

from tests.system.host import Host
from tests.torture.run import torture


def test_no_message_is_lost_in_any_failure(host: Host) -> None:
    scene, faults = torture(host, "web", messages=150, seed=3, rate=6, pause=0.5)
    assert scene.backlogs, "no power cut proved anything"
    assert faults == []
