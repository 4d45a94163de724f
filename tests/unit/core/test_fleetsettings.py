"""The table [fleet]: hosts from several files, and what is refused how."""

from pathlib import Path

import pytest

from tests.unit.core.test_settings import write
from wxcontroller.core.errors import BadSettings
from wxcontroller.core.fleetsettings import FleetSettings, HostSettings
from wxcontroller.core.settings import load_settings

B = 'url = "https://b.example:2443"\ntoken = "fleet-b"\n'


def test_hosts_of_several_files_are_put_together(tmp_path: Path) -> None:
    paths = write(
        tmp_path,
        f'[fleet]\nname = "a"\nclient_ca = "/ca.pem"\n[fleet.hosts.b]\n{B}',
        c='[fleet.hosts.c]\nurl = "https://[2001:db8::1]/"\nca_file = "/ca.pem"\n'
        'certificate = "/c.crt"\nkey = "/c.key"\n',
    )
    b = HostSettings("b", "https://b.example:2443", "fleet-b")
    c = HostSettings("c", "https://[2001:db8::1]", "", "/ca.pem", "/c.crt", "/c.key")
    assert load_settings(paths).settings.fleet == FleetSettings("a", "/ca.pem", (b, c))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f"[fleet.hosts.b]\n{B}", "needs the name of this host"),
        (f'[fleet]\nname = "b"\n[fleet.hosts.b]\n{B}', "lists this host, b"),
        ('[fleet]\nname = "a b"\n', "a host name consists of"),
        ('[fleet]\nname = "a"\nport = 1\n', "has no key port"),
        (f'[fleet]\nname = "a"\n[fleet.hosts.b]\n{B}more = 1\n', "host b has no key more"),
        ('[fleet]\nname = "a"\n[fleet.hosts.b]\nurl = "http://b"\ntoken = "t"\n', "https://"),
        ('[fleet]\nname = "a"\n[fleet.hosts.b]\nurl = "https://u:p@b"\ntoken = "t"\n', "https://"),
        ('[fleet]\nname = "a"\n[fleet.hosts.b]\nurl = "https://b"\n', "needs a token, or a certificate"),
        ('[fleet]\nname = "a"\n[fleet.hosts.b]\nurl = "https://b"\nkey = "k"\n', "both certificate and key"),
        ('[fleet]\nname = "a"\n[fleet.hosts.b]\ntoken = "t"\n', "needs a url"),
        (f'[fleet]\nname = "a"\n[fleet.hosts.b]\n{B}[fleet.hosts.c]\n{B}', "same url"),
        ("fleet = 1\n", "must be a table"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(BadSettings) as caught:
        load_settings(write(tmp_path, content))
    assert words in str(caught.value)
