"""Content on WeChat's CDN, both ways (ilink-bot-protocol, section 11).

Content is encrypted piece by piece on its way up and decrypted on its way down, never held as a whole. An upload
needs a permit; the attempts on it are few and spaced, because the CDN fails at random and not by size. None of them
uses up send quota.
"""

import asyncio
import hashlib
import json
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from wxcontroller.core.errors import (
    FailureHandling,
    MediaRefused,
    ReferenceRefused,
    UploadFailed,
    WeChatError,
    reason_of,
)
from wxcontroller.core.jsontypes import JsonObject, items, read_json, text
from wxcontroller.core.model import MessageKind, MessageMedia
from wxcontroller.core.text.templates import N_, Text, verbatim
from wxcontroller.drivers.base import Fetched, Sink, Upload, Uploaded
from wxcontroller.drivers.connection.failures import UnreadableResponse
from wxcontroller.drivers.connection.transport import Transport
from wxcontroller.drivers.ilink import decode
from wxcontroller.drivers.ilink.decode import REFUSED, MediaKey
from wxcontroller.drivers.ilink.memory import ILinkMemory
from wxcontroller.drivers.ilink.timing import ILinkTiming
from wxcontroller.drivers.ilink.wire import Credentials, ILinkCalls

log = logging.getLogger(__name__)
# getuploadurl counts kinds otherwise than items do (11.2).
_PERMIT_KINDS = {MessageKind.IMAGE: 1, MessageKind.VIDEO: 2, MessageKind.FILE: 3}
_BYTES_PER_SECOND = 100_000  # the slowest accepted transfer
_DOES_NOT_TAKE = N_("WeChat's media server did not accept the file")


@dataclass(frozen=True, slots=True)
class Handle:
    """A reference to uploaded content: the CDN's parameter, the key, and both sizes."""

    parameter: str = field(repr=False)
    key: str = field(repr=False)  # hex
    size: int
    cipher_size: int

    def as_text(self) -> str:
        return json.dumps([self.parameter, self.key, self.size, self.cipher_size])

    @classmethod
    def from_text(cls, kept: str) -> "Handle":
        parameter, key, size, cipher_size = items(read_json(kept))
        return cls(text(parameter), text(key), int(text(size)), int(text(cipher_size)))


def item_of(content: Uploaded) -> JsonObject:
    """Return the item of ``sendmessage`` for uploaded content (11.2). Raises ReferenceRefused for another route's."""
    from wxcontroller.core.aes import outbound_form

    try:
        handle = Handle.from_text(content.signature)
        key = bytes.fromhex(handle.key)
    except ValueError:
        what = WeChatError(N_("this content is not on WeChat's CDN"), N_("send the file itself"), unsure=False)
        raise ReferenceRefused(what) from None
    media: JsonObject = {
        "encrypt_query_param": handle.parameter,
        "aes_key": outbound_form(key),
        "encrypt_type": 1,
    }
    match content.kind:
        case MessageKind.IMAGE:
            return {"type": 2, "image_item": {"media": media, "mid_size": handle.cipher_size}}
        case MessageKind.VIDEO:
            return {"type": 5, "video_item": {"media": media, "video_size": handle.cipher_size}}
        case _:
            file: JsonObject = {"media": media, "file_name": content.name, "len": str(handle.size)}
            return {"type": 4, "file_item": file}


@dataclass(slots=True)
class ILinkMedia:
    """Uploads and downloads of one account. ``changed`` is awaited when WeChat begins or ceases to refuse media."""

    calls: ILinkCalls
    transport: Transport
    memory: ILinkMemory
    timing: ILinkTiming
    changed: Callable[[], Awaitable[None]]
    _refused_at: float = 0.0  # monotonic: when a permit was refused last

    # -- up

    async def upload(self, credentials: Credentials, file: Upload) -> Uploaded:
        """Encrypt and upload a file. Raises UploadFailed, and OSError if it cannot be read."""
        self._refuse_early()
        kind = kind_of(file)
        # A new key for each file: AES in ECB mode, which the protocol wants, shows equal blocks under an equal key.
        key, digest = secrets.token_bytes(16), await asyncio.to_thread(_md5, file.path)
        problem = UnreadableResponse("upload", Text("no permit"))
        for pauses in (self.timing.upload_pauses, self.timing.permit_pauses):
            permit = await self._permit(credentials, file, kind, key, digest)
            for pause in pauses:
                await asyncio.sleep(pause)
                try:
                    parameter = await self._put(permit, file, key)
                except UnreadableResponse as failure:
                    problem = failure
                    if failure.handling is FailureHandling.NEVER:
                        raise UploadFailed(failure, 1, 1) from None
                    log.info("an upload failed, retrying: %s", failure.message)
                else:
                    handle = Handle(parameter, key.hex(), file.size, padded(file.size))
                    # The id is ours: callers see it, and the handle has a key in it.
                    return Uploaded(kind, text(permit.get("filekey")), file.name, file.size, handle.as_text())
        raise UploadFailed(problem if problem.unreachable else permanent_failure(problem.message), 1, 1)

    def _refuse_early(self) -> None:
        since = self.memory.media_refused
        if since and time.time() - since < self.timing.media_retry:
            raise MediaRefused(permanent_failure(_media_refused()), 1, 1)

    async def _permit(
        self, credentials: Credentials, file: Upload, kind: MessageKind, key: bytes, digest: str
    ) -> JsonObject:
        """Ask where to upload to. A second refusal within minutes is a property of the account (11.2)."""
        filekey = secrets.token_hex(16)
        facts: JsonObject = {
            "filekey": filekey,
            "media_type": _PERMIT_KINDS[kind],
            # The permit needs a receiver, and the scanner serves for all (14).
            "to_user_id": credentials.user_id,
            "rawsize": file.size,
            "rawfilemd5": digest,
            "filesize": padded(file.size),
            "aeskey": key.hex(),
            "no_need_thumb": True,
        }
        answer = await self.calls.upload_permit(credentials, facts)
        failure = decode.verdict("getuploadurl", answer)
        if failure is not None:
            if failure.ret == REFUSED:
                await self._note_refusal()
                raise MediaRefused(decode.failure_error(failure), 1, 1)
            raise UploadFailed(decode.failure_error(failure), 1, 1)
        if not text(answer.get("upload_full_url")) and not text(answer.get("upload_param")):
            raise UploadFailed(permanent_failure("getuploadurl: the answer names no place to upload to"), 1, 1)
        self._refused_at = 0.0
        if self.memory.media_refused:
            self.memory.media_refused = 0
            await self.changed()
        return {**answer, "filekey": filekey}

    async def _note_refusal(self) -> None:
        now = time.monotonic()
        again = self.memory.media_refused or (
            self._refused_at and now - self._refused_at < self.timing.media_refused_within
        )
        self._refused_at = now
        # One refusal may concern the file or be temporary; a second one within minutes concerns the account (11.2).
        if again:
            self.memory.media_refused = int(time.time())
            log.error("%s", _media_refused())
            await self.changed()

    async def _put(self, permit: JsonObject, file: Upload, key: bytes) -> str:
        """Upload once; return the parameter by which the content is sent. Raises UnreadableResponse."""
        url, parameter = text(permit.get("upload_full_url")), text(permit.get("upload_param"))
        request = self.calls.upload(url, parameter, text(permit.get("filekey")))
        body = EncryptedFile(file, key)
        headers = {"Content-Type": "application/octet-stream"}
        seconds = self.timing.transfer_base + body.size / _BYTES_PER_SECOND
        sent = replace(request, method="POST", body=body, headers=headers, timeout=seconds, patient=True)
        try:
            answer = await self.transport.send(sent)
        except UnreadableResponse:
            raise
        except WeChatError as problem:
            failure = UnreadableResponse(request.call, problem.text)
            failure.unreachable = problem.unreachable
            raise failure from None
        found = answer.headers.get("x-encrypted-param", "")
        if answer.status == 200 and found:
            return found
        what = Text("HTTP status {status}", status=answer.status)
        failure = UnreadableResponse(request.call, what)
        if 400 <= answer.status < 500:
            reason = answer.headers.get("x-error-message")
            failure = UnreadableResponse(request.call, verbatim(reason) if reason else what)
            failure.handling = FailureHandling.NEVER
        raise failure

    # -- down

    async def fetch(self, media: MessageMedia, sink: Sink, limit: int) -> Fetched:
        """Download and decrypt received content into ``sink``. Raises WeChatError."""
        from wxcontroller.core.aes import BadCiphertext, Decryptor, read_key

        try:
            where = MediaKey.from_text(media.key)
            key = read_key(where.aes_key, where.hex_key)
        except ValueError as problem:
            raise UnreadableResponse("download", reason_of(problem)) from None
        if not key and media.kind is not MessageKind.IMAGE:
            raise UnreadableResponse("download", Text("the message names no key for its content"))
        request = self.calls.download(where.url, where.parameter, padded(limit))
        if not key:  # images without a key are not encrypted (11.1)
            got = await self.transport.fetch(request, sink.write)
            return Fetched(got.size, got.mime)
        decryptor, written, head = Decryptor(key), 0, b""

        def take(piece: bytes) -> None:
            nonlocal written, head
            plain = decryptor.update(piece)
            head = head or plain[:16]
            written += len(plain)
            sink.write(plain)

        await self.transport.fetch(request, take)
        try:
            rest = decryptor.finish()
        except BadCiphertext as problem:
            raise UnreadableResponse("download", reason_of(problem)) from None
        sink.write(rest)
        return Fetched(written + len(rest), voice_type(head or rest))


def kind_of(file: Upload) -> MessageKind:
    """Return how a file is sent, by its type. Audio is sent as a file, because voice bubbles are not shown (11.2)."""
    if file.kind is not MessageKind.FILE:
        if file.mime.startswith("image/"):
            return MessageKind.IMAGE
        if file.mime.startswith("video/"):
            return MessageKind.VIDEO
    return MessageKind.FILE


def voice_type(head: bytes) -> str:
    """Return the type of voice by its first bytes: the encoding that the message names is often wrong (7.1)."""
    if head.removeprefix(b"\x02").startswith(b"#!SILK"):
        return "audio/silk"
    return "audio/amr" if head.startswith(b"#!AMR") else ""


def padded(size: int) -> int:
    return (size // 16 + 1) * 16


def _md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


class EncryptedFile:
    """A file as the body of a request (``HttpBody``): it is read and encrypted while it is sent."""

    def __init__(self, file: Upload, key: bytes) -> None:
        self._path, self._key = file.path, key
        self.size = padded(file.size)
        self.done = False

    def rewind(self) -> None:
        self.done = False

    def single_part(self) -> None:
        """Leave it to ``parts``: only they can wait for a disk."""

    async def parts(self) -> AsyncGenerator[bytes]:
        from wxcontroller.core.aes import encrypted

        with await asyncio.to_thread(self._path.open, "rb") as stream:
            pieces = encrypted(stream, self._key)
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                yield piece
        self.done = True


def permanent_failure(what: str) -> WeChatError:
    return WeChatError(what, _DOES_NOT_TAKE, unsure=False, handling=FailureHandling.NEVER)


def _media_refused() -> str:
    return N_("WeChat does not let this account send media; texts are not affected, and it is tried again once a day")
