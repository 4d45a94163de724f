"""An account's environment, report URLs and proxy, shown without their secrets."""

import pytest

from wxcontroller.core.config.options import Origin, check_options
from wxcontroller.core.errors import BadEnvironmentFile, BadOption
from wxcontroller.core.names import parse_name
from wxcontroller.core.net.egress import ProxyKind, parse_proxy, shown
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.account import Account, account_from, redacted, variables_of, with_client


def test_proxy_url_is_parsed() -> None:
    proxy = parse_proxy("https://us%40er:p%3Ass%25%2F@Proxy.example:8443/")
    assert (proxy.kind, proxy.host, proxy.port) == (ProxyKind.HTTPS, "proxy.example", 8443)
    assert (proxy.user, proxy.password) == ("us@er", "p:ss%/")
    assert parse_proxy("http://[::1]:3128").host == "::1"
    assert str(parse_proxy("http://u:p@[::1]:3128")) == "http://[::1]:3128"
    assert parse_proxy("socks5h://h:1080") == parse_proxy("socks5://h:1080")


def test_proxy_text_has_no_password() -> None:
    proxy = parse_proxy("socks5://somebody:hidden@h:1080")
    assert str(proxy) == "socks5://h:1080"
    assert "hidden" not in repr(proxy)
    assert "somebody" not in repr(proxy)
    assert redacted("http://somebody:hidden@h:8080") == "http://h:8080"


@pytest.mark.parametrize(
    "value",
    [
        *("proxy:3128", "ftp://somebody:hidden@h:1", "http://h", "http://h:70000", "http://somebody:hid den@h:3128"),
        *("http://somebody:hidden%ff@h:3128", "http://somebody:hidden%0d%0a@h:3128"),
        *("http://some%3Abody:hidden@h:3128", "http://:hidden@h:3128", f"socks5://somebody:{'hidden' * 43}@h:1080"),
        *("http://somebody:hidden@h:3128/path", "http://somebody:hidden@[::1:3128"),
    ],
)
def test_refusals_do_not_repeat_the_input(value: str) -> None:
    with pytest.raises(BadOption, match="option proxy") as caught:
        check_options([("proxy", value)])
    assert "hidden" not in str(caught.value)
    assert "some" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ("", ""),
        ("socks5h://somebody:hidden@h:1080", "socks5://h:1080"),
        # In an admin's file; no account starts with it.
        ("somebody:hidden@h:3128", "…"),
        ("http://somebody:hid/den@h:3128", "…"),
        ("http://somebody:hidden@[::1:3128", "…"),
    ],
)
def test_secrets_in_values_are_not_shown(value: str, seen: str) -> None:
    assert shown(value) == seen


@pytest.mark.parametrize(
    ("address", "name", "expected"),
    [
        ("http://h/in", "a", "http://h/in?client=a"),
        ("http://h/in?client=old&x=1&client=older", "a", "http://h/in?x=1&client=a"),
        ("http://h/in?x=%E5%B0%8F", "小", "http://h/in?x=%E5%B0%8F&client=%E5%B0%8F"),
        ("", "a", ""),
    ],
)
def test_client_is_merged_into_report_urls(address: str, name: str, expected: str) -> None:
    assert with_client(address, name) == expected


def test_environment_has_the_originals_variables() -> None:
    account = Account(parse_name("alice"), 3000, options={"post_api": "http://h/", "poll_interval": "7"})
    variables = variables_of(account, Paths())
    assert variables["MOJO_WEIXIN_ACCOUNT"] == "alice"
    assert variables["MOJO_WEIXIN_PLUGIN_OPENWX_PORT"] == "3000"
    assert variables["MOJO_WEIXIN_PLUGIN_OPENWX_POST_API"] == "http://h/?client=alice"
    assert variables["MOJO_WEIXIN_PLUGIN_OPENWX_POLL_INTERVAL"] == "7"
    assert variables["MOJO_WEIXIN_STATE_PATH"] == "/run/wxclient/alice/mojo_weixin_state_alice.json"
    assert not {"MOJO_WEIXIN_CONTROLLER_PID", "MOJO_WEIXIN_ACCUNT"} & variables.keys()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("MOJO_WEIXIN_ACCOUNT", ""),
        ("MOJO_WEIXIN_ACCOUNT", "../etc"),
        ("WXCLIENT_INSTANCE", "bob"),
        ("WXCLIENT_DESIRED", "running"),
        *(("MOJO_WEIXIN_PLUGIN_OPENWX_PORT", port) for port in ("", "x", "0", "65536")),
        *(("WXCLIENT_EPOCH", epoch) for epoch in ("0", "٣", "9" * 400)),
        ("MOJO_WEIXIN_PLUGIN_OPENWX_POST_API", "http://[::1"),
    ],
)
def test_damaged_account_file_is_refused_with_its_name(key: str, value: str) -> None:
    stored = variables_of(Account(parse_name("alice"), 3000, options={"post_api": "http://h/"}), Paths())
    assert account_from({**stored, "WXCLIENT_PARAMETERS": "{"}, "alice.env").options == {"post_api": "http://h/"}
    with pytest.raises(BadEnvironmentFile, match=r"alice\.env: ") as caught:
        account_from({**stored, key: value}, "alice.env")
    assert caught.value.remedy


def test_credentials_and_values_of_urls_are_not_shown() -> None:
    shown = redacted("https://user:secret@h:8443/in?token=t0p&client=a")
    assert shown == "https://h:8443/in?token=…&client=…"
    for invalid in ("http://somebody:hidden@[::1:80/", "somebody:hidden@h/in", "http://somebody:hid/den"):
        assert "hid" not in redacted(invalid)


def test_requests_cannot_change_the_server() -> None:
    with pytest.raises(BadOption, match="server"):
        check_options([("server", "http://127.0.0.1/")])
    assert check_options([("server", "http://127.0.0.1/")], Origin.SETTINGS).options


# -- options (openwx-api 5.3 no. 45)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "1") for name in ("stop", "controller_pid", "POST_API")),
        *(("ca_file", "/etc/shadow"), ("tmpdir", "x" * 3000), ("domain", "evil.example"), ("http_agent", "a\tb")),
        *(("send_interval", value) for value in ("-1", "nan", "١")),
        *(("qrcode_count_max", value) for value in ("0", "1.5")),
        *(("post_api", value) for value in ("javascript:alert(1)", "http://a b/", "http://h/\nX", "http://x:99999/")),
    ],
)
def test_options_that_a_request_may_not_set_are_refused(name: str, value: str) -> None:
    with pytest.raises(BadOption, match=name) as caught:
        check_options([(name, value)])
    assert caught.value.remedy


def test_values_become_canonical() -> None:
    written = {
        "download_media": "yes",
        "keep_cookie": " FALSE ",
        "qrcode_count_max": "007",
        "webhook_final": "410, 400",
    }
    assert check_options(written.items()).options == {
        "download_media": "1",
        "keep_cookie": "0",
        "qrcode_count_max": "7",
        "webhook_final": "410,400",
    }


def test_aliases_of_an_option_are_merged_and_the_last_wins() -> None:
    both = [("plugin_openwx_post_event", "1"), ("post_event", "0"), ("poll_interval", "7")]
    assert check_options(both).options == {"plugin_openwx_post_event": "0", "plugin_openwx_poll_interval": "7"}
    assert check_options(reversed(both)).options["plugin_openwx_post_event"] == "1"
