"""Distinguishes addresses of this machine alone from those that other machines reach."""

import ipaddress
import socket
from collections.abc import Iterable
from functools import lru_cache
from typing import TypeAlias

Ip: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def is_local(listening: socket.socket) -> bool:
    """Return whether only this machine can reach a listening socket: on a loopback address or a path."""
    return is_loopback(listening.getsockname())


def is_loopback(address: object) -> bool:
    """Return whether an address as sockets give it is one of loopback, or a path in the file system."""
    if isinstance(address, str | bytes):
        return True
    ip = ip_of(address)
    return ip is not None and ip.is_loopback


def is_loopback_host(host: str) -> bool:
    """Return whether a host in a URL is this machine's loopback."""
    return host == "localhost" or is_loopback((host,))


def host_in(address: object) -> str:
    """Return the host in an address as sockets give it, "" for a path in the file system."""
    return address[0] if isinstance(address, tuple) and address and isinstance(address[0], str) else ""


def ip_of(address: object) -> Ip | None:
    """Return the IP address in an address as sockets give it, IPv4 for a mapped one; None for all others."""
    return parse_ip(host_in(address))


def is_within(address: object, networks: Iterable[Network]) -> bool:
    """Return whether an address as sockets give it is in one of these networks."""
    ip = ip_of(address)
    return ip is not None and any(ip in network for network in networks)


@lru_cache(maxsize=1024)
def parse_ip(written: str) -> Ip | None:
    """Parse an IP address, a mapped one as IPv4; None for anything else."""
    try:
        ip = ipaddress.ip_address(written.partition("%")[0])
    except ValueError:
        return None
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return mapped or ip


def shown(listening: socket.socket) -> str:
    """Return a listening socket's address as text."""
    name = listening.getsockname()
    return f"{name[0]} port {name[1]}" if isinstance(name, tuple) else str(name)
