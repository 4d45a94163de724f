"""Host and Origin headers that are accepted (openwx-api 5.3 no. 43)."""

import pytest

from wxcontroller.openwx.crosssite import own_host


@pytest.mark.parametrize(
    "host",
    [None, "127.0.0.1", "127.0.0.1:2000", "127.8.9.10:1", "[::1]", "[::1]:2000", "localhost", "LocalHost:2000"],
)
def test_loopback_is_ours(host: str | None) -> None:
    assert own_host(host, ())


@pytest.mark.parametrize(
    "host",
    [
        *("", "evil.example", "evil.example:2000", "127.0.0.1.evil.example", "localhost.evil.example:2000"),
        *("127.0.0.1:2000@evil.example", "192.168.1.7:2000", "0.0.0.0:2000", "[::2]:2000", "127.0.0.1\n", "*"),
    ],
)
def test_foreign_names_are_not_own(host: str) -> None:
    assert not own_host(host, ())
    assert not own_host(host, ("panel.example",))


def test_names_can_be_allowed_as_hosts_or_origins() -> None:
    for allowed in ("panel.example", "Panel.Example.", "panel.example:8443", "https://panel.example:8443", "*"):
        assert own_host("panel.example", (allowed,))
        assert own_host("panel.example:8443", (allowed,))
    assert not own_host("x.panel.example", ("panel.example",))
    assert own_host("[fd00::7]:2000", ("[fd00::7]",))
    assert not own_host("[fd00::8]:2000", ("[fd00::7]",))
