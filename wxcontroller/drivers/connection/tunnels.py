"""Connections to WeChat through a proxy: aiohttp-socks' connector, and SOCKS5 by python-socks.

Every connection is a tunnel, also to a server without TLS in WeChat's place: the proxy gets a host and a port and
passes bytes. Imported only for an account that has a proxy: memory is multiplied by hundreds.

CONNECT is implemented here. python-socks 2.7 reads the proxy's answer once, so that the rest of a head in two pieces
ends up in the TLS handshake (``test_whole_session_uses_the_proxy[http]``); it sends user and password in Latin-1
only, and checks the certificate of an https proxy against the address that it connects to, which is not one of the
name's.

So are the errors, which name proxy, target and remedy (``test_refusals_name_proxy_and_target``), and the attempts,
one for each address of the proxy's name, which our own resolver finds without blocking anything.
"""

import asyncio
import base64
import errno
import os
import re
import socket
import ssl

from aiohttp.client_proto import ResponseHandler
from aiohttp_socks import ProxyConnector
from python_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError, ProxyType
from python_socks.async_.asyncio.v2 import Proxy as SocksProxy

from wxcontroller.core.errors import reason_of
from wxcontroller.core.net.egress import Proxy, ProxyKind
from wxcontroller.core.net.resolver import Resolver
from wxcontroller.core.text.templates import N_, Text, Value
from wxcontroller.drivers.connection.failures import TunnelFailed

_NOT_ALLOWED = 2  # reply of SOCKS5: by its rules (RFC 1928, 6)
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: |\r\n)")
_ITS_NETWORK = N_("check its network and DNS")


class Tunnels(ProxyConnector):
    """Opens connections through one proxy. Names are resolved by the proxy, never here."""

    def __init__(
        self, proxy: Proxy, *, server: str = "", tls: ssl.SSLContext | None, limit: int, keepalive_timeout: float
    ) -> None:
        """``server``: the address to ask the proxy for in place of each host.

        ``tls`` is for WeChat and for an https proxy; None: the system's certificates.
        """
        super().__init__(
            proxy.host,
            proxy.port,
            ssl=tls if tls is not None else True,
            limit=limit,
            keepalive_timeout=keepalive_timeout,
        )
        self._way = proxy
        self._server = server
        self._names = Resolver()
        self._tls_to_proxy = (tls or ssl.create_default_context()) if proxy.kind is ProxyKind.HTTPS else None

    async def _connect_via_proxy(
        self, host: str, port: int, ssl: ssl.SSLContext | None = None, timeout: float | None = None
    ) -> tuple[asyncio.Transport, ResponseHandler]:
        attempt = _Attempt(self._way, self._server or host, port, self._tls_to_proxy, self._names)
        try:
            async with asyncio.timeout(timeout):
                writer = await attempt.open()
                try:
                    if ssl is not None:
                        await tls_with(host, writer, ssl, self._way)
                except BaseException:
                    writer.transport.abort()
                    raise
        except TimeoutError:
            raise attempt.late() from None
        transport = writer.transport
        assert isinstance(transport, asyncio.Transport)
        # As aiohttp's connector creates it: the tunnel is open and, with TLS, authenticated.
        protocol = _Kept(asyncio.get_running_loop(), writer)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        return transport, protocol


class _Kept(ResponseHandler):
    """Holds the writer: it would close its connection when it is forgotten."""

    def __init__(self, loop: asyncio.AbstractEventLoop, writer: asyncio.StreamWriter) -> None:
        super().__init__(loop)
        self._writer = writer


class _NotConnected(Exception):
    """One address of the proxy accepts no connection."""

    def __init__(self, problem: OSError) -> None:
        super().__init__(str(problem))
        self.problem = problem


class _Attempt:
    """One try to open a tunnel to ``host`` and ``port``."""

    def __init__(self, proxy: Proxy, host: str, port: int, tls: ssl.SSLContext | None, names: Resolver) -> None:
        self._proxy = proxy
        self._host = host
        self._port = port
        self._tls = tls
        self._names = names
        self._asked = False

    @property
    def _target(self) -> str:
        return f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"

    def late(self) -> TunnelFailed:
        """Return what to raise when time ran out."""
        if self._asked:
            return self._failed(
                N_("the proxy {proxy} did not connect to {target} in time"),
                N_("check that it runs and may connect there"),
            )
        return unreachable(self._proxy, Text("no answer in time"))

    def _failed(self, what: str, remedy: str, **values: Value) -> TunnelFailed:
        return TunnelFailed(what, remedy, proxy=str(self._proxy), target=self._target, **values)

    async def open(self) -> asyncio.StreamWriter:
        """Try each address of the proxy in turn. Raises TunnelFailed. The caller limits the time."""
        way = self._socks if self._proxy.kind is ProxyKind.SOCKS5 else self._connect
        problem = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        try:
            found = await self._names.resolve(self._proxy.host, self._proxy.port, socket.AF_UNSPEC)
        except OSError as error:
            raise unreachable(self._proxy, words(error)) from None
        for address in found:
            try:
                return await way(address["host"])
            except _NotConnected as error:
                problem = error.problem
        raise unreachable(self._proxy, words(problem))

    async def _connect(self, address: str) -> asyncio.StreamWriter:
        proxy, name = self._proxy, self._proxy.host if self._tls else None
        try:
            reader, writer = await asyncio.open_connection(address, proxy.port, ssl=self._tls, server_hostname=name)
        except ssl.SSLCertVerificationError:
            raise TunnelFailed(
                N_("the certificate of the proxy {proxy} is not trusted"),
                N_("use the name it was issued for, or set the option ca_file to its CA"),
                proxy=str(proxy),
            ) from None
        except ssl.SSLError:
            raise TunnelFailed(
                N_("the proxy {proxy} does not support TLS"),
                N_("check whether it is an http:// proxy"),
                proxy=str(proxy),
            ) from None
        except OSError as problem:
            raise _NotConnected(problem) from None
        self._asked = True
        try:
            writer.write(self._question())
            head = await reader.readuntil(b"\r\n\r\n")
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()
            raise wrong_protocol(proxy) from None
        except BaseException:
            writer.transport.abort()
            raise
        status = _STATUS.match(head)
        if status is not None and status[1].startswith(b"2"):
            return writer
        writer.transport.abort()
        raise self._refused(int(status[1]) if status else 0)

    def _question(self) -> bytes:
        lines = [f"CONNECT {self._target} HTTP/1.1", f"Host: {self._target}"]
        if self._proxy.user:
            secret = f"{self._proxy.user}:{self._proxy.password}".encode()
            lines.append(f"Proxy-Authorization: Basic {base64.b64encode(secret).decode()}")
        return "\r\n".join([*lines, "", ""]).encode("ascii", "replace")

    def _refused(self, status: int) -> TunnelFailed:
        if status in (401, 407):  # 401 is tinyproxy's answer to a wrong password
            return credentials_refused(self._proxy, f"HTTP {status}")
        if status in (502, 503, 504):
            return self._failed(
                N_("the proxy {proxy} cannot connect to {target} (HTTP {status})"), _ITS_NETWORK, status=status
            )
        if status:
            return self._failed(
                N_("the proxy {proxy} refuses to connect to {target} (HTTP {status})"),
                N_("allow CONNECT to that port in the proxy"),
                status=status,
            )
        return wrong_protocol(self._proxy)

    async def _socks(self, address: str) -> asyncio.StreamWriter:
        proxy = self._proxy
        way = SocksProxy(ProxyType.SOCKS5, address, proxy.port, proxy.user, proxy.password, rdns=True)
        self._asked = True  # one call does it all: an address that is silent shows as the same
        try:
            stream = await way.connect(self._host, self._port, timeout=3600)  # the caller minds the time
        except ProxyConnectionError as problem:
            reason = problem.__cause__ if isinstance(problem.__cause__, OSError) else OSError(str(problem))
            raise _NotConnected(reason) from None
        except ProxyError as problem:
            raise self._refused_by_socks(problem) from None
        except (OSError, EOFError, ValueError) as problem:
            if isinstance(problem, ProxyTimeoutError):
                raise
            raise TunnelFailed(
                N_("the proxy {proxy} closes the connection"),
                N_("check that it is a SOCKS5 proxy, and that user and password are correct"),
                proxy=str(proxy),
            ) from None
        writer: asyncio.StreamWriter = stream.writer
        return writer

    def _refused_by_socks(self, problem: ProxyError) -> TunnelFailed:
        if problem.error_code == _NOT_ALLOWED:
            return self._failed(N_("the proxy {proxy} does not allow connections to {target}"), N_("allow it"))
        if problem.error_code is not None:
            return self._failed(
                N_("the proxy {proxy} cannot connect to {target}: {problem}"),
                _ITS_NETWORK,
                problem=reason_of(problem),
            )
        if "authentication" in str(problem):
            return credentials_refused(self._proxy, "SOCKS5")
        return wrong_protocol(self._proxy)


async def tls_with(host: str, writer: asyncio.StreamWriter, context: ssl.SSLContext, proxy: Proxy) -> None:
    try:
        await writer.start_tls(context, server_hostname=host)
    except ssl.SSLCertVerificationError:
        raise TunnelFailed(
            N_("the certificate of {host}, seen through the proxy {proxy}, is not trusted"),
            N_("check this machine's clock, and whether the proxy intercepts TLS"),
            host=host,
            proxy=str(proxy),
        ) from None
    except (ssl.SSLError, OSError):
        raise TunnelFailed(
            N_("the proxy {proxy} does not pass TLS to {host}"),
            N_("check that it is allowed to"),
            proxy=str(proxy),
            host=host,
        ) from None


def credentials_refused(proxy: Proxy, how: str) -> TunnelFailed:
    if proxy.user:
        what, remedy = (
            N_("the proxy {proxy} does not accept user and password ({how})"),
            N_("correct them in the option proxy, or in /etc/wxcontroller/credentials/NAME.proxy if it exists"),
        )
    else:
        what, remedy = (
            N_("the proxy {proxy} asks for user and password ({how})"),
            N_("put them into the option proxy, or into /etc/wxcontroller/credentials/NAME.proxy if it exists"),
        )
    return TunnelFailed(what, remedy, proxy=str(proxy), how=how)


def unreachable(proxy: Proxy, why: Text) -> TunnelFailed:
    return TunnelFailed(
        N_("the proxy {proxy} cannot be reached: {why}"),
        N_(
            "check that it runs, or correct the option proxy, or "
            "/etc/wxcontroller/credentials/NAME.proxy if it exists"
        ),
        proxy=str(proxy),
        why=why,
    )


def wrong_protocol(proxy: Proxy) -> TunnelFailed:
    what = (
        N_("the proxy {proxy} does not answer as a SOCKS5 proxy does")
        if proxy.kind is ProxyKind.SOCKS5
        else N_("the proxy {proxy} does not answer as an HTTP proxy does")
    )
    return TunnelFailed(what, N_("check whether it is an http or a socks5 proxy"), proxy=str(proxy))


def words(problem: OSError) -> Text:
    if problem.errno is not None and problem.errno > 0:
        # asyncio's text repeats the address
        return reason_of(OSError(problem.errno, os.strerror(problem.errno)))
    return reason_of(problem)
