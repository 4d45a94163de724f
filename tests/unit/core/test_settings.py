"""Settings: the file as shipped, drop-ins, the fleet, and refused values."""

import re
import tomllib
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from wxcontroller.core.access.rights import Scope
from wxcontroller.core.config.fleetsettings import EtcdSettings, FleetSettings, HostSettings
from wxcontroller.core.config.settings import Listen, Settings, load_settings
from wxcontroller.core.errors import BadSettings
from wxcontroller.core.paths import Paths

CONFFILE = Path(__file__).parents[3] / "etc/wxcontroller.toml"


def write(tmp_path: Path, main: str, **dropins: str) -> Paths:
    paths = Paths(tmp_path)
    paths.settings_dropins.mkdir(parents=True)
    paths.settings_file.write_text(main)
    for name, content in dropins.items():
        (paths.settings_dropins / f"{name}.toml").write_text(content)
    return paths


def test_drop_ins_win_in_name_order_key_by_key(tmp_path: Path) -> None:
    paths = write(
        tmp_path,
        'max_clients = 5\npost_api = "http://a/"\n[client]\nsend_interval = 1\nkeep_cookie = false\n',
        b="max_clients = 7\n[client]\nsend_interval = 2\n",
        a="max_clients = 6\n",
    )
    settings = load_settings(paths).settings
    assert (settings.max_clients, settings.post_api) == (7, "http://a/")
    assert settings.client == {"send_interval": "2", "keep_cookie": "0"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("max_client = 5\n", "max_client is not a known key"),
        ("max_clients = 0\n", "max_clients must be"),
        ("max_clients = \n", "not TOML"),
        ('[client]\nproxy = "http://h"\n', "option proxy must be"),
        ('webhook_targets = "https://bots.example/"\n', "webhook_targets must be a list"),
        (f'webhook_targets = ["http://{"x" * 63}.example/{"y" * 50_000}"]\n', "webhook_targets has more than"),
        ('webhook_targets = ["http://a/"]\npost_api = "http://b/"\n', "post_api in the settings is not among"),
        ('[client]\nwebhook_targets = "http://a/"\n', "client.webhook_targets must be set above"),
        ('listen = [{ host = "wx.example", port = 2000 }]\n', "not an IP address"),
        ('tls_certificate = "x.pem"\n', "needs both tls_certificate and tls_key"),
        ("backend_start_port = 4000\nbackend_end_port = 3999\n", "backend_end_port"),
        ("[client]\nload = 1\n", "unknown option: load"),
        ('trusted_proxies = ["a.example"]\n', "trusted_proxies"),
        (f'[alerts]\nmail = "{",".join(["ops"] * 1001)}"\n', "must name at most 1000 addresses"),
        (f"[alerts]\ncommand = {['/bin/page'] * 1001}\n", "must have at most 1000 words"),
    ],
)
def test_invalid_settings_are_refused_with_file_key_and_remedy(tmp_path: Path, content: str, words: str) -> None:
    paths = write(tmp_path, "", wrong=content)
    with pytest.raises(BadSettings, match=words) as refused:
        load_settings(paths)
    assert str(paths.settings_dropins / "wrong.toml") in refused.value.message
    assert refused.value.remedy
    assert refused.value.exit_code == 78


def test_longest_option_of_the_settings(tmp_path: Path) -> None:
    url = "http://a/".ljust(65_536, "a")
    loaded = load_settings(write(tmp_path, f'[client]\npoll_api = "{url}"\n'))
    assert loaded.settings.client == {"poll_api": url}
    with pytest.raises(BadSettings, match="poll_api has 65537 characters, at most 65536"):
        load_settings(write(tmp_path / "other", f'[client]\npoll_api = "{url}a"\n'))


def test_an_error_does_not_contain_a_pasted_key(tmp_path: Path) -> None:
    """Errors of a reload are shown on the dashboard, with the values of their texts."""
    with pytest.raises(BadSettings, match="tls_key must be") as refused:
        load_settings(write(tmp_path, 'tls_key = "-----BEGIN PRIVATE KEY----- s3cret"\n'))
    assert "s3cret" not in f"{refused.value} {refused.value.as_json()}"


def test_obsolete_options_are_accepted_with_a_notice(tmp_path: Path) -> None:
    loaded = load_settings(write(tmp_path, 'pid_path = "/tmp/x"\n'))
    assert loaded.settings == Settings()
    assert "pid_path has no effect" in str(loaded.notices[0])


def test_listen_takes_several_addresses(tmp_path: Path) -> None:
    listen = 'listen = [{ host = "localhost", port = 2000 }, { host = "::1" }, { host = "192.0.2.10" }]\n'
    assert load_settings(write(tmp_path, listen)).settings.listen == (
        Listen("127.0.0.1", 2000),
        Listen("::1", 2000),
        Listen("192.0.2.10", 2000),
    )


def test_shipped_settings_file_sets_nothing() -> None:
    assert tomllib.loads(CONFFILE.read_text()) == {}


def test_shipped_settings_file_shows_valid_defaults(tmp_path: Path) -> None:
    uncommented = re.sub(r"^#(?=\[|\w+ = )", "", CONFFILE.read_text(), flags=re.MULTILINE)
    loaded = load_settings(write(tmp_path, uncommented))
    examples = {"send_interval": "3", "qrcode_count_max": "10", "download_media": "1"}
    fleet = FleetSettings("host-a", "", (HostSettings("host-b", "https://host-b.example:2000", "fleet-b"),))
    assert (loaded.settings, loaded.notices) == (replace(Settings(), client=examples, fleet=fleet), ())


# -- the table [fleet]

B = 'url = "https://b.example:2443"\ntoken = "fleet-b"\n'
ETCD = '[fleet]\nname = "a"\n'


def test_hosts_of_several_files_are_merged(tmp_path: Path) -> None:
    paths = write(
        tmp_path,
        f'[fleet]\nname = "a"\nclient_ca = "/ca.pem"\n[fleet.hosts.b]\n{B}',
        c='[fleet.hosts.c]\nurl = "https://[2001:db8::1]/"\nca_file = "/ca.pem"\n'
        'certificate = "/c.crt"\nkey = "/c.key"\nscope = "control"\naccounts = ["alice"]\nfrom = ["192.0.2.11"]\n'
        "[fleet.hosts.d]\n",
    )
    b = HostSettings("b", "https://b.example:2443", "fleet-b")
    rights = (Scope.CONTROL, ("alice",), (ip_network("192.0.2.11"),))
    c = HostSettings("c", "https://[2001:db8::1]", "", "/ca.pem", "/c.crt", "/c.key", *rights)
    expected = FleetSettings("a", "/ca.pem", (b, c, HostSettings("d", "")))
    assert load_settings(paths).settings.fleet == expected
    assert b.scope is Scope.SEND


def test_tables_within_fleet_are_merged_key_by_key(tmp_path: Path) -> None:
    etcd = (
        '[fleet.etcd]\nendpoints = ["https://e-1:2379/", "https://[2001:db8::2]:2379"]\nfleet = "shop"\n'
        'ca_file = "/ca.pem"\nuser = "a"\npassword = "etcd-password"\ntakeover_after = 60\ntakeover_rate = 9\n'
    )
    hosts = f'[fleet]\nname = "a"\nlabels = ["eu", "line-2"]\negress = "office"\n[fleet.hosts.b]\n{B}'
    more = "[fleet.hosts.b]\nscope = 'read'\n[fleet.etcd]\ntakeover_rate = 0.1\n"
    paths = write(tmp_path, hosts, b=etcd, c=more)
    fleet = load_settings(paths).settings.fleet
    assert fleet is not None
    assert fleet.hosts == (HostSettings("b", "https://b.example:2443", "fleet-b", scope=Scope.READ),)
    endpoints = ("https://e-1:2379", "https://[2001:db8::2]:2379")
    assert fleet.etcd == EtcdSettings(
        *(endpoints, "shop", "/ca.pem"),
        user="a",
        password="etcd-password",
        takeover_after=60,
        takeover_rate=0.1,
    )
    assert fleet.etcd.takeover_pause == 86400
    assert (fleet.etcd.prefix, fleet.labels, fleet.egress) == ("/wxcontroller/shop/", ("eu", "line-2"), "office")


@pytest.mark.parametrize("url", ["http://127.0.0.1:2379", "http://localhost"])
def test_password_may_be_sent_unencrypted_to_an_etcd_on_this_host(tmp_path: Path, url: str) -> None:
    etcd = f'{ETCD}[fleet.etcd]\nendpoints = ["{url}"]\nuser = "a"\npassword = "p"\n'
    fleet = load_settings(write(tmp_path, etcd)).settings.fleet
    assert fleet is not None
    assert fleet.etcd == EtcdSettings((url,), user="a", password="p")


def _fleet_of(hosts: int) -> str:
    """Return the settings of a fleet with so many other hosts."""
    tables = (f'[fleet.hosts.h{each}]\nurl = "https://h{each}"\ntoken = "t"\n' for each in range(hosts))
    return '[fleet]\nname = "a"\n' + "".join(tables)


@pytest.mark.parametrize(
    "content",
    [
        f'[alerts]\nmail = "{",".join(["ops"] * 1000)}"\n',
        f"[alerts]\ncommand = {['/bin/page'] * 1000}\n",
        _fleet_of(64),
    ],
)
def test_lists_may_be_as_long_as_their_limits(tmp_path: Path, content: str) -> None:
    load_settings(write(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f"[fleet.hosts.b]\n{B}", "needs the name of this host"),
        (f'[fleet]\nname = "b"\n[fleet.hosts.b]\n{B}', "lists this host, b"),
        ('[fleet]\nname = "a b"\n', "fleet.name must consist of"),
        (_fleet_of(65), "must have at most 64 hosts"),
        ('[fleet]\nname = "a"\n[fleet.hosts.b]\nurl = "http://b"\ntoken = "t"\n', "https://"),
        ('[fleet]\nname = "a"\n[fleet.hosts.b]\nurl = "https://u:p@b"\ntoken = "t"\n', "https://"),
        ('[fleet]\nname = "a"\n[fleet.hosts.b]\nurl = "https://b"\n', "needs a token, or a certificate"),
        (f'[fleet]\nname = "a"\n[fleet.hosts.b]\n{B}[fleet.hosts.c]\n{B}', "same url"),
        (
            f'[fleet]\nname = "a"\n[fleet.hosts.b]\n{B}scope = "fleet"\n',
            'fleet.hosts.b.scope must be one of "read", "send"',
        ),
        (f'[fleet]\nname = "a"\n[fleet.hosts.b]\n{B}accounts = []\n', "list of account names"),
        (
            f'[fleet]\nname = "a"\n[fleet.hosts.b]\n{B}from = ["192.0.2.11/8"]\n',
            "from contains '192.0.2.11/8', which is not",
        ),
        ('[fleet]\nname = "a"\n[fleet.hosts.b]\ntoken = "t"\n', "needs a url"),
        (f'{ETCD}[fleet.etcd]\nendpoints = ["https://e"]\nfleet = "a/b"\n', "must be a word"),
        (f'{ETCD}[fleet.etcd]\nendpoints = ["https://e", "http://e"]\nuser = "a"\npassword = "p"\n', "unencrypted"),
        (f"{ETCD}[fleet.etcd]\ntakeover_pause = 1\n", "from 60 to"),
    ],
)
def test_invalid_fleet_settings_are_reported(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(BadSettings) as caught:
        load_settings(write(tmp_path, content))
    assert words in str(caught.value)
