"""The users behind TCP sockets of this machine, from the kernel's table in /proc/self/net.

A port says nothing about its owner: any program may bind a free one. The table has the user of each socket. In a user
namespace of its own (``PrivateUsers=yes``) a process reads 65534 for all other users; the controller has one with
their true numbers (``PrivateUsers=identity``).

The other end of a connection has an owner only once its program has accepted it: before, the table shows no inode,
and as user 0 or the one who listens, which depends on the kernel.
"""

import os
import pwd
import socket
import sys
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from wxcontroller.core.names import is_instance, unit_of
from wxcontroller.core.paths import Paths
from wxcontroller.core.text.templates import N_, Text

# Programs that listen on :: have the connections of 127.0.0.1, too, in the second table.
TABLES = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))
# 200,000 sockets; the table of a busy host has a few thousand.
_MAX_BYTES = 32 << 20
_PART = 256 << 10
_LISTENING = b"0A"
_ANY4, _ANY6 = b"00000000", b"0" * 32
Address: TypeAlias = tuple[str, int]


# A connection of this machine: the addresses of this end and of the other one, both IPv4.
Pair: TypeAlias = tuple[Address, Address]


def owners_of_other_ends(pairs: Collection[Pair]) -> dict[Pair, int]:
    """Return the users of the sockets at the other ends of connections, those that are accepted.

    Reads a table whose length is that of all connections: call it in a thread. Raises OSError.
    """
    found: dict[Pair, int] = {}
    for table, mapped in zip(TABLES, (b"", b"0000000000000000" + _word(b"\0\0\xff\xff")), strict=True):
        sought = {
            (mapped + _address(other), mapped + _address(ours)): (ours, other)
            for ours, other in pairs
            if (ours, other) not in found
        }
        if not sought:
            break
        for line in _lines(table):
            fields = line.split(None, 3)
            if len(fields) == 4 and (pair := sought.get((fields[1], fields[2]))) is not None:
                fields = line.split()
                if fields[9] != b"0":
                    found[pair] = int(fields[7])
    return found


def listeners() -> Mapping[int, frozenset[int]]:
    """Return the users who listen on 127.0.0.1 or on all addresses, by port. Raises OSError."""
    found: defaultdict[int, set[int]] = defaultdict(set)
    mapped = b"0000000000000000" + _word(b"\0\0\xff\xff")
    here = {_ANY4, _ANY6, _word(socket.inet_aton("127.0.0.1")), mapped + _word(socket.inet_aton("127.0.0.1"))}
    for table in TABLES:
        for line in _lines(table):
            fields = line.split()
            if len(fields) > 9 and fields[3] == _LISTENING:
                address, _, port = fields[1].partition(b":")
                if address in here:
                    found[int(port, 16)].add(int(fields[7]))
    return {port: frozenset(users) for port, users in found.items()}


def program_of(uid: int, paths: Paths) -> Text:
    """Return words for the program of a user: the unit of an account, or the user's name."""
    try:
        with os.scandir(paths.client_runtime) as entries:
            for entry in entries:
                if is_instance(entry.name) and entry.stat(follow_symlinks=False).st_uid == uid:
                    return Text(N_("unit {unit}"), unit=unit_of(entry.name))
    except OSError:
        pass
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return Text(N_("a program of user {user}"), user=name)


def _lines(table: Path) -> Iterator[bytes]:
    """Yield the lines of a table, as far as it is read."""
    try:
        with table.open("rb", buffering=0) as stream:
            rest, total = b"", 0
            while total < _MAX_BYTES and (part := stream.read(_PART)):
                total += len(part)
                *lines, rest = (rest + part).split(b"\n")
                yield from lines
    except FileNotFoundError:  # no IPv6
        return


def _address(address: Address) -> bytes:
    host, port = address
    return b"%b:%04X" % (_word(socket.inet_aton(host)), port)


def _word(four: bytes) -> bytes:
    """Return four bytes as the table shows them: as a number of this machine."""
    return b"%08X" % int.from_bytes(four, sys.byteorder)
