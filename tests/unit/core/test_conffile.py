"""The settings file as shipped; test_reference.py checks that it shows every option."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path

from wxcontroller.core.fleetsettings import FleetSettings, HostSettings
from wxcontroller.core.paths import Paths
from wxcontroller.core.settings import Settings, load_settings

CONFFILE = Path(__file__).parents[3] / "etc/wxcontroller.toml"


def uncommented() -> str:
    return re.sub(r"^#(?=\[|\w+ = )", "", CONFFILE.read_text(), flags=re.MULTILINE)


def test_shipped_settings_file_sets_nothing() -> None:
    assert tomllib.loads(CONFFILE.read_text()) == {}


def test_shipped_settings_file_shows_valid_defaults(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.settings_file.parent.mkdir(parents=True)
    paths.settings_file.write_text(uncommented())
    loaded = load_settings(paths)
    examples = {"send_interval": "3", "qrcode_count_max": "10", "download_media": "1"}
    fleet = FleetSettings("host-a", "", (HostSettings("host-b", "https://host-b.example:2000", "fleet-b"),))
    assert (loaded.settings, loaded.notices) == (replace(Settings(), client=examples, fleet=fleet), ())
