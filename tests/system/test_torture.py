"""Everything around two accounts breaks, each thing once; nothing is lost. make torture does it for longer."""

from tests.system.host import Host
from tests.torture.mischief import MISCHIEF
from tests.torture.play import Play


def test_no_message_is_lost_in_any_failure(host: Host) -> None:
    lines: list[str] = []
    play = Play(host, messages=150, seed=3, rate=6, pause=0.5, patience=120, say=lines.append)
    verdict = play.run(least=len(MISCHIEF))
    print("\n".join(lines))
    assert verdict.sent >= 150
    assert "0 with a backlog" not in lines[-1], "no power cut proved anything"
    assert verdict.good, lines
