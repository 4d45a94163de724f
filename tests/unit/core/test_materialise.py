"""The registry: ports, stored options, and two processes at once."""

import fcntl
import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from wxcontroller.core.config.envfile import parse
from wxcontroller.core.config.reporttargets import Targets
from wxcontroller.core.config.settings import Settings
from wxcontroller.core.errors import BadName, BadOption, WxError
from wxcontroller.core.names import parse_name
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry import materialise
from wxcontroller.core.registry.materialise import Materialiser
from wxcontroller.core.states import Desired

TEMPLATE = Path(__file__).parents[3] / "etc/client.env.j2"
# Outside the product's own range, which a service here may use, and below the range of outgoing connections
# (32768 to 60999), any of which may be in use.
FIRST, LAST = 20000, 20999


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path)


def materialiser(paths: Paths, **settings: object) -> Materialiser:
    chosen = {"template_path": TEMPLATE, "backend_start_port": FIRST, "backend_end_port": LAST, **settings}
    return Materialiser(paths, Settings(**chosen))  # type: ignore[arg-type]


def test_wait_for_a_locked_register_is_limited(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(materialise, "LOCK_SECONDS", 0.2)
    one = materialiser(paths)
    one.start(parse_name("a"), {}, {})
    with (paths.accounts / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(WxError, match=r"another process has locked") as refused:
            one.start(parse_name("b"), {}, {})
        assert "fuser" in refused.value.remedy
    assert one.start(parse_name("b"), {}, {}).desired is Desired.STARTED


def test_account_file_is_private_to_the_group_and_has_the_desired_state(paths: Paths) -> None:
    one = materialiser(paths)
    one.start(parse_name("a"), {"post_api": "http://h/"}, {"client": "a"})
    file = paths.account_file("a")
    assert file.stat().st_mode & 0o777 == 0o640
    assert parse(file.read_text())["WXCLIENT_DESIRED"] == "started"
    one.desire("a", Desired.STOPPED)
    account = one.registry.load("a")
    assert (account.desired, account.options["post_api"]) == (Desired.STOPPED, "http://h/")


def test_account_can_switch_off_the_proxy_of_the_settings(paths: Paths) -> None:
    one = materialiser(paths, client={"proxy": "http://u:p@h:3128"})
    assert one.start(parse_name("a"), {}, {}).options["proxy"] == "http://u:p@h:3128"
    one.start(parse_name("a"), {"proxy": ""}, {"proxy": ""})
    assert one.registry.load("a").options["proxy"] == ""
    assert one.start(parse_name("a"), {"lang": "en_US"}, {"lang": "en_US"}, keep=True).options["proxy"] == ""
    paths.override_file("a").parent.mkdir(parents=True)
    paths.override_file("a").write_text('WXCLIENT_PROXY="socks5://other:1080"\n')
    assert one.registry.load("a").options["proxy"] == "socks5://other:1080"


def test_admins_file_of_an_account_can_allow_other_targets(paths: Paths) -> None:
    one = materialiser(paths, webhook_targets=Targets.parse(["http://near/"]))
    paths.override_file("a").parent.mkdir(parents=True)
    paths.override_file("a").write_text('WXCLIENT_WEBHOOK_TARGETS="http://far/"\n')
    one.start(parse_name("a"), {"post_api": "http://far/"}, {})
    with pytest.raises(BadOption, match="not among"):
        one.start(parse_name("a"), {"post_api": "http://near/"}, {})
    paths.override_file("a").write_text('WXCLIENT_WEBHOOK_TARGETS="far"\n')
    with pytest.raises(BadOption, match="account a: WXCLIENT_WEBHOOK_TARGETS names 'far'"):
        one.start(parse_name("a"), {}, {})


def test_unusable_file_does_not_affect_other_accounts_targets(paths: Paths, caplog: pytest.LogCaptureFixture) -> None:
    one = materialiser(paths)
    for name in ("a", "b", "c"):
        one.start(parse_name(name), {}, {})
    paths.account_file("b").write_text("rubbish\n")
    one.settings = replace(one.settings, webhook_targets=Targets.parse(["http://near/"]))
    assert one.apply_settings() == ["a", "c"]
    assert paths.account_file("b").read_text() == "rubbish\n"
    assert "account b keeps" in caplog.text


def test_manually_started_unit_registers_once(paths: Paths) -> None:
    one = materialiser(paths, post_api="http://h/", client={"send_interval": "5"})
    first = one.prepare("bob")
    assert first.options == {"post_api": "http://h/", "send_interval": "5"}
    assert one.prepare("bob") == first
    with pytest.raises(BadName, match="generated id"):
        one.prepare(parse_name("小红").instance)


def test_keep_merges_stored_options_over_current_defaults(paths: Paths) -> None:
    materialiser(paths, client={"send_interval": "5", "lang": "en_US"}).start(
        parse_name("a"), {"desktop": "on"}, {"desktop": "on"}
    )
    later = materialiser(paths, client={"send_interval": "7"})
    kept = later.start(parse_name("a"), {"keep_cookie": "0"}, {"keep_cookie": "0"}, keep=True)
    assert kept.options == {"send_interval": "7", "desktop": "on", "keep_cookie": "0"}
    replaced = later.start(parse_name("a"), {}, {})
    assert replaced.options == {"send_interval": "7"}


def _start_many(root: Path, prefix: str) -> None:
    one = materialiser(Paths(root))
    for number in range(20):
        one.start(parse_name(f"{prefix}{number}"), {}, {})


def test_concurrent_processes_never_assign_one_port_twice(tmp_path: Path) -> None:
    processes = [multiprocessing.Process(target=_start_many, args=(tmp_path, prefix)) for prefix in "ab"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE)
    accounts = materialiser(Paths(tmp_path)).registry.all()
    assert len(accounts) == 40
    assert len({account.port for account in accounts}) == 40


def test_only_ilink_accounts_can_be_taken_over_by_any_host(paths: Paths) -> None:
    one = materialiser(paths)
    for options in ({"takeover": "any"}, {"takeover": "any", "driver": "filehelper"}):
        with pytest.raises(BadOption, match="ties a web session to its address"):
            one.start(parse_name("a"), options, options)
    one.start(parse_name("a"), {"takeover": "same-egress"}, {"takeover": "same-egress"})
    with pytest.raises(BadOption, match="takeover=any is only for driver=ilink"):
        one.change("a", {"takeover": "any"}, ())
    one.change("a", {"takeover": "any", "driver": "ilink"}, ())
    with pytest.raises(BadOption, match="takeover=any is only for driver=ilink"):
        one.change("a", {}, ("driver",))
