"""Limits of the settings reach the processes that use them."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.core.test_settings import write
from wxcontroller.client.config import read_config
from wxcontroller.core.config.envfile import parse
from wxcontroller.core.config.limits import DEFAULTS
from wxcontroller.core.config.settings import Settings, load_settings
from wxcontroller.core.errors import BadSettings
from wxcontroller.core.names import parse_name
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.check import check_configuration
from wxcontroller.core.registry.materialise import Materialiser

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
        ("[limits]\ncooky = 5\n", "limits.cooky is not a known key"),
        ("[limits]\nsend_tries = 500\n", "limits.send_tries must be an integer from 1 to 100"),
    ],
)
def test_invalid_limits_are_refused_by_name(tmp_path: Path, content: str, words: str) -> None:
    paths = settings(tmp_path, content)
    with pytest.raises(BadSettings, match=re.escape(words)) as refused:
        load_settings(paths)
    assert refused.value.remedy
    [finding] = check_configuration(paths)
    assert str(finding.message) in words
    assert finding.key.replace("limits.", "[limits]\n") in content
    assert finding.line == 3


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
    # Changed settings reach all files at once; unchanged ones write nothing.
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
    assert (first.key, str(first.message)) == ("WXCLIENT_LIMIT_SEND_TRIES", "must be an integer from 1 to 100")
    assert (second.key, str(second.message)) == ("WXCLIENT_LIMIT_WATCHERS", "unknown variable")


def test_account_with_invalid_limit_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="account a: WXCLIENT_LIMIT_SEND_TRIES must be an integer") as refused:
        read_config("a", {**PORT, "WXCLIENT_LIMIT_SEND_TRIES": "400"}, Paths(tmp_path))
    assert "/etc/wxcontroller/clients/a.env" in refused.value.remedy
