"""The table [fleet] of the settings."""

from pathlib import Path

import pytest

from tests.unit.core.test_settings import write
from wxcontroller.core.errors import BadSettings
from wxcontroller.core.fleetsettings import EtcdSettings, FleetSettings, HostSettings, TakeoverSettings
from wxcontroller.core.settings import load_settings

B = 'url = "https://b.example:2443"\ntoken = "fleet-b"\n'
ETCD = '[fleet]\nname = "a"\n'
MANY = "".join(f'[fleet.hosts.b{n}]\nurl = "https://b{n}"\ntoken = "t"\n' for n in range(65))


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


def test_etcd_and_labels_may_stand_in_a_file_of_their_own(tmp_path: Path) -> None:
    etcd = (
        '[fleet.etcd]\nendpoints = ["https://e-1:2379/", "https://[2001:db8::2]:2379"]\nfleet = "shop"\n'
        'ca_file = "/ca.pem"\nuser = "a"\npassword = "etcd-password"\ntakeover_after = 60\ntakeover_rate = 0.1\n'
        "failsafe = true\n"
    )
    hosts = f'[fleet]\nname = "a"\nlabels = ["eu", "line-2"]\negress = "office"\n[fleet.hosts.b]\n{B}'
    paths = write(tmp_path, hosts, b=etcd)
    fleet = load_settings(paths).settings.fleet
    assert fleet is not None
    endpoints = ("https://e-1:2379", "https://[2001:db8::2]:2379")
    takeovers = TakeoverSettings(60.0, 86400.0, 0.1)
    assert fleet.etcd == EtcdSettings(
        endpoints, "shop", "/ca.pem", user="a", password="etcd-password", takeovers=takeovers, failsafe=True
    )
    assert (fleet.etcd.prefix, fleet.labels, fleet.egress) == ("/wxcontroller/shop/", ("eu", "line-2"), "office")


@pytest.mark.parametrize("url", ["http://127.0.0.1:2379", "http://[::1]:2379", "http://localhost"])
def test_a_password_may_go_to_an_etcd_on_this_host_unencrypted(tmp_path: Path, url: str) -> None:
    etcd = f'{ETCD}[fleet.etcd]\nendpoints = ["{url}"]\nuser = "a"\npassword = "p"\n'
    fleet = load_settings(write(tmp_path, etcd)).settings.fleet
    assert fleet is not None
    assert fleet.etcd == EtcdSettings((url,), user="a", password="p")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f"[fleet.hosts.b]\n{B}", "needs the name of this host"),
        (f'[fleet]\nname = "b"\n[fleet.hosts.b]\n{B}', "lists this host, b"),
        ('[fleet]\nname = "a b"\n', "a host name consists of"),
        ('[fleet]\nname = "a"\nport = 1\n', "has no key port"),
        ('[fleet]\nname = "a"\n[fleet.hosts.b]\nurl = "http://b"\ntoken = "t"\n', "https://"),
        ('[fleet]\nname = "a"\n[fleet.hosts.b]\nurl = "https://u:p@b"\ntoken = "t"\n', "https://"),
        ('[fleet]\nname = "a"\n[fleet.hosts.b]\nurl = "https://b"\n', "needs a token, or a certificate"),
        ('[fleet]\nname = "a"\n[fleet.hosts.b]\nurl = "https://b"\nkey = "k"\n', "both certificate and key"),
        ('[fleet]\nname = "a"\n[fleet.hosts.b]\ntoken = "t"\n', "needs a url"),
        (f'[fleet]\nname = "a"\n[fleet.hosts.b]\n{B}[fleet.hosts.c]\n{B}', "same url"),
        (f'[fleet]\nname = "a"\n{MANY}', "at most 64 hosts"),
        ("fleet = 1\n", "must be a table"),
        (f"{ETCD}[fleet.etcd]\n", "needs endpoints"),
        (f'{ETCD}[fleet.etcd]\nendpoints = ["https://e/v3"]\n', "without paths"),
        (f'{ETCD}[fleet.etcd]\nendpoints = ["https://e"]\nfleet = "a/b"\n', "must be a word"),
        (f'{ETCD}[fleet.etcd]\nendpoints = ["https://e"]\nuser = "a"\n', "both user and password"),
        (f'{ETCD}[fleet.etcd]\nendpoints = ["https://e", "http://e"]\nuser = "a"\npassword = "p"\n', "unencrypted"),
        (f"{ETCD}[fleet.etcd]\ntakeover_pause = 1\n", "from 60 to"),
        (f"{ETCD}[fleet.etcd]\ntakeover_after = true\n", "must be a number"),
        (f"{ETCD}[fleet.etcd]\ntakeover_x = 1\n", "etcd has no key takeover_x"),
        (f"{ETCD}[fleet.etcd]\nfailsafe = 1\n", "must be true or false"),
        (f'{ETCD}[fleet.etcd]\nendpoints = ["https://e"]\nfailsafe = true\n', "needs all other hosts"),
        ('[fleet]\nname = "a"\nlabels = ["a b"]\n', "a list of words"),
    ],
)
def test_invalid_fleet_settings_are_reported(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(BadSettings) as caught:
        load_settings(write(tmp_path, content))
    assert words in str(caught.value)
