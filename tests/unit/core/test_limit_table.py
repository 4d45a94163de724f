"""Limits of the settings reach the processes they concern; removed limits of 2.0.0 do no harm."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.core.test_settings import write
from wxcontroller.client.config import read_config
from wxcontroller.core.check import Level, check_configuration
from wxcontroller.core.envfile import parse
from wxcontroller.core.errors import BadSettings
from wxcontroller.core.limits import DEFAULTS, REMOVED, shown
from wxcontroller.core.materialise import Materialiser
from wxcontroller.core.names import parse_name
from wxcontroller.core.paths import Paths
from wxcontroller.core.settings import Settings, load_settings

ROOT = Path(__file__).parents[3]
TEMPLATE = ROOT / "etc/client.env.j2"
PORT = {"MOJO_WEIXIN_PLUGIN_OPENWX_PORT": "3000"}


def settings(tmp_path: Path, content: str, **dropins: str) -> Paths:
    template = Paths(tmp_path).template
    paths = write(tmp_path, f'template_path = "{template}"\n{content}', **dropins)
    template.write_text(TEMPLATE.read_text(encoding="utf-8"), encoding="utf-8")
    return paths


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[limits]\ncooky = 5\n", "limits has no key cooky"),
        ("[limits]\nsend_tries = 500\n", "limits key send_tries must be a whole number from 1 to 100"),
        ("[limits]\nmedia_url_seconds = 0\n", "limits key media_url_seconds must be a number from 0.1 to 600"),
        ("limits = 5\n", "limits must be a table"),
    ],
)
def test_invalid_limits_are_refused_by_name(tmp_path: Path, content: str, words: str) -> None:
    paths = settings(tmp_path, content)
    with pytest.raises(BadSettings, match=re.escape(words)) as refused:
        load_settings(paths)
    assert refused.value.remedy
    [finding] = check_configuration(paths)
    assert words.partition("key ")[2].partition(" ")[0] in str(finding.message)


def test_accounts_get_only_their_limits(tmp_path: Path) -> None:
    paths = settings(tmp_path, "")
    limits = DEFAULTS.with_numbers({"send_tries": 3, "media_url_seconds": 0.5, "watchers": 5, "token_failures": 8})
    one = Materialiser(paths, Settings(template_path=paths.template, limits=limits))
    one.start(parse_name("a"), {}, {})
    variables = parse(paths.account_file("a").read_text())
    assert {key: value for key, value in variables.items() if "LIMIT" in key} == {
        "WXCLIENT_LIMIT_SEND_TRIES": "3",
        "WXCLIENT_LIMIT_MEDIA_URL_SECONDS": "0.5",
        "WXCLIENT_LIMIT_TOKEN_FAILURES": "8",
    }
    known = read_config("a", variables, paths).limits
    assert (known.send_tries, known.media_url_seconds, known.token_failures) == (3, 0.5, 8)
    assert known.watchers == DEFAULTS.watchers
    # Other settings are in all files at once; the same ones change nothing.
    one.settings = replace(one.settings, limits=DEFAULTS.with_numbers({"send_tries": 6}))
    assert one.apply_settings() == ["a"]
    assert one.apply_settings() == []
    assert one.registry.load("a").limits == {"send_tries": "6"}
    one.settings = replace(one.settings, limits=DEFAULTS)
    assert one.apply_settings() == ["a"]
    assert "LIMIT" not in paths.account_file("a").read_text()


def test_one_account_can_have_its_own_limits(tmp_path: Path) -> None:
    paths = settings(tmp_path, "")
    limits = DEFAULTS.with_numbers({"send_tries": 3, "contact_pages": 20})
    one = Materialiser(paths, Settings(template_path=paths.template, limits=limits))
    paths.override_file("a").parent.mkdir(parents=True)
    paths.override_file("a").write_text("WXCLIENT_LIMIT_SEND_TRIES=4\n")
    one.start(parse_name("a"), {}, {})
    assert one.registry.load("a").limits == {"send_tries": "4", "contact_pages": "20"}
    assert check_configuration(paths) == []
    paths.override_file("a").write_text("WXCLIENT_LIMIT_SEND_TRIES=400\nWXCLIENT_LIMIT_WATCHERS=9\n")
    first, second = check_configuration(paths)
    assert (first.key, str(first.message)) == ("WXCLIENT_LIMIT_SEND_TRIES", "must be a whole number from 1 to 100")
    assert (second.key, str(second.message)) == ("WXCLIENT_LIMIT_WATCHERS", "is not a known variable")


def test_account_with_invalid_limit_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="account a: WXCLIENT_LIMIT_SEND_TRIES must be a whole number") as refused:
        read_config("a", {**PORT, "WXCLIENT_LIMIT_SEND_TRIES": "400"}, Paths(tmp_path))
    assert "/etc/wxcontroller/clients/a.env" in refused.value.remedy


# -- limits that could be set in 2.0.0


def shipped_with_2_0_0() -> dict[str, float]:
    """All limits of 2.0.0 with their defaults, as its settings file has them."""
    content = (Path(__file__).parent / "limits-2.0.0.toml").read_text(encoding="utf-8")
    found: dict[str, float] = tomllib.loads(content)["limits"]
    return found


def test_settings_of_2_0_0_warn_once_of_each_removed_limit(tmp_path: Path) -> None:
    all_of_them = shipped_with_2_0_0()
    # What 2.0.0 would have refused is passed over too.
    content = {**{name: repr(value) for name, value in all_of_them.items()}, "cookies": '"many"', "xml_depth": "-1"}
    paths = settings(tmp_path, "[limits]\n" + "".join(f"{name} = {value}\n" for name, value in content.items()))
    loaded = load_settings(paths)
    assert loaded.settings.limits == DEFAULTS
    notices = [str(notice) for notice in loaded.notices]
    assert len(notices) == len(REMOVED)
    for name, value in REMOVED.items():
        assert len([words for words in notices if f" {name} " in words and words.endswith(f" {shown(value)}")]) == 1
    findings = check_configuration(paths)
    assert {finding.level for finding in findings} == {Level.WARN}
    assert sorted(finding.key for finding in findings) == sorted(REMOVED)
    lines = paths.settings_file.read_text().splitlines()
    assert all(lines[finding.line - 1].startswith(f"{finding.key} = ") for finding in findings)
