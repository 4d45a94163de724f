"""Hostile values of media_path: files and addresses that must not be read (openwx-api 5.3 no. 49)."""

import errno
import ipaddress
import os
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web

from tests.serving import serving
from tests.unit.client.conftest import RunningClient, Start, Webhook, running
from wxcontroller.client.sends.content import urlfetch
from wxcontroller.client.sends.content.mediapath import Confinement
from wxcontroller.core.jsontypes import JsonObject, obj
from wxcontroller.core.net.resolver import Resolver

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


async def upload(client: RunningClient, path: str) -> JsonObject:
    return obj(await client.get("upload_media", media_path=path))


async def test_paths_out_of_an_allowed_directory_are_refused(start: Start, tmp_path: Path) -> None:
    allowed, outside = tmp_path / "pub", tmp_path / "secret"
    allowed.mkdir()
    outside.mkdir()
    (outside / "a.png").write_bytes(PNG)
    (allowed / "dir").symlink_to(outside)
    (allowed / "up").symlink_to("..")
    (allowed / "chain").symlink_to("chain2")
    (allowed / "chain2").symlink_to(outside / "a.png")
    (allowed / "loop").symlink_to("loop")
    (allowed / "environ").symlink_to("/proc/self/environ")
    (allowed / "zero").symlink_to("/dev/zero")
    os.mkfifo(allowed / "pipe")
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "b.png").write_bytes(PNG)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(allowed / "socket"))
        client = await running(start, WXCLIENT_MEDIA_PATHS=str(allowed))
        for path in (
            *("dir/a.png", "up/secret/a.png", "chain", "loop", "environ", "zero", "socket", "pipe", ".", "x\0y"),
            *("../secret/a.png", "./../secret/a.png", "dir/../../secret/a.png", "../public/b.png", "a" * 5000),
        ):
            answer = await upload(client, f"{allowed}/{path}")
            assert (answer["code"], answer["status"]) == (-1, "invaild media_path"), path
            assert answer["reason"]
        for path in (
            *(f"{outside}/a.png", "/proc/self/environ", "/proc/self/fd/0", "/etc/shadow", "a.png", "~/.ssh/id_rsa"),
            *(f"file://{outside}/a.png", f"FILE://{outside}/a.png", f"ftp://127.0.0.1{outside}/a.png", "data:,x"),
        ):
            assert (await upload(client, path))["status"] == "invaild media_path", path
        assert client.driver.uploads == []
        assert obj(await client.get("get_client_info"))["code"] == 0


async def test_longest_media_path(start: Start, tmp_path: Path) -> None:
    client = await running(start, WXCLIENT_MEDIA_PATHS=str(tmp_path))
    for length, is_too_long in ((8000, False), (8001, True)):
        answer = await upload(client, f"{tmp_path}/".ljust(length, "a"))
        assert answer["status"] == "invaild media_path"
        assert ("longer than 8000 characters" in str(answer["reason"])) is is_too_long


async def test_existence_of_other_files_is_not_revealed(start: Start, tmp_path: Path) -> None:
    allowed = tmp_path / "pub"
    allowed.mkdir()
    (tmp_path / "there").write_bytes(PNG)
    (tmp_path / "locked").mkdir(0)
    client = await running(start, WXCLIENT_MEDIA_PATHS=str(allowed))
    reasons = {
        str((await upload(client, f"{tmp_path}/{path}"))["reason"])
        for path in ("there", "missing", "locked", "locked/a", "there/a", "pub/../there", "pub/../missing")
    }
    assert reasons == {"there is no such file below media_paths"}
    assert "No such file" in str((await upload(client, f"{allowed}/missing"))["reason"])


async def test_own_secrets_are_never_sent(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "proxy").write_text("http://u:p@h:1")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    client = await running(start, WXCLIENT_MEDIA_PATHS="/")
    client.paths.credentials.mkdir()
    (client.paths.credentials / "webhook-secret").write_text("secret")
    state, media = client.paths.state("alice"), client.paths.media("alice")
    media.mkdir()
    (state / "mojo_weixin_cookie_alice.dat").write_bytes(b"secret")
    (media / "a.png").write_bytes(PNG)
    (tmp_path / "b.png").write_bytes(PNG)
    (tmp_path / "link").symlink_to(state)
    for path in (
        *(f"{state}/mojo_weixin_cookie_alice.dat", f"{tmp_path}/link/mojo_weixin_cookie_alice.dat"),
        *(f"{media}/../mojo_weixin_cookie_alice.dat", f"{credentials}/proxy", "/proc/self/environ"),
        f"{client.paths.credentials}/webhook-secret",
        *("/proc/self/cmdline", f"/proc/{os.getpid()}/environ", "/dev/null", "/sys/kernel/notes"),
    ):
        answer = await upload(client, path)
        assert (answer["code"], answer["reason"]) == (-1, "there is no such file below media_paths"), path
    for path in (f"{media}/a.png", f"{tmp_path}/b.png"):
        assert (await upload(client, path))["code"] == 0, path


def opened_after(change: Callable[[], object], path: Path, allowed: Path) -> int:
    """Open a file whose path is checked before a ``change`` and opened after it."""
    opening = os.open

    def late(where: Path, flags: int) -> int:
        change()
        return opening(where, flags)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", late)
        return Confinement([allowed]).open(str(path))


def test_directory_replaced_during_the_check_is_refused(tmp_path: Path) -> None:
    """A directory is replaced by a link that leads out."""
    allowed, outside = tmp_path / "pub", tmp_path / "secret"
    way = allowed / "way"
    for directory in (outside, way):
        directory.mkdir(parents=True)
        (directory / "a").touch()

    def swap() -> None:
        way.rename(allowed / "aside")
        way.symlink_to(outside)

    with pytest.raises(OSError, match="there is no such file below media_paths"):
        opened_after(swap, way / "a", allowed)
    assert (way / "a").resolve() == outside / "a"


def test_link_created_during_the_check_is_not_followed(tmp_path: Path) -> None:
    """The target would be opened before its place is checked, and opening some files has effects."""
    way, inside = tmp_path / "way", tmp_path / "inside"
    for file in (way, inside):
        file.touch()

    def swap() -> None:
        way.unlink()
        way.symlink_to(inside)

    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        opened_after(swap, way, tmp_path)
    assert way.is_symlink()


def found_at(host: str, address: str, port: int) -> dict[str, object]:
    return {"hostname": host, "host": address, "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, list[str]]]:
    """Names and the addresses that a name server gives for them."""
    names: dict[str, list[str]] = {}

    async def resolve(
        _: Resolver, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[dict[str, object]]:
        if host not in names:
            raise OSError("Name or service not known")
        return [found_at(host, address, port) for address in names[host]]

    monkeypatch.setattr(Resolver, "resolve", resolve)
    yield names


PRIVATE = [
    *("127.0.0.1", "10.0.0.8", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.100.100.200", "0.0.0.0"),
    *("::1", "::", "fe80::1", "fd00::1", "ff02::1", "::ffff:127.0.0.1", "::127.0.0.1", "2002:7f00:1::"),
    *("64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2001:0:4136:e378:8000:63bf:80ff:fffe", "255.255.255.255"),
    *("192.88.99.1", "168.63.129.16", "198.18.0.1", "192.0.2.1", "240.0.0.1", "100.64.0.1", "224.0.0.1"),
    *("fec0::1", "3fff::1", "2001:db8::1", "ff0e::1", "::ffff:0:7f00:1", "fe80::1%eth0", "2002:a00:1::"),
]


async def test_name_of_a_private_address_is_refused(client: RunningClient, world: dict[str, list[str]]) -> None:
    for address in PRIVATE:
        world["innocent.example"] = [address]
        answer = await upload(client, "http://innocent.example:9/a.png")
        assert (answer["code"], answer["status"]) == (-1, "invaild media_path"), address
        assert "private network" in str(answer["reason"]), address
        assert urlfetch.is_public(address) is False, address


async def test_loopback_is_refused_in_any_spelling(client: RunningClient) -> None:
    for host in "127.0.0.1 localhost [::1] [::ffff:127.0.0.1] 0.0.0.0 2130706433 0x7f000001 127.1".split():
        assert "private network" in str((await upload(client, f"http://{host}:9/a.png"))["reason"]), host


@pytest.fixture
async def two_servers(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[int, list[str]]]:
    """One port on 127.0.0.1, treated as public, and on 127.0.0.2; and the hosts that were requested."""
    asked: list[str] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        asked.append(request.host)
        if request.path == "/a":
            raise web.HTTPFound(f"http://inside.example:{request.url.port}/b")
        return web.Response(body=PNG)

    monkeypatch.setattr(urlfetch, "may_be_asked", lambda one: ipaddress.ip_address(one).packed == b"\x7f\0\0\1")
    async with serving(serve, "127.0.0.1", "127.0.0.2") as port:
        yield port, asked


async def test_connected_address_is_checked(
    start: Start, monkeypatch: pytest.MonkeyPatch, two_servers: tuple[int, list[str]]
) -> None:
    """If an address passes the check of the name, the connection is closed without a request."""
    port, asked = two_servers

    async def resolve(
        _: object, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[dict[str, object]]:
        return [found_at(host, "127.0.0.2", port)]

    monkeypatch.setattr(urlfetch._PublicOnly, "resolve", resolve)
    client = await running(start)
    assert "private network" in str((await upload(client, f"http://odd.example:{port}/a"))["reason"])
    assert asked == []


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("http://[bad", "redirects to an invalid URL"),
        ("ftp://127.0.0.1/a", "only http:// and https://"),
        ("/a", "more than 5 redirects"),
    ],
)
async def test_redirects_that_lead_nowhere(start: Start, location: str, why: str) -> None:
    asked: list[str] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.Response(status=302, headers={"Location": location})

    client = await running(start, WXCLIENT_MEDIA_PRIVATE_URLS="1")
    async with serving(serve, "127.0.0.1") as port:
        answer = await upload(client, f"http://127.0.0.1:{port}/a")
    assert (answer["code"], answer["status"], why in str(answer["reason"])) == (-1, "invaild media_path", True)
    assert len(asked) == (6 if location == "/a" else 1)


async def test_name_by_the_server_and_no_proxy_of_the_environment(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        asked.append(request.host)
        return web.Response(body=PNG, headers={"Content-Disposition": 'attachment; filename="cat.png"'})

    async with serving(serve, "127.0.0.1", "127.0.0.2") as port:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.2:{port}")
        client = await running(start, WXCLIENT_MEDIA_PRIVATE_URLS="1")
        answer = await upload(client, f"http://127.0.0.3:{port}/a")
        assert "refused" in str(answer["reason"])
        answer = await upload(client, f"http://127.0.0.1:{port}/a")
    assert (answer["code"], answer["media_name"]) == (0, "cat.png")
    assert asked == [f"127.0.0.1:{port}"]


async def test_redirect_to_a_private_address_is_not_followed(
    client: RunningClient, two_servers: tuple[int, list[str]], world: dict[str, list[str]]
) -> None:
    port, asked = two_servers
    world.update({"web.example": ["127.0.0.1"], "inside.example": ["127.0.0.2"]})
    assert (await upload(client, f"http://web.example:{port}/b"))["code"] == 0
    assert "private network" in str((await upload(client, f"http://web.example:{port}/a"))["reason"])
    assert asked == [f"web.example:{port}"] * 2


def test_own_and_private_addresses_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's own public addresses are refused: a firewall may protect what listens on them."""
    # The last one is 93.184.216.34 behind NAT64.
    assert all(map(urlfetch.may_be_asked, ("93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822")))
    assert not urlfetch.may_be_asked("10.0.0.8")
    monkeypatch.setattr(urlfetch, "is_public", lambda _: True)
    assert not any(urlfetch.may_be_asked(own) for own in ("127.0.0.1", "::1"))


async def test_password_of_a_url_is_never_shown(
    start: Start, webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    client = await running(start, MOJO_WEIXIN_PLUGIN_OPENWX_POST_API=webhook.address)
    url = "http://user:hunter2@127.0.0.1:1/a.png"
    answer = await client.get("send_friend_message", id="@ann", media_path=url)
    [report] = await webhook.messages()
    assert "hunter2" not in f"{answer}{report}{caplog.text}"
    assert report["media_path"] == "http://127.0.0.1:1/a.png"
    assert os.listdir(client.paths.media("alice")) == []  # noqa: PTH208


async def test_large_file_is_refused_without_a_copy(start: Start, tmp_path: Path) -> None:
    big = tmp_path / "big.iso"
    with big.open("wb") as stream:
        stream.truncate(5 << 30)  # sparse: it takes no space
    client = await running(start, WXCLIENT_MEDIA_PATHS=str(tmp_path))
    answer = obj(await client.get("send_friend_message", id="@ann", media_path=str(big)))
    assert (answer["code"], answer["status"]) == (-1, "media size exceed, maximum size is 20971520 bytes")
    assert not client.paths.media("alice").exists()
