"""The table of limits: each is sensible, read by somebody, set in the settings, told to those whom it concerns."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from wxcontroller.client.config import read_config
from wxcontroller.core.check import check_configuration
from wxcontroller.core.envfile import parse
from wxcontroller.core.errors import BadSettings
from wxcontroller.core.limits import DEFAULTS, LIMITS, Limit, limits_in, parse_limits, shown, variables_for
from wxcontroller.core.materialise import Materialiser
from wxcontroller.core.names import parse_name
from wxcontroller.core.paths import Paths
from wxcontroller.core.settings import Settings, load_settings

ROOT = Path(__file__).parents[3]
TEMPLATE = ROOT / "etc/client.env.j2"
PORT = {"MOJO_WEIXIN_PLUGIN_OPENWX_PORT": "3000"}
EACH = pytest.mark.parametrize("limit", LIMITS.values(), ids=lambda limit: limit.name)


def code(*parts: str) -> str:
    files = [path for part in parts for path in (ROOT / "wxcontroller" / part).rglob("*.py")]
    return "\n".join(path.read_text(encoding="utf-8") for path in files if path.name != "limits.py")


SHARED = code("core", "openwx")
CONTROLLER = SHARED + code("controller", "alert")
ACCOUNT = SHARED + code("client", "drivers")


def settings(tmp_path: Path, content: str, **dropins: str) -> Paths:
    paths = Paths(tmp_path)
    paths.settings_dropins.mkdir(parents=True)
    paths.template.write_text(TEMPLATE.read_text(encoding="utf-8"), encoding="utf-8")
    paths.settings_file.write_text(f'template_path = "{paths.template}"\n{content}')
    for name, more in dropins.items():
        (paths.settings_dropins / f"{name}.toml").write_text(more)
    return paths


@EACH
def test_its_default_is_sensible_and_its_name_says_the_unit(limit: Limit) -> None:
    assert limit.low <= limit.default <= limit.high
    assert limit.meaning
    units = {"bytes": "bytes ", "seconds": "seconds ", "length": "characters ", "depth": "levels "}
    if unit := units.get(limit.name.rpartition("_")[2]):
        assert limit.meaning.startswith(unit)
    assert limit.whole is (not limit.name.endswith("_seconds"))


@EACH
def test_it_is_read_by_those_whom_it_concerns(limit: Limit) -> None:
    """A limit that nobody goes by would only be a promise."""
    asked = re.compile(rf"(?<![A-Za-z])limits(\(\))?(\.{limit.area})?\.{limit.name}\b")
    # The defaults of parameters are in capitals.
    assert not limit.for_controller or asked.search(CONTROLLER)
    assert not limit.for_accounts or asked.search(ACCOUNT)


@EACH
def test_it_can_be_set_from_its_least_to_its_most(limit: Limit) -> None:
    for value in (limit.low, limit.default, limit.high):
        given: object = int(value) if limit.whole else float(value)
        numbers = parse_limits({limit.name: given})
        set_to = DEFAULTS.with_numbers(numbers)
        assert set_to.value(limit) == value
        assert set_to.changed() == ({} if value == limit.default else {limit.name: value})
        if limit.for_accounts:
            assert limits_in(variables_for(numbers)) == numbers
    step = 1 if limit.whole else 0.01
    wrongs: list[object] = [limit.low - step, limit.high + step, "5", True, None, float("nan")]
    for wrong in [*wrongs, *([limit.low + 0.5] if limit.whole else [])]:
        with pytest.raises(ValueError, match=f"key {limit.name} must be a"):
            parse_limits({limit.name: wrong})
    for text in ("", "-1", "1e3", "x", "1.0.0", shown(limit.high) + "0", "٣"):
        with pytest.raises(ValueError, match="must be a"):
            limit.read(text)


def test_the_settings_have_them_and_drop_ins_win_key_by_key(tmp_path: Path) -> None:
    paths = settings(tmp_path, "[limits]\ncookies = 300\nxml_depth = 60\n", own="[limits]\ncookies = 400\n")
    assert load_settings(paths).settings.limits.changed() == {"cookies": 400, "xml_depth": 60}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[limits]\ncooky = 5\n", "limits has no key cooky"),
        ("[limits]\ncookies = 5\n", "limits key cookies must be a whole number from 20 to 10000"),
        ("[limits]\nbody_seconds = 0\n", "limits key body_seconds must be a number from 0.1 to 3600"),
        ("limits = 5\n", "limits must be a table"),
        ("[limits]\nrequest_line_bytes = 7000\n", "limits key cursor_length 7000 needs"),
        ('[alerts]\nmail = "a, b, c"\n[limits]\nalert_addresses = 2\n', "alerts key mail must name at most 2"),
        (
            '[alerts]\ncommand = ["/x", "a"]\n[limits]\nalert_arguments = 1\n',
            "alerts key command must have at most 1",
        ),
        ("[limits]\noption_length = 300\n[client]\npost_message_filter = 'a=" + "x" * 300 + "'\n", "at most 300 are"),
        (
            "webhook_targets = ['http://a/" + "x" * 100 + "']\n[limits]\nwebhook_targets_length = 100\n",
            "webhook_targets has more than 100 characters",
        ),
    ],
)
def test_what_can_not_be_is_named(tmp_path: Path, content: str, words: str) -> None:
    paths = settings(tmp_path, content)
    with pytest.raises(BadSettings, match=re.escape(words)) as refused:
        load_settings(paths)
    assert refused.value.remedy
    [finding] = check_configuration(paths)
    assert words.partition("key ")[2].partition(" ")[0] in finding.message


def test_what_was_beyond_the_default_is_let_in_by_a_higher_one(tmp_path: Path) -> None:
    addresses = ", ".join(f"a{number}@h" for number in range(25))
    paths = settings(tmp_path, f'[alerts]\nmail = "{addresses}"\n[limits]\nalert_addresses = 25\n')
    assert load_settings(paths).settings.alerts.mail == addresses


def test_accounts_get_those_that_concern_them(tmp_path: Path) -> None:
    paths = settings(tmp_path, "")
    limits = DEFAULTS.with_numbers({"cookies": 300, "body_seconds": 0.5, "watchers": 5, "json_depth": 80})
    one = Materialiser(paths, Settings(template_path=paths.template, limits=limits))
    one.start(parse_name("a"), {}, {})
    variables = parse(paths.account_file("a").read_text())
    assert {key: value for key, value in variables.items() if "LIMIT" in key} == {
        "WXCLIENT_LIMIT_COOKIES": "300",
        "WXCLIENT_LIMIT_BODY_SECONDS": "0.5",
        "WXCLIENT_LIMIT_JSON_DEPTH": "80",
    }
    known = read_config("a", variables, paths).limits
    assert (known.wechat.cookies, known.calls.body_seconds, known.requests.json_depth) == (300, 0.5, 80)
    assert known.control == DEFAULTS.control
    # Other settings are in all files at once; the same ones change nothing.
    one.settings = replace(one.settings, limits=DEFAULTS.with_numbers({"cookies": 500}))
    assert one.govern() == ["a"]
    assert one.govern() == []
    assert one.registry.load("a").limits == {"cookies": "500"}
    one.settings = replace(one.settings, limits=DEFAULTS)
    assert one.govern() == ["a"]
    assert "LIMIT" not in paths.account_file("a").read_text()


def test_one_account_may_have_its_own(tmp_path: Path) -> None:
    paths = settings(tmp_path, "")
    limits = DEFAULTS.with_numbers({"cookies": 300, "xml_depth": 60})
    one = Materialiser(paths, Settings(template_path=paths.template, limits=limits))
    paths.override_file("a").parent.mkdir(parents=True)
    paths.override_file("a").write_text("WXCLIENT_LIMIT_COOKIES=400\n")
    one.start(parse_name("a"), {}, {})
    assert one.registry.load("a").limits == {"cookies": "400", "xml_depth": "60"}
    assert check_configuration(paths) == []
    paths.override_file("a").write_text("WXCLIENT_LIMIT_COOKIES=4\nWXCLIENT_LIMIT_WATCHERS=9\n")
    first, second = check_configuration(paths)
    assert (first.key, first.message) == ("WXCLIENT_LIMIT_COOKIES", "must be a whole number from 20 to 10000")
    assert (second.key, second.message) == ("WXCLIENT_LIMIT_WATCHERS", "is no variable of ours")


def test_a_template_with_limits_of_its_own_is_left_alone(tmp_path: Path) -> None:
    paths = settings(tmp_path, "")
    paths.template.write_text(TEMPLATE.read_text(encoding="utf-8") + '\nWXCLIENT_LIMIT_COOKIES="400"\n')
    one = Materialiser(paths, Settings(template_path=paths.template))
    one.start(parse_name("a"), {}, {})
    assert one.registry.load("a").limits == {"cookies": "400"}
    assert one.govern() == []


def test_an_account_does_not_start_with_a_limit_that_can_not_be(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="account a: WXCLIENT_LIMIT_COOKIES must be a whole number") as refused:
        read_config("a", {**PORT, "WXCLIENT_LIMIT_COOKIES": "4"}, Paths(tmp_path))
    assert "/etc/wxcontroller/clients/a.env" in refused.value.remedy
