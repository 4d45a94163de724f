"""etcd 3.5 through its JSON gateway: leases, transactions, reads and watches.

Each request takes at most two seconds at one member; when it fails, the next member is tried at once, and stays the
first until it fails. A transaction that may have been done at a member that gave no answer is repeated such that the
answer tells whether the first one was.

Keys are text here; other keys below a prefix are foreign, and ignored. The caller interprets the values.
"""

import asyncio
import base64
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import aiohttp

from wxcontroller.core.config.fleetsettings import EtcdSettings
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import (
    JsonObject,
    JsonValue,
    field,
    integer,
    items,
    kept_json,
    obj,
    one_line,
    read_json,
    text,
)
from wxcontroller.core.net.resolver import Resolver
from wxcontroller.core.text.templates import N_, NOTHING, Text, verbatim
from wxcontroller.fleet.credentials import PeerCredentials, connection_reason

log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")
# At one member: the next one is tried at once.
REQUEST_SECONDS = 2.0
# A hanging member is silent, too: the watch moves to the next one, which costs one request.
WATCH_SILENCE = 60.0
# Requests have a time limit of asyncio: a cancellation in the moment in which one of aiohttp's ends would be lost.
_UNLIMITED = aiohttp.ClientTimeout()
# A member forgets a token that was not used there for 300 s; use at other members does not count.
_TOKEN_SECONDS = 120.0
_PAGE = 500
# Keys and values of a page, at most 1 kB each, with a margin for foreign keys below the prefix.
_ANSWER_BYTES = 32 << 20
# Of a member's status, which has a few hundred.
_STATUS_BYTES = 64 << 10
# Of JSON in which each value is one string.
_DEPTH = 12
# gRPC's codes.
_UNKNOWN, _NOT_FOUND, _PERMISSION_DENIED, _EXHAUSTED, _UNAVAILABLE, _UNAUTHENTICATED = 2, 5, 7, 8, 14, 16
# Failures that another member may not have: cancelled, unknown, deadline exceeded, aborted, internal, unavailable.
_ELSEWHERE = (1, _UNKNOWN, 4, 10, 13, _UNAVAILABLE)
_CHECK_MEMBERS = N_("check the members: etcdctl endpoint status --cluster; journalctl -u etcd")
_REMEDIES = {
    _UNAUTHENTICATED: N_("check user and password of [fleet.etcd]"),
    _PERMISSION_DENIED: N_("grant the role of the user reading and writing below the prefix of the fleet"),
    _EXHAUSTED: N_("compact and defragment etcd, then: etcdctl alarm disarm"),
}


class EtcdFailure(WxError):
    """etcd gave no usable answer: the last failed member, the reason and the remedy."""

    code = "etcd-unreachable"
    status = 503
    exit_code = 3

    def __init__(self, endpoint: str, reason: Text, grpc_code: int = _UNAVAILABLE, unsure: bool = True) -> None:
        """``unsure``: the request may still have been carried out, unless the code excludes it."""
        remedy = Text(_REMEDIES.get(grpc_code, _CHECK_MEMBERS))
        super().__init__(N_("etcd at {endpoint} failed: {reason}"), remedy, endpoint=endpoint, reason=reason)
        self.endpoint = endpoint
        self.reason = reason
        self.grpc_code = grpc_code
        # Not a result of the request.
        self.unsure = unsure and grpc_code in _ELSEWHERE


class Compacted(Exception):
    """A watch began at a revision that etcd does not have, no longer or not yet: read everything, and watch from
    there."""


@dataclass(frozen=True, slots=True)
class EtcdEntry:
    """A key in etcd. ``lease`` is 0 without one."""

    key: str
    value: bytes
    mod_revision: int
    lease: int


@dataclass(frozen=True, slots=True)
class EtcdMoment:
    """A moment in the history of an etcd, from reads; "" and 0 for an unknown one.

    Term and revision only grow. After ``etcdctl snapshot restore`` the revision is that of the snapshot, and the term
    2. The id of the cluster follows from the addresses of its members and the token: it changes if the token does.
    """

    cluster: str = ""
    term: int = 0
    revision: int = 0

    def follows(self, earlier: "EtcdMoment") -> bool:
        """Return whether it can follow a moment; if not, etcd was restored or rebuilt in between."""
        same = self.cluster == earlier.cluster or not earlier.cluster
        return same and self.term >= earlier.term and self.revision >= earlier.revision

    def joined(self, other: "EtcdMoment") -> "EtcdMoment":
        """Return the later one of two moments of a history; this one, if they are not of one history."""
        if self.cluster and other.cluster not in ("", self.cluster):
            return self
        cluster = self.cluster or other.cluster
        return EtcdMoment(cluster, max(self.term, other.term), max(self.revision, other.revision))

    def as_json(self) -> JsonObject:
        return {"cluster": self.cluster, "term": self.term, "revision": self.revision}

    @classmethod
    def read(cls, file: Path) -> "EtcdMoment":
        """Return what ``as_json`` has in a file, an unknown moment without one. Raises OSError."""
        try:
            content = kept_json(file.read_bytes())
        except FileNotFoundError:
            return cls()
        return cls(text(content.get("cluster")), integer(content.get("term")), integer(content.get("revision")))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Keys and their values at a moment."""

    entries: tuple[EtcdEntry, ...]
    moment: EtcdMoment

    @property
    def revision(self) -> int:
        return self.moment.revision


@dataclass(frozen=True, slots=True)
class EtcdChanges:
    """The changes up to a revision: the last state of each key."""

    revision: int
    puts: tuple[EtcdEntry, ...]
    deleted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EtcdMember:
    """A member, and why it cannot be used, NOTHING if it can. ``behind`` is how many entries of etcd's log it has not
    applied yet, None if it does not respond.
    """

    reason: Text = NOTHING
    is_leader: bool = False
    behind: int | None = None


@dataclass(frozen=True, slots=True)
class EtcdGuard:
    """A condition of a transaction: the key was last changed at this revision, 0: there is no such key."""

    key: str
    mod_revision: int


@dataclass(frozen=True, slots=True)
class Put:
    """A key to write, under a lease unless that is 0."""

    key: str
    value: bytes
    lease: int = 0


class Etcd:
    """The members of one etcd. Use as an async context manager."""

    def __init__(
        self, settings: EtcdSettings, credentials: PeerCredentials, request_seconds: float = REQUEST_SECONDS
    ) -> None:
        self._settings = settings
        self._credentials = credentials
        self._endpoints = [endpoint.rstrip("/") for endpoint in settings.endpoints]
        self._seconds = request_seconds
        self._token = ""
        self._token_until = 0.0
        self._reported: set[bytes] = set()

    async def __aenter__(self) -> "Etcd":
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._credentials.tls, resolver=Resolver()),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def members(self) -> dict[str, EtcdMember]:
        """Return all members of the settings by URL. Raises nothing."""
        endpoints = self._settings.endpoints
        found = await asyncio.gather(*map(self._status, endpoints))
        latest = max(integer(status.get("raftIndex")) for _, status in found)
        return {
            endpoint: EtcdMember(
                reason,
                text(status.get("leader"), "-") == text(field(status.get("header"), "member_id")),
                max(0, latest - integer(status.get("raftAppliedIndex"))) if status else None,
            )
            for endpoint, (reason, status) in zip(endpoints, found, strict=True)
        }

    async def certificate_ends(self) -> dict[str, int]:
        """Return when the certificates for etcd end, as far as is known: by setting, or URL of a member."""
        own = {"certificate": self._credentials.own_end(), "ca_file": self._credentials.authority_end()}
        urls = self._settings.endpoints
        found = await asyncio.gather(*(self._credentials.server_end(url, self._seconds) for url in urls))
        return {of: end for of, end in {**own, **dict(zip(urls, found, strict=True))}.items() if end}

    async def _status(self, endpoint: str) -> tuple[Text, JsonObject]:
        """Return why one member cannot be used, and its status, {} if it does not respond.

        It is asked itself: ``_call`` passes over those that do not respond.
        """
        try:
            async with (
                asyncio.timeout(self._seconds),
                await self._post(endpoint, "/v3/maintenance/status", {}) as response,
            ):
                status = await _answer(endpoint, response, _STATUS_BYTES)
        except (aiohttp.ClientError, OSError) as problem:
            return connection_reason(problem, self._credentials), {}
        except EtcdFailure as failure:
            return failure.reason, {}
        if status.get("isLearner") is True:
            return Text(N_("it is a learner, which serves no requests and has no vote")), status
        # Such as a member without a leader, or without space.
        errors = "; ".join(map(one_line, items(status.get("errors"))))[:200]
        return verbatim(errors) if errors else NOTHING, status

    async def grant(self, seconds: int) -> int:
        """Create a lease that ends after this many seconds without renewal; return its id. Raises EtcdFailure."""
        return integer((await self._call("/v3/lease/grant", {"TTL": str(seconds)})).get("ID"))

    async def renew(self, lease: int) -> int:
        """Renew a lease; return its remaining seconds, 0 if it has ended. Raises EtcdFailure."""
        # A stream, of which only one answer is read.
        answer = await self._call("/v3/lease/keepalive", {"ID": str(lease)})
        return integer(answer.get("TTL"))

    async def revoke(self, lease: int) -> None:
        """Revoke a lease and its keys; an ended one is no error. Raises EtcdFailure."""
        try:
            await self._call("/v3/lease/revoke", {"ID": str(lease)})
        except EtcdFailure as problem:
            if problem.grpc_code != _NOT_FOUND:
                raise

    async def read(self, prefix: str) -> Snapshot:
        """Return all keys with the prefix, as they were at one moment after the call. Raises EtcdFailure."""
        entries: list[EtcdEntry] = []
        start, moment = prefix.encode(), EtcdMoment()
        while True:
            request = {**_range(start, prefix), "limit": str(_PAGE)}
            if moment.revision:
                # All pages at the revision of the first, so that accounts that change owners meanwhile appear once.
                request["revision"] = str(moment.revision)
            answer = await self._call("/v3/kv/range", request)
            if not moment.revision:
                header = obj(answer.get("header"))
                cluster, term = one_line(header.get("cluster_id"))[:40], integer(header.get("raft_term"))
                moment = EtcdMoment(cluster, term, _revision(answer))
            found = items(answer.get("kvs"))
            entries += filter(None, map(self._entry, found))
            if not answer.get("more") or not found:
                return Snapshot(tuple(entries), moment)
            start = _bytes(field(found[-1], "key")) + b"\0"

    async def commit(
        self, guards: Sequence[EtcdGuard], puts: Sequence[Put], deletes: Sequence[str] = ()
    ) -> int | None:
        """Write and delete keys if all guards hold, at once; return the revision, or None if a guard does not hold.

        At most 128 of each. Raises EtcdFailure.
        """
        keys = [*(put.key for put in puts), *deletes]
        success: list[JsonValue] = [
            {
                "request_put": {
                    "key": _text(put.key.encode()),
                    "value": _text(put.value),
                    **({"lease": str(put.lease)} if put.lease else {}),
                }
            }
            for put in puts
        ]
        success += [{"request_delete_range": {"key": _text(key.encode())}} for key in deletes]
        request: JsonObject = {
            "compare": [
                {
                    **{"key": _text(guard.key.encode()), "target": "MOD", "result": "EQUAL"},
                    "mod_revision": str(guard.mod_revision),
                }
                for guard in guards
            ],
            "success": success,
            # The keys if not all guards hold.
            "failure": [{"request_range": {"key": _text(key.encode())}} for key in keys],
        }
        unsure: list[EtcdFailure] = []
        answer = await self._call("/v3/kv/txn", request, unsure)
        if answer.get("succeeded") is True:
            return _revision(answer)
        if not unsure:
            return None
        # A member that gave no answer has perhaps done it: then the keys are as they were to be.
        found = [
            entry
            for response in items(answer.get("responses"))
            for raw in items(obj(field(response, "response_range")).get("kvs"))
            if (entry := self._entry(raw)) is not None
        ]
        if {(each.key, each.value, each.lease) for each in found} != {(p.key, p.value, p.lease) for p in puts}:
            return None
        return max((each.mod_revision for each in found), default=_revision(answer))

    async def watch(self, prefix: str, after: int) -> AsyncGenerator[EtcdChanges]:
        """Yield the changes of keys with the prefix after a revision, as they happen.

        Raises Compacted, and EtcdFailure when the connection breaks or no member can be reached: watch again after
        the last revision.
        """
        while True:
            request: JsonObject = {**_range(prefix.encode(), prefix), "start_revision": str(after + 1)}
            endpoint, response = await self._anywhere(partial(self._begin_watch, {"create_request": request}))
            try:
                async with response:
                    async for line in _lines(response):
                        answer = _object(endpoint, line)
                        if answer.get("created") is True and _revision(answer) < after:
                            raise Compacted  # restored, and silent until it reaches this revision again
                        changes = self._changes(endpoint, answer)
                        if changes is not None:
                            after = changes.revision
                            yield changes
                    raise aiohttp.ServerDisconnectedError
            except aiohttp.SocketTimeoutError:
                self._turn()
            except (aiohttp.ClientError, OSError) as problem:
                self._turn()
                raise self._unreached(endpoint, problem) from None

    async def _begin_watch(self, request: JsonObject, endpoint: str) -> tuple[str, aiohttp.ClientResponse]:
        timeout = aiohttp.ClientTimeout(sock_read=WATCH_SILENCE)
        try:
            async with asyncio.timeout(self._seconds):
                return endpoint, await self._post(endpoint, "/v3/watch", request, timeout)
        except TimeoutError as problem:
            raise self._unreached(endpoint, problem) from None

    def _changes(self, endpoint: str, answer: JsonObject) -> EtcdChanges | None:
        """Return the content of a watch's answer, None if it is empty. Raises Compacted and EtcdFailure."""
        if integer(answer.get("compact_revision")):
            raise Compacted
        if answer.get("canceled"):
            words = one_line(answer.get("cancel_reason"))[:200]
            raise EtcdFailure(
                endpoint, verbatim(words), _PERMISSION_DENIED if "permission" in words else _UNAVAILABLE
            )
        last: dict[str, EtcdEntry | None] = {}
        revision = 0
        for event in items(answer.get("events")):
            raw = obj(field(event, "kv"))
            revision = max(revision, integer(raw.get("mod_revision")))
            entry = self._entry(raw)
            if entry is not None:
                last[entry.key] = None if field(event, "type") == "DELETE" else entry
        if not revision:
            return None
        puts = tuple(each for each in last.values() if each is not None)
        return EtcdChanges(revision, puts, tuple(key for key, each in last.items() if each is None))

    def _entry(self, raw: JsonValue) -> EtcdEntry | None:
        """Return a key and its value, None for a key that is no text, which is logged once."""
        raw = obj(raw)
        key = _bytes(raw.get("key"))
        try:
            name = key.decode()
        except UnicodeDecodeError:
            if key not in self._reported:
                self._reported.add(key)
                log.warning("etcd: ignored a key that is not UTF-8 text: %r", key[:200])
            return None
        value, lease = _bytes(raw.get("value")), integer(raw.get("lease"))
        return EtcdEntry(name, value, integer(raw.get("mod_revision")), lease)

    async def _call(self, path: str, body: JsonObject, unsure: list[EtcdFailure] | None = None) -> JsonObject:
        """Return the answer of the first member that responds. Raises EtcdFailure. ``unsure`` collects the failures
        of members that may have carried out the request.
        """

        async def ask(endpoint: str) -> JsonObject:
            try:
                async with asyncio.timeout(self._seconds), await self._post(endpoint, path, body) as response:
                    return await _answer(endpoint, response)
            except (aiohttp.ClientError, OSError) as problem:
                raise self._unreached(endpoint, problem) from None
            except EtcdFailure as failure:
                if failure.unsure and unsure is not None:
                    unsure.append(failure)
                raise

        return await self._anywhere(ask)

    async def _anywhere(self, attempt: Callable[[str], Awaitable[_Answer]]) -> _Answer:
        """Make an attempt at one member after the other until one succeeds. Raises the last EtcdFailure."""
        for is_last in (*[False] * (len(self._endpoints) - 1), True):
            try:
                return await attempt(self._endpoints[0])
            except EtcdFailure as failure:
                # Every member would answer the same.
                if failure.grpc_code not in _ELSEWHERE:
                    raise
                self._turn()
                if is_last:
                    raise
        raise AssertionError("settings name at least one member")

    def _unreached(self, endpoint: str, problem: Exception) -> EtcdFailure:
        # Without a connection, no request was sent.
        unsure = not isinstance(problem, aiohttp.ClientConnectorError)
        return EtcdFailure(endpoint, connection_reason(problem, self._credentials), unsure=unsure)

    def _turn(self) -> None:
        """Use the next member first from now on."""
        self._endpoints.append(self._endpoints.pop(0))

    async def _post(
        self, endpoint: str, path: str, body: JsonObject, timeout: aiohttp.ClientTimeout = _UNLIMITED
    ) -> aiohttp.ClientResponse:
        """Send a request to a member; return the head of its response. Raises EtcdFailure."""
        for is_last in (False, True):
            try:
                return await self._send(endpoint, path, body, timeout, await self._authorization(endpoint))
            except EtcdFailure as failure:
                if failure.grpc_code != _UNAUTHENTICATED or is_last or not self._token:
                    raise
                # The token may have expired (see _TOKEN_SECONDS): retry with a new one.
                self._token = ""
        raise AssertionError("the last try returns or raises")

    async def _send(
        self, endpoint: str, path: str, body: JsonObject, timeout: aiohttp.ClientTimeout, token: str = ""
    ) -> aiohttp.ClientResponse:
        # A member without quorum refuses instead of answering from outdated data or hanging.
        headers = {"Grpc-Metadata-hasleader": "true", **({"Authorization": token} if token else {})}
        try:
            response = await self._session.post(
                f"{endpoint}{path}", json=body, headers=headers, timeout=timeout, allow_redirects=False
            )
            if response.status != 200:
                async with response:
                    await _answer(endpoint, response)
        except (aiohttp.ClientError, OSError) as problem:
            raise self._unreached(endpoint, problem) from None
        return response

    async def _authorization(self, endpoint: str) -> str:
        """Return the token of the settings' user, "" without one. Raises EtcdFailure."""
        if self._settings.user and (not self._token or time.monotonic() > self._token_until):
            body: JsonObject = {"name": self._settings.user, "password": self._credentials.secret}
            self._token = ""
            try:
                async with await self._send(endpoint, "/v3/auth/authenticate", body, _UNLIMITED) as response:
                    answer = await _answer(endpoint, response)
            except EtcdFailure as failure:
                if failure.grpc_code in _ELSEWHERE:
                    raise
                raise EtcdFailure(endpoint, failure.reason, _UNAUTHENTICATED) from None
            self._token, self._token_until = text(answer.get("token")), time.monotonic() + _TOKEN_SECONDS
        return self._token


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Yield the lines of a response that are not empty. Raises aiohttp's errors, and when it ends within a line."""
    rest = b""
    async for piece in response.content.iter_any():
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line:
                yield line
        if len(rest) > _ANSWER_BYTES:
            raise aiohttp.ClientPayloadError
    if rest:
        yield rest


async def _answer(endpoint: str, response: aiohttp.ClientResponse, limit: int = _ANSWER_BYTES) -> JsonObject:
    """Return the one answer in a response. Raises EtcdFailure, and aiohttp's errors."""
    raw = bytearray()
    async for piece in response.content.iter_any():
        raw += piece
        if len(raw) > limit:
            raise EtcdFailure(endpoint, Text(N_("its response is not that of etcd")))
    return _object(endpoint, bytes(raw), response.status)


def _object(endpoint: str, raw: bytes, status: int = 200) -> JsonObject:
    """Return the answer in a JSON text, which streams wrap in another object. Raises EtcdFailure."""
    words = ""
    try:
        answer = obj(read_json(raw, _DEPTH))
    except ValueError:
        answer = {}
        # For example for a certificate with a common name.
        words = "" if raw.startswith(b"<") else one_line(raw.decode("utf-8", "replace"))
    if "error" in answer or status != 200:
        # A stream has an object there; a single answer is an object itself, with or without a text there.
        problem = obj(answer.get("error")) or answer
        words = (one_line(problem.get("message")) or words)[:200] or f"HTTP status {status}"
        raise EtcdFailure(
            endpoint, verbatim(words), integer(problem.get("grpc_code") or problem.get("code"), _UNKNOWN)
        )
    answer = obj(answer["result"]) if "result" in answer else answer
    if not obj(answer.get("header")):
        raise EtcdFailure(endpoint, Text(N_("its response is not that of etcd")))
    return answer


def _range(start: bytes, prefix: str) -> JsonObject:
    """Return the keys from ``start`` to the last with the prefix, as a request has them."""
    end = prefix.encode()
    return {"key": _text(start), "range_end": _text(end[:-1] + bytes([end[-1] + 1]))}


def _revision(answer: JsonObject) -> int:
    return integer(field(answer.get("header"), "revision"))


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(value: object) -> bytes:
    try:
        return base64.b64decode(text(value), validate=True)
    except ValueError:
        return b""
