"""What ``wxctl fleet init`` makes for each host. On three hosts: tests/system/test_fleet_init.py."""

import ssl
from pathlib import Path

import pytest

from wxcontroller.cli import fleetsetup
from wxcontroller.cli.errors import BadUsage
from wxcontroller.cli.fleetsetup import Membership, files_of, membership_from
from wxcontroller.core.access import Scope
from wxcontroller.core.paths import Paths
from wxcontroller.core.settings import load_settings

HOSTS = {"host-a": "192.0.2.10", "host-b": "2001:db8::11", "host-c": "192.0.2.12"}


@pytest.fixture
def memberships(tmp_path: Path) -> dict[str, Membership]:
    fleetsetup._make(tmp_path, HOSTS)
    return {name: membership_from((tmp_path / name).read_text("ascii")) for name in HOSTS}


def test_settings_of_each_host_are_valid_and_name_the_others(
    memberships: dict[str, Membership], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, membership in memberships.items():
        paths = Paths(tmp_path / f"root-{name}")
        monkeypatch.setattr(fleetsetup, "PATHS", paths)
        for path, (content, _, _) in files_of(membership).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        fleet = load_settings(paths).settings.fleet
        assert fleet is not None
        assert fleet.etcd is not None
        assert (fleet.name, fleet.etcd.user) == (name, name)
        assert {host.name: host.scope for host in fleet.hosts} == dict.fromkeys(HOSTS.keys() - {name}, Scope.ADMIN)
        assert fleet.etcd.endpoints[1] == "https://[2001:db8::11]:2379"


def test_secrets_are_readable_only_by_root_and_etcd(memberships: dict[str, Membership]) -> None:
    one = memberships["host-a"]
    for path, (content, mode, user) in files_of(one).items():
        if any(secret in content for secret in (one.key, one.password, one.passphrase)):
            assert mode == 0o600, path
            assert user == ("etcd" if "etc/etcd" in str(path) else "")
    assert (
        len({each.password for each in memberships.values()}) == len({each.key for each in memberships.values()}) == 3
    )


def test_certificates_are_of_one_authority(memberships: dict[str, Membership], tmp_path: Path) -> None:
    for membership in memberships.values():
        context = ssl.create_default_context(cadata=membership.authority)
        (tmp_path / "pem").write_text(membership.certificate + membership.key)
        context.load_cert_chain(tmp_path / "pem")
    assert len({membership.authority for membership in memberships.values()}) == 1


@pytest.mark.parametrize(
    "change", [lambda token: token[:-40], lambda token: f"x{token}", lambda _: "wxf_", lambda _: ""]
)
def test_incomplete_token_is_refused(memberships: dict[str, Membership], change: object) -> None:
    assert callable(change)
    with pytest.raises(BadUsage, match="not a token of wxctl fleet init"):
        membership_from(change(memberships["host-b"].token()))
