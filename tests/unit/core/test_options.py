"""What a request may not put into an account's file (openwx-api 5.3 no. 45)."""

import pytest

from wxcontroller.core.errors import BadOption
from wxcontroller.core.options import check_options


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stop", ""),
        ("load", "x"),
        ("controller_pid", "1"),
        ("state", "running"),
        ("POST_API", "http://x"),
        ("ca_file", "/etc/shadow"),
        ("tmpdir", "x" * 3000),
        ("domain", "evil.example"),
        ("send_interval", "-1"),
        ("send_interval", "1e9"),
        ("send_interval", "nan"),
        ("send_interval", "١"),
        ("qrcode_count_max", "0"),
        ("qrcode_count_max", "1.5"),
        ("qrcode_count_max", "١"),
        ("download_media", "maybe"),
        ("post_api", "javascript:alert(1)"),
        ("post_api", "http://"),
        ("post_api", "http://a b/"),
        ("post_api", "http://a..b/"),
        ("post_api", "http://h/\nX"),
        ("post_api", "http://h/" + "x" * 3000),
        ("post_api", "http://x:99999/"),
        ("http_agent", "a\tb"),
        ("http_agent", "x" * 301),
        ("log_level", "loud"),
    ],
)
def test_refused_with_name_and_remedy(name: str, value: str) -> None:
    with pytest.raises(BadOption, match=name) as caught:
        check_options([(name, value)])
    assert caught.value.remedy


def test_values_become_canonical() -> None:
    assert check_options([("download_media", "yes"), ("qrcode_count_max", "007")]).options == {
        "download_media": "1",
        "qrcode_count_max": "7",
    }


def test_two_names_for_one_option_are_one_and_the_last_counts() -> None:
    both = [("plugin_openwx_post_event", "1"), ("post_event", "0"), ("poll_interval", "7")]
    assert check_options(both).options == {"plugin_openwx_post_event": "0", "plugin_openwx_poll_interval": "7"}
    assert check_options(reversed(both)).options["plugin_openwx_post_event"] == "1"
