"""Addresses that a list of webhook targets allows, and lists that are refused."""

import pytest

from wxcontroller.core.config.reporttargets import Targets
from wxcontroller.core.errors import BadOption

LIST = Targets.parse(
    ["https://bots.example/", "http://127.0.0.1:8080/in/", "http://[::1]:9000/a", "http://bücher.example"]
)


@pytest.mark.parametrize(
    "address",
    (
        "https://bots.example/any/where?x=1#y https://bots.example:443/ "
        "HTTPS://BOTS.example/a/../b https://user:password@bots.example/ http://127.0.0.1:8080/in/?client=alice "
        "http://127.0.0.1:8080/in/deep/er http://[::1]:9000/a http://[0:0::1]:9000/a/b "
        "http://xn--bcher-kva.example/"
    ).split(),
)
def test_addresses_on_the_list_are_allowed(address: str) -> None:
    assert LIST.allow(address)


@pytest.mark.parametrize(
    "address",
    (
        "http://bots.example/ https://bots.example:444/ https://bots.example.evil.example/ "
        "https://evil.example/https://bots.example/ https://bots.example@evil.example/ https://bots.example. "
        "https://evil.example#@bots.example/ https://evil.example?@bots.example/ "
        "https://evil.example\\@bots.example/ http://127.0.0.1:8080/ http://127.0.0.1:8080/in "
        "http://127.0.0.1:8080/inside/ http://127.0.0.1:8080/in/../admin http://127.0.0.1:8080/in/%2e%2e/admin "
        "http://127.0.0.1:8080/in/..%2fadmin http://127.0.0.1:8080/in/..%5cadmin "
        "http://127.0.0.1:8080/in/..\\admin http://127.0.0.2:8080/in/ http://localhost:8080/in/ "
        "http://2130706433:8080/in/ http://[::1]:9000/ab http://[::ffff:127.0.0.1]:8080/in/ ftp://bots.example/ "
        "//bots.example/ bots.example javascript:1 http://[ http://[::99999]/ https://bots.example:99999/"
    ).split(),
)
def test_unlisted_addresses_are_refused(address: str) -> None:
    assert not LIST.allow(address)
    with pytest.raises(BadOption, match="account alice: post_api is not among webhook_targets") as caught:
        LIST.check("alice", "post_api", address)
    assert "wxcontroller.toml(5)" in caught.value.remedy


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        *((word, "a target is like") for word in ("", "bots.example", "ftp://x/", "http://a b/", "http://[::1", "*")),
        ("https://u:hidden@h/", "are allowed"),
        ("https://h/?", "are allowed"),
        ("https://h/a/..%2fb", "contains . or .."),
    ],
)
def test_list_with_an_invalid_target_is_refused(word: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        Targets.parse([word])
    assert "hidden" not in str(caught.value)
