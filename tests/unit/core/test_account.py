"""What is a proxy's URL, and what of it is shown."""

import pytest

from wxcontroller.core.account import redacted
from wxcontroller.core.egress import ProxyKind, parse_proxy, shown
from wxcontroller.core.errors import BadOption
from wxcontroller.core.options import check_options


def test_the_parts() -> None:
    found = parse_proxy("https://us%40er:p%3Ass%25%2F@Proxy.example:8443/")
    assert (found.kind, found.host, found.port) == (ProxyKind.HTTPS, "proxy.example", 8443)
    assert (found.user, found.password) == ("us@er", "p:ss%/")
    assert parse_proxy("http://[::1]:3128").host == "::1"
    assert str(parse_proxy("http://u:p@[::1]:3128")) == "http://[::1]:3128"
    assert parse_proxy("socks5h://h:1080") == parse_proxy("socks5://h:1080")


def test_a_proxy_as_text_has_no_password() -> None:
    proxy = parse_proxy("socks5://somebody:hidden@h:1080")
    assert str(proxy) == "socks5://h:1080"
    assert "hidden" not in repr(proxy)
    assert "somebody" not in repr(proxy)
    assert redacted("http://somebody:hidden@h:8080") == "http://h:8080"


@pytest.mark.parametrize(
    "value",
    [
        *("proxy:3128", "ftp://somebody:hidden@h:1", "socks4://h:1", "http://h", "http://h:0", "http://h:70000"),
        *("http://somebody:hidden@:3128", "http://somebody:hid den@h:3128", "http://somebody:hidden%@h:3128"),
        *("http://somebody:hidden%ff@h:3128", "http://somebody:hidden%0d%0a@h:3128"),
        *("http://some%3Abody:hidden@h:3128", "http://:hidden@h:3128", "socks5://somebody@h:1080"),
        *("socks5://somebody:hidden%C3%A9@h:1080", f"socks5://somebody:{'hidden' * 43}@h:1080"),
        *("http://somebody:hidden@h:3128/path", "http://somebody:hidden@h:3128?x", "http://somebody:hidden@h:3128#x"),
        *("http://somebody:hidden@[::1:3128", "http://" + "a" * 70 + ".example:3128"),
    ],
)
def test_refusals_repeat_nothing(value: str) -> None:
    with pytest.raises(BadOption, match="option proxy") as caught:
        check_options([("proxy", value)])
    assert "hidden" not in str(caught.value)
    assert "some" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ("", ""),
        ("socks5h://somebody:hidden@h:1080", "socks5://h:1080"),
        # What an admin's file may hold, and no account starts with.
        ("somebody:hidden@h:3128", "…"),
        ("http://somebody:hid/den@h:3128", "…"),
        ("http://somebody:hidden@[::1:3128", "…"),
    ],
)
def test_what_is_shown_of_a_value(value: str, seen: str) -> None:
    assert shown(value) == seen


@pytest.mark.parametrize(
    "value", ["http://somebody:hidden@[::1:80/", "somebody:hidden@h/in", "http://somebody:hid/den"]
)
def test_what_is_no_url_is_not_shown(value: str) -> None:
    assert "hid" not in redacted(value)
