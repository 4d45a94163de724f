"""An account, its URLs and its environment."""

import pytest

from wxcontroller.core.account import Account, redacted, variables_of, with_client
from wxcontroller.core.errors import BadOption
from wxcontroller.core.names import parse_name
from wxcontroller.core.options import Origin, check_options
from wxcontroller.core.paths import Paths


@pytest.mark.parametrize(
    ("address", "name", "expected"),
    [
        ("http://h/in", "a", "http://h/in?client=a"),
        ("http://h/in?x=1&y=2", "a", "http://h/in?x=1&y=2&client=a"),
        ("http://h/in?client=old&x=1&client=older", "a", "http://h/in?x=1&client=a"),
        ("http://h/in?x=%E5%B0%8F", "小", "http://h/in?x=%E5%B0%8F&client=%E5%B0%8F"),
        ("", "a", ""),
    ],
)
def test_client_is_merged_into_report_urls(address: str, name: str, expected: str) -> None:
    assert with_client(address, name) == expected


def test_the_originals_variables_are_there() -> None:
    account = Account(parse_name("alice"), 3000, options={"post_api": "http://h/", "poll_interval": "7"})
    variables = variables_of(account, Paths())
    assert variables["MOJO_WEIXIN_ACCOUNT"] == "alice"
    assert variables["MOJO_WEIXIN_PLUGIN_OPENWX_PORT"] == "3000"
    assert variables["MOJO_WEIXIN_PLUGIN_OPENWX_POST_API"] == "http://h/?client=alice"
    assert variables["MOJO_WEIXIN_PLUGIN_OPENWX_POLL_INTERVAL"] == "7"
    assert variables["MOJO_WEIXIN_STATE_PATH"] == "/run/wxclient/alice/mojo_weixin_state_alice.json"
    assert "MOJO_WEIXIN_CONTROLLER_PID" not in variables


def test_credentials_and_values_of_urls_are_not_shown() -> None:
    shown = redacted("https://user:secret@h:8443/in?token=t0p&client=a")
    assert shown == "https://h:8443/in?token=…&client=…"


def test_requests_can_not_point_an_account_at_another_server() -> None:
    with pytest.raises(BadOption, match="server"):
        check_options([("server", "http://127.0.0.1/")])
    assert check_options([("server", "http://127.0.0.1/")], Origin.SETTINGS).options
