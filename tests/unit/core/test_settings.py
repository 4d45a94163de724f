"""Settings: files, drop-ins, and refused values."""

from pathlib import Path

import pytest

from wxcontroller.core.errors import BadSettings
from wxcontroller.core.paths import Paths
from wxcontroller.core.settings import Listen, Settings, load_settings


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
        ("max_client = 5\n", "unknown key max_client"),
        ("max_clients = 0\n", "max_clients must be"),
        ('max_clients = "5"\n', "max_clients must be"),
        ("max_clients = \n", "not TOML"),
        ('[client]\nproxy = "http://h"\n', "option proxy must be"),
        ('post_api = "ftp://x"\n', "post_api must be"),
        ('webhook_targets = "https://bots.example/"\n', "webhook_targets must be a list"),
        ('webhook_targets = ["bots.example"]\n', "webhook_targets names 'bots.example'"),
        (f'webhook_targets = ["http://{"x" * 63}.example/{"y" * 50_000}"]\n', "webhook_targets has more than"),
        ('webhook_targets = ["http://a/"]\npost_api = "http://b/"\n', "post_api in the settings is not among"),
        ('webhook_targets = ["http://a/"]\n[client]\npoll_api = "http://b/"\n', "poll_api in the settings is not"),
        ('[client]\nwebhook_targets = "http://a/"\n', "stands above the tables"),
        ('listen = [{ host = "wx.example", port = 2000 }]\n', "not an IP address"),
        ('tls_certificate = "x.pem"\n', "only one is set"),
        ('tls_certificate = "a/b.pem"\n', "tls_certificate must be an absolute path"),
        ('listen = [{ address = "127.0.0.1" }]\n', "listen must be"),
        ("backend_start_port = 4000\nbackend_end_port = 3999\n", "backend_end_port"),
        ("[client]\nload = 1\n", "unknown option: load"),
        ('[client]\nsend_interval = "fast"\n', "send_interval must be"),
        ('log_level = "loud"\n', "log_level must be"),
        ('template_path = "relative.j2"\n', "template_path must be"),
        *(
            (f"trusted_proxies = {value}\n", "trusted_proxies")
            for value in ('"::1"', '["a.example"]', '["10.0.0.1/8"]')
        ),
    ],
)
def test_invalid_settings_are_refused_with_file_key_and_remedy(tmp_path: Path, content: str, words: str) -> None:
    paths = write(tmp_path, "", wrong=content)
    with pytest.raises(BadSettings, match=words) as refused:
        load_settings(paths)
    assert str(paths.settings_dropins / "wrong.toml") in refused.value.message
    assert refused.value.remedy
    assert refused.value.exit_code == 78


def test_obsolete_options_are_accepted_with_a_notice(tmp_path: Path) -> None:
    loaded = load_settings(write(tmp_path, 'pid_path = "/tmp/x"\n'))
    assert loaded.settings == Settings()
    assert "pid_path has no effect" in str(loaded.notices[0])


def test_listen_takes_several_addresses(tmp_path: Path) -> None:
    """Who may call at those that others reach is seen at the start, by the sockets themselves."""
    listen = 'listen = [{ host = "localhost", port = 2000 }, { host = "::1" }, { host = "192.0.2.10" }]\n'
    assert load_settings(write(tmp_path, listen)).settings.listen == (
        Listen("127.0.0.1", 2000),
        Listen("::1", 2000),
        Listen("192.0.2.10", 2000),
    )


def test_invalid_utf_8_is_distinguished_from_an_unreadable_file(tmp_path: Path) -> None:
    paths = write(tmp_path, "")
    paths.settings_file.write_bytes(b"# \xff\n")
    with pytest.raises(BadSettings, match="not UTF-8") as refused:
        load_settings(paths)
    assert "UTF-8" in refused.value.remedy
