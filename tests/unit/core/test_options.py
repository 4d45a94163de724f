"""Values that a request may not put into an account's file (openwx-api 5.3 no. 45)."""

import pytest

from wxcontroller.core.errors import BadOption
from wxcontroller.core.options import check_options

REFUSED = {
    **{"stop": ("",), "load": ("x",), "controller_pid": ("1",), "state": ("running",), "POST_API": ("http://x",)},
    **{"ca_file": ("/etc/shadow",), "tmpdir": ("x" * 3000,), "domain": ("evil.example",), "log_level": ("loud",)},
    **{
        "send_interval": ("-1", "1e9", "nan", "١"),
        "qrcode_count_max": ("0", "1.5", "١"),
        "download_media": ("maybe",),
    },
    "post_api": (
        *("javascript:alert(1)", "http://", "http://a b/", "http://a..b/", "http://h/\nX", "http://x:99999/"),
        "http://h/" + "x" * 3000,
    ),
    "http_agent": ("a\tb", "x" * 301),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in REFUSED.items() for value in values])
def test_refused_with_name_and_remedy(name: str, value: str) -> None:
    with pytest.raises(BadOption, match=name) as caught:
        check_options([(name, value)])
    assert caught.value.remedy


def test_values_become_canonical() -> None:
    assert check_options([("download_media", "yes"), ("qrcode_count_max", "007")]).options == {
        "download_media": "1",
        "qrcode_count_max": "7",
    }


def test_aliases_of_an_option_are_merged_and_the_last_wins() -> None:
    both = [("plugin_openwx_post_event", "1"), ("post_event", "0"), ("poll_interval", "7")]
    assert check_options(both).options == {"plugin_openwx_post_event": "0", "plugin_openwx_poll_interval": "7"}
    assert check_options(reversed(both)).options["plugin_openwx_post_event"] == "1"
