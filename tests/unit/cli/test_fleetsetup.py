"""What ``wxctl fleet init`` makes for each host. On three hosts: tests/system/test_fleet_init.py."""

import base64
import contextlib
import datetime
import io
import json
import os
import ssl
import stat
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from wxcontroller.cli.clierrors import BadUsage
from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.context import WxctlRun
from wxcontroller.cli.transfer.copy import preconditions
from wxcontroller.cli.verbs.host import fleetsetup
from wxcontroller.cli.verbs.host.fleetsetup import (
    Etcdctl,
    Membership,
    begun,
    files_of,
    joined,
    membership_from,
    set_up,
)
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.config.settings import load_settings
from wxcontroller.core.errors import ControllerUnreachable, WxError
from wxcontroller.core.files.atomic import replace_file
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.paths import Paths
from wxcontroller.core.text.templates import NOTHING, text_fields, verbatim

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


def _written(content: object) -> str:
    return "wxf_" + base64.urlsafe_b64encode(zlib.compress(json.dumps(content).encode())).decode()


@pytest.mark.parametrize(
    "change",
    [
        {"cluster": "wx\nETCD_LISTEN_CLIENT_URLS=http://0.0.0.0:2379"},
        {"password": "a\nb"},
        {"passphrase": ""},
        {"name": "host-b"},  # whose certificate this is not
        {"name": "host-d"},
        {"hosts": {**HOSTS, "host-a": "192.0.2.99"}},
        {"hosts": {**HOSTS, "host-b": "fe80::1%x\nETCD_X=1"}},
        {"hosts": {**HOSTS, "host-b": "0.0.0.0"}},
        {"hosts": {**HOSTS, "host b": "192.0.2.13"}},
        {"hosts": HOSTS | {f"host-{n}": f"192.0.2.{n}" for n in range(20, 27)}},
        {"hosts": {**HOSTS, "host-b": "224.0.0.1"}},
        {"hosts": []},
        {"certificate": "x"},
        {"authority": 1},
        {"key": None},
        {"padding": "x" * 5_000_000},
    ],
)
def test_token_with_other_content_is_refused(memberships: dict[str, Membership], change: dict[str, object]) -> None:
    with pytest.raises(BadUsage, match="not a token of wxctl fleet init"):
        membership_from(_written(asdict(memberships["host-a"]) | change))


@pytest.mark.parametrize("part", ["key", "authority", "certificate"])
def test_token_with_a_part_of_another_fleet_is_refused(
    memberships: dict[str, Membership], tmp_path: Path, part: str
) -> None:
    (tmp_path / "other").mkdir()
    fleetsetup._make(tmp_path / "other", HOSTS)
    other = asdict(membership_from((tmp_path / "other/host-a").read_text("ascii")))
    with pytest.raises(BadUsage, match="not a token of wxctl fleet init"):
        membership_from(_written(asdict(memberships["host-a"]) | {part: other[part]}))


def test_token_with_a_certificate_of_another_name_is_refused(
    memberships: dict[str, Membership], tmp_path: Path
) -> None:
    """With the address of this host: other hosts would know this one by the other name."""
    one = memberships["host-a"]
    authority = x509.load_pem_x509_certificate(one.authority.encode())
    signing = serialization.load_pem_private_key((tmp_path / "authority.key").read_bytes(), None)
    assert isinstance(signing, ec.EllipticCurvePrivateKey)
    for name in ("host-x", "host-a"):
        certificate, key = fleetsetup._signed(name, HOSTS["host-a"], authority, signing)
        changed = replace(one, certificate=certificate, key=key)
        with contextlib.nullcontext() if name == one.name else pytest.raises(BadUsage, match="not a token"):
            assert membership_from(changed.token()) == changed


def test_token_that_is_too_long_is_refused(memberships: dict[str, Membership]) -> None:
    token = memberships["host-a"].token()
    longest = f"wxf_{'!' * (fleetsetup._MOST_TOKEN - len(token))}{token[4:]}"  # which base64 skips
    assert membership_from(longest) == memberships["host-a"]
    with pytest.raises(BadUsage, match="not a token"):
        membership_from(f"{longest}!")


@dataclass
class Machine:
    """A host's files, and what systemd is asked for."""

    paths: Paths
    calls: list[str]

    @property
    def files(self) -> dict[str, bytes]:
        every = [path for path in self.paths.root.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.paths.root)): path.read_bytes() for path in every}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(Paths(tmp_path / "machine"), [])
    (machine.paths.root / "var/lib").mkdir(parents=True)

    def act(*words: str) -> None:
        machine.calls.append(" ".join(words))

    monkeypatch.setattr(fleetsetup, "PATHS", machine.paths)
    monkeypatch.setattr(fleetsetup, "act", act)
    monkeypatch.setattr(fleetsetup, "reload_units", lambda: None)
    monkeypatch.setattr(fleetsetup, "_uid", lambda _: os.getuid())
    return machine


def test_files_are_usable_by_their_readers_whatever_the_umask(
    memberships: dict[str, Membership], machine: Machine
) -> None:
    before = os.umask(0o077)
    try:
        set_up(memberships["host-a"])
    finally:
        os.umask(before)
    modes = {
        name: stat.S_IMODE((machine.paths.root / name).stat().st_mode)
        for name in ("etc/etcd", "etc/wxcontroller/wxcontroller.toml.d", "etc/wxcontroller/credentials")
    }
    assert list(modes.values()) == [0o755, 0o755, 0o700]
    for path, (content, mode, _) in files_of(memberships["host-a"]).items():
        assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == (content, mode)


@pytest.mark.parametrize(
    "existing", ["etc/wxcontroller/credentials/fleet", "etc/wxcontroller/credentials/etcd", "etc/default/etcd"]
)
def test_files_of_the_administrator_are_not_replaced(
    memberships: dict[str, Membership], machine: Machine, existing: str
) -> None:
    file = machine.paths.root / existing
    file.parent.mkdir(parents=True)
    file.write_text("# mine\nETCD_NAME=mine\n")
    before = machine.files
    with pytest.raises(BadUsage, match=existing):
        set_up(memberships["host-a"])
    assert (machine.files, machine.calls) == (before, [])
    file.write_text("# ETCD_NAME=\n\n")  # as Debian's package has it
    set_up(memberships["host-a"])


def test_a_line_of_another_fleet_does_not_replace_this_one(
    memberships: dict[str, Membership], machine: Machine, tmp_path: Path
) -> None:
    set_up(memberships["host-a"])
    before = machine.files
    (tmp_path / "other").mkdir()
    fleetsetup._make(tmp_path / "other", HOSTS)
    with pytest.raises(BadUsage, match=r"these files would be replaced: .*wx-fleet\.pem"):
        set_up(membership_from((tmp_path / "other/host-a").read_text("ascii")))
    assert machine.files == before


def test_an_interrupted_host_is_set_up_by_the_same_line_or_a_renewed_one(
    memberships: dict[str, Membership], machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    membership = memberships["host-a"]
    renewed = fleetsetup._renew(tmp_path, memberships)["host-a"]
    assert (renewed.password, renewed.authority) == (membership.password, membership.authority)
    assert renewed.certificate != membership.certificate
    for count in range(len(files_of(membership))):
        left = [count]

        def full(
            path: Path, content: bytes, mode: int, durable: bool, owner: int | None, left: list[int] = left
        ) -> None:
            assert (owner is not None) == (path.parent.name == "etcd")
            left[0] -= 1
            if left[0] < 0:
                raise OSError(28, "No space left on device", str(path))
            replace_file(path, content, mode, durable, owner=owner)

        machine.calls.clear()
        with monkeypatch.context() as patch, pytest.raises(WxError, match="No space left"):
            patch.setattr(fleetsetup, "replace_file", full)
            set_up(membership)
        assert not machine.calls  # accounts go on
        if count == len(files_of(membership)) - 1:
            assert load_settings(machine.paths).settings.tls_certificate  # before another address is listened at
    set_up(renewed)
    assert machine.calls[0] == "stop wxclient.target"


@pytest.mark.parametrize(("days", "problem"), [(801, "expired on "), (-2, "is valid from ")])
def test_a_certificate_that_is_not_valid_now_is_refused(
    memberships: dict[str, Membership], machine: Machine, monkeypatch: pytest.MonkeyPatch, days: int, problem: str
) -> None:
    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Self:
            return super().now(tz) + datetime.timedelta(days=days)

    monkeypatch.setattr(fleetsetup, "datetime", SimpleNamespace(datetime=Clock, UTC=datetime.UTC))
    with pytest.raises(WxError, match=problem):
        set_up(memberships["host-a"])
    assert (machine.files, machine.calls) == ({}, [])


@pytest.fixture
def first(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``wxctl fleet init`` with addresses of this machine, until it would wait."""
    monkeypatch.setattr(fleetsetup, "_PROGRAMS", ())
    monkeypatch.setattr(fleetsetup, "at_home", lambda *_: None)
    monkeypatch.setattr(fleetsetup, "_has_address", lambda address: address == "192.0.2.10")
    monkeypatch.setattr(fleetsetup, "_create_users", lambda *_: None)
    monkeypatch.setattr(fleetsetup, "_until_listed", lambda *_: None)
    tokens = type("Tokens", (), {"read": lambda _: type("Read", (), {"required": True})()})
    monkeypatch.setattr(fleetsetup, "TokenFile", lambda _: tokens())
    return lambda words, renew=False, as_json=False: begun(WxctlRun(json=as_json), words.split(), renew)


THREE = "host-a=192.0.2.10 host-b=192.0.2.11 host-c=192.0.2.12"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("host-b=192.0.2.11 host-a=192.0.2.10 host-c=192.0.2.12", "192.0.2.11 is not an address of this host"),
        ("host-a=127.0.0.1", "host-a=127.0.0.1 is not a host with its address"),
        ("host-a=fe80::1%eth0", "host-a=fe80::1%eth0 is not a host with its address"),
        ("root=192.0.2.10", "no host can be named root"),
        (" ".join(f"host-{n}=192.0.2.{n}" for n in range(10, 21)), "etcd cannot have 11 members, but at most 9"),
        (f"{THREE} host-d=192.0.2.13", "4 hosts cannot form an etcd"),
    ],
)
def test_hosts_that_cannot_be_set_up_are_refused(
    first: Callable[..., None], machine: Machine, words: str, problem: str
) -> None:
    with pytest.raises(BadUsage, match=problem):
        first(words)
    assert (machine.files, machine.calls) == ({}, [])


def test_other_hosts_are_refused_by_what_was_begun(first: Callable[..., None], machine: Machine) -> None:
    first(THREE)
    before = machine.files
    with pytest.raises(BadUsage, match="belongs to a fleet of host-a=192"):
        first(THREE.replace("192.0.2.12", "192.0.2.13"))
    (machine.paths.settings_dropins / "50-fleet.toml").unlink()
    with pytest.raises(BadUsage, match="belongs to a fleet of host-a=192"):
        first("x=192.0.2.10 y=192.0.2.11 z=192.0.2.12")
    first(THREE)
    assert machine.files == before
    place = machine.paths.root / "var/lib/wxcontroller-fleet"
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()} == {0o600}


def test_a_host_named_like_a_file_of_the_directory_keeps_its_token(
    first: Callable[..., None], machine: Machine
) -> None:
    for _ in range(2):
        first("etcd-root=192.0.2.10 authority=192.0.2.11 key=192.0.2.12")


def test_a_failed_etcd_is_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Etcdctl, "run", lambda *_: "connection refused")
    monkeypatch.setattr(fleetsetup, "show", lambda *_: {"etcd.service": {"ActiveState": "failed"}})
    with pytest.raises(WxError, match="etcd does not respond: connection refused"):
        Etcdctl("192.0.2.10").wait()


def test_etcd_never_resumes_the_data_of_another_cluster(memberships: dict[str, Membership]) -> None:
    def directory(membership: Membership) -> str:
        content = next(
            text for path, (text, _, _) in files_of(membership).items() if str(path) == "/etc/default/etcd"
        )
        return next(line for line in content.splitlines() if line.startswith("ETCD_DATA_DIR="))

    one = memberships["host-a"]
    assert directory(one) != directory(replace(one, cluster="wx-0"))


@pytest.mark.parametrize("line", [b"", b"\xff\xfe\n", b"wxf_\0\n", b"x" * 1_000_000, "令牌\n".encode()])
def test_a_line_that_is_no_token_changes_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    monkeypatch.setattr(fleetsetup, "at_home", lambda *_: None)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(line)))
    with pytest.raises(BadUsage, match="not a token of wxctl fleet init"):
        joined(WxctlRun())
    assert (machine.files, machine.calls) == ({}, [])


def test_init_prints_the_tokens_of_the_others_and_renews_their_certificates(
    first: Callable[..., None], machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    def tokens() -> dict[str, str]:
        place = machine.paths.root / "var/lib/wxcontroller-fleet"
        return {name: (place / name).read_text("ascii") for name in HOSTS}

    first(THREE)
    before, printed = tokens(), capsys.readouterr()
    assert [line for line in printed.out.splitlines() if line.startswith("wxf_")] == [*before.values()][1:]
    assert before["host-a"] not in printed.out + printed.err
    first(THREE, renew=True)
    renewed, printed = tokens(), capsys.readouterr()
    assert not {*before.values()} & {*renewed.values()}
    assert [line for line in printed.out.splitlines() if line.startswith("wxf_")] == [*renewed.values()][1:]
    assert (machine.paths.root / "etc/etcd/fleet.pem").read_text() == membership_from(renewed["host-a"]).certificate
    first(THREE, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"tokens": {name: renewed[name] for name in ("host-b", "host-c")}}


def fleet_answer(reason: str = "", down: str = "", hosts: Sequence[str] = ("host-a", "host-b")) -> JsonObject:
    """Return /v1/fleet of host-b. ``down``: why its member cannot be used."""
    why, why_down = (verbatim(words) if words else NOTHING for words in (reason, down))
    members: list[JsonValue] = [
        {"url": "https://[2001:db8::11]:2379", **text_fields(reason=why_down)},
        {"url": "https://192.0.2.12:2379", **text_fields(reason=verbatim("not joined yet"))},
    ]
    listed: list[JsonValue] = [{"name": name} for name in hosts]
    return {"etcd": {**text_fields(reason=why), "members": members, "hosts": listed}}


@pytest.fixture
def joining(
    memberships: dict[str, Membership], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """``wxctl fleet join`` on host-b, whose controller answers these, the last one for good."""

    def join(*answers: JsonObject | WxError) -> None:
        left = [*answers]

        def fleet(_: Api) -> JsonObject:
            answer = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(answer, WxError):
                raise answer
            return answer

        monkeypatch.setattr(Api, "fleet", fleet)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(memberships["host-b"].token().encode())))
        joined(WxctlRun())

    for name, value in {"_PROGRAMS": (), "_LOOK_SECONDS": 0.001, "_JOINING_SECONDS": 0.2}.items():
        monkeypatch.setattr(fleetsetup, name, value)
    monkeypatch.setattr(fleetsetup, "at_home", lambda *_: None)
    monkeypatch.setattr(fleetsetup, "_require", lambda *_: None)
    return join


def test_join_waits_until_the_fleet_lists_the_host(
    joining: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    nothing: JsonObject = {"etcd": {**text_fields(reason=verbatim("starting")), "members": [], "hosts": []}}
    joining(
        ControllerUnreachable("cannot connect"),
        nothing,
        fleet_answer(down="no leader"),
        fleet_answer(reason="user name is empty", hosts=["host-a"]),
        fleet_answer(reason="user name is empty", hosts=["host-a"]),
        fleet_answer(hosts=["host-a"]),
        fleet_answer(),
    )
    shown = capsys.readouterr()
    assert shown.out == "host host-b has joined; see: wxctl fleet\n"
    assert [line for line in shown.err.splitlines() if line.startswith("waiting: ")] == [
        "waiting: cannot connect",
        "waiting: starting",
        "waiting: its member of etcd cannot be used: no leader",
        "waiting: user name is empty",
        "waiting: etcd does not list this host",
    ]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (fleet_answer(down="connection refused"), "its member of etcd cannot be used: connection refused"),
        (fleet_answer(hosts=[]), "etcd does not list this host"),
        ({"etcd": None}, "its controller does not know the members of etcd"),
    ],
)
def test_join_fails_with_the_reason_if_the_host_is_not_listed(
    joining: Callable[..., None], capsys: pytest.CaptureFixture[str], answer: JsonObject, reason: str
) -> None:
    with pytest.raises(WxError, match=f"host host-b is set up and has not joined yet: {reason}") as failed:
        joining(answer)
    assert "run wxctl fleet init on the first host again" in failed.value.remedy
    assert "has joined;" not in capsys.readouterr().out


def test_hosts_are_checked_before_what_this_machine_needs(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(BadUsage, match="x is not a host with its address") as refused:
        begun(WxctlRun(), ["x"], renew=False)
    assert "the IP address at which the others reach it" in refused.value.remedy


@pytest.mark.parametrize("settings", ['tls_certificate = "x.pem"\ntls_key = "x.key"\n', '[fleet]\nname = "host-a"\n'])
def test_the_administrators_settings_are_not_replaced(
    first: Callable[..., None], machine: Machine, settings: str
) -> None:
    machine.paths.settings_file.parent.mkdir(parents=True)
    machine.paths.settings_file.write_text(settings)
    before = machine.files
    with pytest.raises(BadUsage, match=r"a table \[fleet\] or a certificate already"):
        first(THREE)
    assert (machine.files, machine.calls) == (before, [])


def test_a_host_of_the_fleet_gets_no_other_name(first: Callable[..., None], machine: Machine) -> None:
    first(THREE)
    before = machine.files
    with pytest.raises(BadUsage, match="this is host host-a"):
        first(THREE.replace("host-a", "host-x"))
    assert machine.files == before


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("_PROGRAMS", ("no-such-program",), "this host has no no-such-program"),
        ("_uid", lambda _: None, "this host has no etcd-server"),
        (
            "TokenFile",
            lambda _: SimpleNamespace(read=lambda: SimpleNamespace(required=False)),
            "and no token exists",
        ),
    ],
)
def test_what_a_host_lacks_is_named_before_anything_is_changed(
    first: Callable[..., None],
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: object,
    problem: str,
) -> None:
    monkeypatch.setattr(fleetsetup, name, value)
    with pytest.raises(WxError, match=problem):
        first(THREE)
    assert (machine.files, machine.calls) == ({}, [])


@pytest.mark.parametrize("command", [lambda run: begun(run, ["host-a=192.0.2.10"], renew=False), joined])
def test_only_root_sets_up_a_host(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, command: Callable[[WxctlRun], None]
) -> None:
    monkeypatch.setattr(preconditions, "is_this_machines", lambda _: True)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(WxError, match="only root can set up a host of a fleet"):
        command(WxctlRun())
    assert (machine.files, machine.calls) == ({}, [])


def test_etcd_serves_only_certificates_of_the_authority(memberships: dict[str, Membership]) -> None:
    [content] = [
        text
        for path, (text, _, _) in files_of(memberships["host-a"]).items()
        if path.name == "etcd" and "default" in path.parts
    ]
    assert {"ETCD_CLIENT_CERT_AUTH=true", "ETCD_PEER_CLIENT_CERT_AUTH=true"} <= {*content.splitlines()}


def test_etcds_users_get_their_passwords_on_standard_input_and_only_their_rights(
    memberships: dict[str, Membership], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = dict[str, str]()

    def run(_: Etcdctl, *words: str, given: str = "") -> str:
        calls[" ".join(words)] = given
        return ""

    monkeypatch.setattr(Etcdctl, "run", run)
    fleetsetup._create_users(memberships, tmp_path)
    assert [*calls][-1] == "auth enable"
    for name, membership in memberships.items():
        assert calls[f"user add {name} --interactive=false"] == membership.password
        grants = {words.partition(f"role grant-permission {name} ")[2] for words in calls} - {""}
        assert grants == {
            "--prefix=true read /wxcontroller/main/",
            "--prefix=true readwrite /wxcontroller/main/accounts/",
            "--prefix=true readwrite /wxcontroller/main/takeovers/",
            f"readwrite /wxcontroller/main/hosts/{name}",
            "readwrite /wxcontroller/main/schema",
        }
    assert not any(each.password in " ".join(calls) for each in memberships.values())


def test_etcdctl_reads_passwords_and_repeats_what_was_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etcdctl").write_text('#!/bin/sh\necho "Error: $1: $(cat)" >&2\nexit 1\n')
    (tmp_path / "etcdctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert Etcdctl("192.0.2.10").run("user", given="secret") == "Error: user: secret"
    assert Etcdctl("192.0.2.10").run("user", given="user name already exists") == ""


def test_only_the_authority_signs_and_hosts_are_servers_and_clients(memberships: dict[str, Membership]) -> None:
    one = memberships["host-a"]
    for pem, authority in ((one.authority, True), (one.certificate, False)):
        certificate = x509.load_pem_x509_certificate(pem.encode())
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        assert (basic.critical, basic.value.ca, basic.value.path_length) == (
            True,
            authority,
            0 if authority else None,
        )
    extensions = x509.load_pem_x509_certificate(one.certificate.encode()).extensions
    usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert {*usage} == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


def test_services_reach_the_hosts_of_the_fleet_and_no_others(memberships: dict[str, Membership]) -> None:
    drop_ins = {path.parent.name: text for path, (text, _, _) in files_of(memberships["host-a"]).items()}
    for unit in ("wxcontroller.service.d", "wxcontroller-keeper.service.d"):
        allowed = [line for line in drop_ins[unit].splitlines() if line.startswith("IPAddressAllow=")]
        assert allowed == ["IPAddressAllow=192.0.2.10 2001:db8::11 192.0.2.12"]
