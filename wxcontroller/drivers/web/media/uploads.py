"""Uploads files to WeChat, in pieces read from disk, one file at a time (weixin-web-protocol 5.8, 5.9)."""

import asyncio
import hashlib
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from wxcontroller.core.errors import Unsupported, UploadFailed, WeChatError
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.model import MessageKind
from wxcontroller.core.text.templates import N_
from wxcontroller.drivers.base import Upload, Uploaded
from wxcontroller.drivers.connection.failures import NoAnswer
from wxcontroller.drivers.connection.transport import LineResponse
from wxcontroller.drivers.web.decode import answers
from wxcontroller.drivers.web.decode.answers import UploadCheck
from wxcontroller.drivers.web.wire.calls import WebCalls, WebSession, base_request, minimal_json, now_ms

# WeChat's limit (5.9).
LARGE = 26_214_400  # bytes above which a file needs a signature
_MAX_SHOWN = 20 << 20  # bytes of a picture or video; larger ones go as files
_TRIES = 3
_KINDS = {
    "image/png": MessageKind.IMAGE,
    "image/jpeg": MessageKind.IMAGE,
    "image/jpg": MessageKind.IMAGE,
    "image/bmp": MessageKind.IMAGE,
    "image/gif": MessageKind.EMOTICON,
    "video/mp4": MessageKind.VIDEO,
}
_EXTENSIONS = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "bmp": "image/bmp",
    "gif": "image/gif",
    "mp4": "video/mp4",
}
# An emoticon is uploaded as a document; otherwise it would not be animated.
_MEDIA_TYPES = {MessageKind.IMAGE: "pic", MessageKind.VIDEO: "video"}
_DATE = "Thu Jan 01 2015 08:00:00 GMT+0800 (CST)"  # required but ignored
_OWN = "filehelper"  # an upload for one chat can be sent to all


class Uploads:
    """Uploads for one session."""

    def __init__(
        self, calls: WebCalls, session: WebSession, data_ticket: Callable[[], str], chunk: int, numbered: bool = True
    ) -> None:
        """``chunk``: bytes of a piece. ``numbered``: with a number of the upload, as the web page sends it."""
        self._calls = calls
        self._session = session
        self._data_ticket = data_ticket
        self._chunk = chunk
        self._numbered = numbered
        self._turn = asyncio.Lock()
        self._number = 0

    async def upload(self, file: Upload) -> Uploaded:
        """See Driver.upload."""
        if file.size <= 0:
            raise Unsupported(
                N_("{file} is empty"), N_("WeChat does not accept empty files"), file=file.name or "the file"
            )
        if not self._data_ticket():
            words = N_("webwxuploadmedia: the session has no ticket for files")
            raise self._failed(WeChatError(words, N_("log in again to be able to send files")), file)
        kind, mime = kind_of(file)
        # One at a time, as WeChat's page does it (9.5).
        async with self._turn:
            md5 = await asyncio.to_thread(_md5, file.path, file.size)
            checked = UploadCheck("", "", "")
            if file.size > LARGE:
                try:
                    checked = answers.checked_of(await self._check(file, md5))
                except WeChatError as problem:
                    raise self._failed(problem, file) from problem
            media_id = checked.media_id or await self._send(file, kind, mime, md5, checked)
        return Uploaded(kind, media_id, file.name, file.size, checked.signature)

    async def _check(self, file: Upload, md5: str) -> LineResponse:
        body: JsonObject = {
            "FromUserName": self._session.me,
            "ToUserName": _OWN,
            "FileMd5": md5,
            "FileSize": file.size,
            "FileName": placeholder(file),
            "FileType": 7,
        }
        return await self._calls.post("webwxcheckupload", self._session, "", body)

    async def _send(self, file: Upload, kind: MessageKind, mime: str, md5: str, checked: UploadCheck) -> str:
        """Send all pieces; start again from the first, as a new upload, if the connection breaks."""
        for left in reversed(range(_TRIES)):
            try:
                return await self._send_once(file, kind, mime, md5, checked)
            except UploadFailed as problem:
                if not left or not isinstance(problem.__cause__, NoAnswer):
                    raise
        raise AssertionError("unreachable")

    async def _send_once(self, file: Upload, kind: MessageKind, mime: str, md5: str, checked: UploadCheck) -> str:
        request: JsonObject = {
            "UploadType": 2,
            "BaseRequest": base_request(self._session),
            "ClientMediaId": now_ms(),  # the same for all pieces
            "TotalLen": file.size,
            "StartPos": 0,
            "DataLen": file.size,
            "MediaType": 4,
            "FromUserName": self._session.me,
            "ToUserName": _OWN,
            "FileMd5": md5,
        }
        if checked.signature:
            request |= {"AESKey": checked.aes_key, "Signature": checked.signature}
        name, chunks = placeholder(file), self._pieces(file)
        fields = {"id": f"WU_FILE_{self._number}"} if self._numbered else {}
        fields |= {
            "name": name,
            "type": mime,
            "lastModifiedDate": _DATE,
            "size": str(file.size),
        }
        self._number += 1
        media_id = ""
        with await asyncio.to_thread(file.path.open, "rb") as source:
            for chunk in range(chunks):
                piece = await asyncio.to_thread(_piece, source, min(self._chunk, file.size - chunk * self._chunk))
                parts = fields | ({"chunks": str(chunks), "chunk": str(chunk)} if chunks > 1 else {})
                parts |= {
                    "mediatype": _MEDIA_TYPES.get(kind, "doc"),
                    "uploadmediarequest": minimal_json(request).decode(),
                    "webwx_data_ticket": self._data_ticket(),
                    "pass_ticket": unquote(self._session.pass_ticket),
                }
                boundary = f"----WebKitFormBoundary{secrets.token_hex(8)}"
                form = _form(boundary, parts, name, mime, piece)
                try:
                    answer = await self._calls.upload(self._session, form, boundary)
                    media_id = answers.uploaded_of(answer, last=chunk == chunks - 1)
                except WeChatError as problem:
                    raise self._failed(problem, file, chunk + 1) from problem
        return media_id

    def _failed(self, problem: WeChatError, file: Upload, piece: int = 1) -> UploadFailed:
        return UploadFailed(problem, piece, self._pieces(file))

    def _pieces(self, file: Upload) -> int:
        return -(-file.size // self._chunk)


def kind_of(file: Upload) -> tuple[MessageKind, str]:
    """Return how WeChat shows a file, and its type: the file extension decides if the given type is generic.

    Voice cannot be sent (5.10), and WeChat does not show WebP as a picture: both are sent as files. ``file.kind``
    FILE makes everything a file.
    """
    mime = file.mime.partition(";")[0].strip().lower()
    if not re.fullmatch(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,60}", mime) or mime == "application/octet-stream":
        mime = _EXTENSIONS.get(extension(file.name), "application/octet-stream")
    kind = _KINDS.get(mime, MessageKind.FILE)
    if file.kind in (MessageKind.FILE, MessageKind.VOICE) or file.size > _MAX_SHOWN:
        kind = MessageKind.FILE
    return kind, mime


def extension(name: str) -> str:
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    return ending if re.fullmatch(r"[a-z0-9]{1,10}", ending) else ""


def placeholder(file: Upload) -> str:
    """Return a name that is valid in every header (5.8); people see the title of the message instead."""
    ending = extension(file.name) or next((e for e, mime in _EXTENSIONS.items() if mime == file.mime), "")
    return f"file.{ending}" if ending else "file"


def _md5(path: Path, size: int) -> str:
    digest, seen = hashlib.md5(usedforsecurity=False), 0
    with path.open("rb") as source:
        while piece := source.read(1 << 20):
            digest.update(piece)
            seen += len(piece)
    # The size was announced to the caller and is sent to WeChat: a file that is still being written would arrive
    # truncated.
    if seen != size:
        raise OSError(f"the file has {seen} bytes, not {size}")
    return digest.hexdigest()


def _piece(source: BinaryIO, size: int) -> bytes:
    piece = source.read(size)
    if len(piece) != size:
        raise OSError("the file became shorter while it was read")
    return piece


def _form(boundary: str, parts: dict[str, str], name: str, mime: str, content: bytes) -> bytes:
    """Return multipart/form-data, the file last; by hand, because WeChat is particular about the headers."""
    head = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
        for field, value in parts.items()
    )
    head += f'--{boundary}\r\nContent-Disposition: form-data; name="filename"; filename="{name}"\r\n'
    head += f"Content-Type: {mime}\r\n\r\n"
    return head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
