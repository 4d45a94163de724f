"""The CDN of the iLink API (ilink-bot-protocol 20.7): content is transferred encrypted with an agent's key.

Nothing is stored about links and permits. A parameter is ``INSTANCE.CONSUMER.SECRET``: its beginning tells the
controller the account, and only the account can open the secret. The URL alone is sufficient, becomes invalid when
its consumer is removed, and is valid as long as its file exists.

Content that an agent uploads is kept like received media, by age and size, and copied for each send. A permit is for
one file: its name follows from the permit, so that a repeated upload replaces it. All files of an agent have its mark
in their names, by which its use of the disk is bounded: older ones make room for new ones.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from aiohttp import StreamReader

from wxcontroller.client.config import ClientConfig
from wxcontroller.client.ilink.consumerbook import Consumer, ConsumerBook
from wxcontroller.client.ilink.sealing import Seals
from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.client.store.tables.eventtables import Entry
from wxcontroller.core.aes import BLOCK, BadCiphertext, Decryptor, encrypted, outbound_form, padded_size
from wxcontroller.core.files.atomic import sync
from wxcontroller.core.files.receivedmedia import MEDIA_FILE, file_of
from wxcontroller.core.jsontypes import JsonObject, integer, kept_json, text
from wxcontroller.core.model import MessageKind
from wxcontroller.openwx.contract.media import sniff

# From the protocol: ilink-bot-protocol 20.7.
PERMIT_SECONDS = 600
_IDLE_SECONDS = 60.0  # without a byte of an upload
_PIECE = 256 << 10
# getuploadurl counts kinds otherwise than items do (11.2). Voice cannot be sent on any route.
_KINDS = {1: MessageKind.IMAGE, 2: MessageKind.VIDEO, 3: MessageKind.FILE}
_HEX = re.compile("[0-9a-fA-F]{32}")
# All agents' content together takes at most a quarter of what received media may take (media_keep_bytes).
_UPLOADS_PART = 4


class TransferRefused(Exception):
    """An upload or download that is refused. ``status`` is HTTP's; the words are for ``x-error-message``."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


@dataclass(frozen=True, slots=True)
class OfferedContent:
    """Received content as an agent can fetch it: ``media`` is the item's reference, ``key`` its key in hex."""

    media: JsonObject
    key: str
    size: int

    @property
    def cipher_size(self) -> int:
        return padded_size(self.size)


@dataclass(frozen=True, slots=True)
class AgentFile:
    """Content that an agent uploaded, or received before: a file of the account's."""

    path: Path
    kind: MessageKind


@dataclass(frozen=True, slots=True)
class Ciphertext:
    """Content that is downloaded."""

    path: Path
    key: bytes
    size: int

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the ciphertext. Raises OSError."""
        with await asyncio.to_thread(self.path.open, "rb") as stream:
            pieces = encrypted(stream, self.key)
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                yield piece


@dataclass(frozen=True, slots=True)
class Cdn:
    """Creates links and permits, and serves them."""

    config: ClientConfig
    log: EventLog
    consumers: ConsumerBook
    seals: Seals

    # -- down

    def offered(self, entry: Entry, report: JsonObject, consumer: Consumer, origin: str) -> OfferedContent | None:
        """Return the link to the content of a message, None when the account does not have it."""
        size = integer(report.get("media_size"))
        if not size or not file_of(text(report.get("media_path"))):
            return None
        content = consumer.bot + entry.id.encode()
        key, parameter = self._key(content), self._parameter(consumer, "download", content)
        media: JsonObject = {
            "encrypt_query_param": parameter,
            "aes_key": outbound_form(key),
            "encrypt_type": 1,
            "full_url": f"{origin}/ilink/c2c/download?encrypted_query_param={quote(parameter, safe='')}",
        }
        return OfferedContent(media, key.hex(), size)

    async def download(self, parameter: str) -> Ciphertext:
        """Return the content of a link. Raises TransferRefused and Unavailable."""
        _, content = self._opened("download", parameter)
        if content is None:
            raise TransferRefused(404, "no such content")
        path = await self._received(content)
        try:
            status = await asyncio.to_thread(path.stat) if path is not None else None
        except OSError:
            status = None
        if path is None or status is None:
            raise TransferRefused(404, "the content is no longer here")
        return Ciphertext(path, self._key(content), status.st_size)

    def _key(self, content: bytes) -> bytes:
        return self.seals.derived("download", content, BLOCK)

    async def _received(self, content: bytes) -> Path | None:
        entry = await self.log.get(content[6:].decode("ascii", "replace"))
        return self._own(text(kept_json(entry.body).get("media_path"))) if entry is not None else None

    def _own(self, name: str) -> Path | None:
        name = name.rpartition("/")[2]
        return self.config.media_dir / name if MEDIA_FILE.fullmatch(name) else None

    # -- up

    def permit(self, consumer: Consumer, asked: JsonObject, origin: str) -> JsonObject:
        """Return where an announced file is to be uploaded to. Raises TransferRefused with the reason."""
        kind, size = _KINDS.get(integer(asked.get("media_type"))), integer(asked.get("rawsize"), -1)
        key, digest = text(asked.get("aeskey")), text(asked.get("rawfilemd5"))
        if kind is None:
            raise TransferRefused(400, "voice and other kinds of media cannot be sent; send audio as a file")
        if size > self.config.number("media_size_max"):
            raise TransferRefused(400, f"the file is larger than {self.config.number('media_size_max')} bytes")
        if size < 0 or not _HEX.fullmatch(key) or not _HEX.fullmatch(digest):
            raise TransferRefused(400, "invalid arguments")
        parameter = self._permit(consumer, kind, size, key, digest)
        where = f"{origin}/ilink/c2c/upload?encrypted_query_param={quote(parameter, safe='')}"
        filekey = quote(text(asked.get("filekey"))[:128], safe="")
        answer: JsonObject = {"ret": 0, "upload_param": parameter, "upload_full_url": f"{where}&filekey={filekey}"}
        thumb = integer(asked.get("thumb_rawsize"), -1), text(asked.get("thumb_rawfilemd5"))
        if 0 <= thumb[0] <= self.config.number("media_size_max") and _HEX.fullmatch(thumb[1]):
            answer["thumb_upload_param"] = self._permit(consumer, MessageKind.IMAGE, thumb[0], key, thumb[1])
        return answer

    def _permit(self, consumer: Consumer, kind: MessageKind, size: int, key: str, digest: str) -> str:
        facts = [kind.value, size, key.lower(), digest.lower(), int(time.time()) + PERMIT_SECONDS]
        return self._parameter(consumer, "upload", consumer.bot + json.dumps(facts).encode())

    async def upload(self, parameter: str, body: StreamReader) -> str:
        """Store the ciphertext of an announced file; return the parameter that refers to it in a send.

        Raises TransferRefused, and OSError when it cannot be stored.
        """
        consumer, content = self._opened("upload", parameter)
        if consumer is None or content is None:
            raise TransferRefused(403, "no such permit")
        form, size, key, digest, until = json.loads(content[6:])
        # The upper bound is for a clock that was set back, which must not make old permits valid.
        if not 0 <= until - time.time() <= PERMIT_SECONDS:
            raise TransferRefused(403, "the permit has expired; ask for a new one")
        kind = MessageKind(str(form))
        token = mark_of(consumer) + hashlib.sha256(content).hexdigest()[:10]
        part = self.config.media_dir / f".in.{token}.{secrets.token_hex(4)}"
        try:
            with await asyncio.to_thread(created, part) as stream:
                await asyncio.to_thread(self._make_room, consumer, stream, int(size))
                start = await decrypt(body, stream, bytes.fromhex(str(key)), int(size), str(digest))
            made = time.strftime("%Y%m%d%H%M%S", time.gmtime(until - PERMIT_SECONDS))
            name = f"mojo_weixin_media_{made}_{token}.{extension(kind, start)}"
            await asyncio.to_thread(rename_durably, part, part.with_name(name))
        finally:
            await asyncio.to_thread(part.unlink, missing_ok=True)
        return self._parameter(consumer, "uploaded", consumer.bot + json.dumps([name, kind.value]).encode())

    def _make_room(self, consumer: Consumer, stream: BinaryIO, size: int) -> None:
        """Delete older content of an agent that would take too much with an upload of this size.

        Raises TransferRefused if other uploads take the room, and OSError.
        """
        os.truncate(stream.fileno(), size)  # counts from now on, also for an upload at the same time
        limit = self.config.number("media_keep_bytes") // _UPLOADS_PART // max(1, len(self.consumers.all()))
        if not limit:
            return
        mark, found = mark_of(consumer), list[tuple[float, int, Path]]()
        with os.scandir(self.config.media_dir) as entries:
            for entry in entries:
                if entry.name.startswith(f".in.{mark}") or f"_{mark}" in entry.name:
                    with contextlib.suppress(FileNotFoundError):
                        status = entry.stat(follow_symlinks=False)
                        found.append((status.st_mtime, status.st_size, Path(entry.path)))
        beyond = sum(held for _, held, _ in found) - max(limit, size)
        complete = [each for each in sorted(found) if MEDIA_FILE.fullmatch(each[2].name)]
        if beyond > sum(held for _, held, _ in complete):
            raise TransferRefused(503, "other uploads of this agent are in progress; try again")
        for _, held, path in complete:
            if beyond > 0:
                path.unlink(missing_ok=True)
                beyond -= held

    async def uploaded(self, consumer: Consumer, media: JsonObject, kind: MessageKind) -> AgentFile | None:
        """Return the content to which a send refers, uploaded or received by the agent; None for neither. The key in
        the reference is ignored, because the account knows it. Raises Unavailable.
        """
        parameter = text(media.get("encrypt_query_param"))
        owner, content = self._opened("uploaded", parameter)
        if owner is consumer and content is not None:
            name, form = json.loads(content[6:])
            path = self._own(str(name))
            return AgentFile(path, MessageKind(str(form))) if path is not None else None
        owner, content = self._opened("download", parameter)
        path = await self._received(content) if owner is consumer and content is not None else None
        return AgentFile(path, kind) if path is not None else None

    # -- parameters

    def _parameter(self, consumer: Consumer, purpose: str, content: bytes) -> str:
        return f"{self.config.name.instance}.{consumer.name}.{self.seals.seal(purpose, content)}"

    def _opened(self, purpose: str, parameter: str) -> tuple[Consumer | None, bytes | None]:
        """Return a parameter's consumer and meaning; None for one that is not ours, or of a deleted consumer.

        Its path must begin with that consumer, whose token the controller has checked.
        """
        named, _, sealed = parameter.rpartition(".")
        content = self.seals.open(purpose, sealed)
        consumer = self.consumers.by_bot(content[:6]) if content is not None else None
        if consumer is None or named != f"{self.config.name.instance}.{consumer.name}":
            return None, None
        return consumer, content


def mark_of(consumer: Consumer) -> str:
    """Return what the names of all files of an agent have in them."""
    return hashlib.sha256(consumer.bot).hexdigest()[:6]


def created(path: Path) -> BinaryIO:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path.open("xb")


def rename_durably(part: Path, path: Path) -> None:
    sync(part)
    part.rename(path)
    sync(path.parent)


def extension(kind: MessageKind, start: bytes) -> str:
    found = sniff(start).rpartition("/")[2].replace("jpeg", "jpg")
    return found or {MessageKind.IMAGE: "jpg", MessageKind.VIDEO: "mp4"}.get(kind, "dat")


async def decrypt(body: StreamReader, stream: BinaryIO, key: bytes, size: int, digest: str) -> bytes:
    """Write the content of a body and compare it with the announced size and MD5; return its first bytes."""
    decryptor, taken, start = Decryptor(key), 0, b""
    found = hashlib.md5(usedforsecurity=False)

    def take(piece: bytes) -> None:
        nonlocal start
        start = start or piece[:64]
        found.update(piece)
        stream.write(piece)

    pieces = aiter(body.iter_chunked(_PIECE))
    while True:
        try:
            async with asyncio.timeout(_IDLE_SECONDS):
                piece = await anext(pieces, None)
        except TimeoutError:
            raise TransferRefused(408, "the content did not arrive") from None
        if piece is None:
            break
        taken += len(piece)
        # Before it is written: the announced size was checked against the
        # limit, and nothing beyond it may reach the disk.
        if taken > padded_size(size):
            raise TransferRefused(400, "the content is larger than announced")
        await asyncio.to_thread(take, decryptor.update(piece))
    try:
        rest = decryptor.finish()
    except BadCiphertext as problem:
        raise TransferRefused(400, str(problem)) from None
    await asyncio.to_thread(take, rest)
    await asyncio.to_thread(stream.truncate)
    if taken != padded_size(size) or found.hexdigest() != digest:
        raise TransferRefused(400, "the content is not what was announced (size or MD5)")
    return start
