"""Uploading files: in chunks, or not at all if the server has them already (5.8, 5.9)."""

import secrets
from http import HTTPMethod

from aiohttp import web

from wxcontroller.core.jsontypes import JsonObject, integer, obj, text
from wxcontroller.sandbox.hosts import FILE_PAGES, Role
from wxcontroller.sandbox.media import webmarkup
from wxcontroller.sandbox.media.storedcontent import ContentItem
from wxcontroller.sandbox.web import forms, payloads
from wxcontroller.sandbox.web.composing import encrypted_name, new_media_id
from wxcontroller.sandbox.web.webcall import PARAMETER, WebCall, WebEndpoint, WebRefusal, answer, refusing
from wxcontroller.sandbox.world.phone import ChunkedUpload, ServerAccount
from wxcontroller.sandbox.world.websession import ServerSession

CHUNK = 524_288
LARGE = 26_214_400  # above it, a file needs a Signature
_UNCHUNKED = 1_048_576  # more in one request has failed since 2017
_OPEN_UPLOADS = 8
_PARTS = (
    "id", "name", "type", "lastModifiedDate", "size", "chunks", "chunk", "mediatype", "uploadmediarequest",
    "webwx_data_ticket", "pass_ticket",
)  # fmt: skip
_KINDS = {"pic": "image", "video": "video", "doc": "file"}
_PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/bmp"})


async def webwxuploadmedia(call: WebCall) -> web.Response:
    """Accept a file, or a chunk of one; the last response has its MediaId."""
    try:
        form = forms.read(call.request.headers.get("Content-Type", ""), call.body)
    except forms.BadForm as error:
        raise WebRefusal(PARAMETER, str(error)) from None
    if call.request.query.get("f") != "json":
        call.note("f is not json")
    try:
        asked = obj(webmarkup.load(form.fields.get("uploadmediarequest", "").encode()))
    except ValueError:
        raise WebRefusal(PARAMETER, "uploadmediarequest is not JSON") from None
    account, session = call.uploader(asked.get("BaseRequest"))
    check_form(call, session, form)
    size = check_request(call, account, session, form, asked)
    return take(call, account, form, asked, size)


def check_form(call: WebCall, session: ServerSession, form: forms.Form) -> None:
    fields = form.fields
    if form.extended:
        raise WebRefusal(PARAMETER, "a part's header is in RFC 2231 form (filename*=), which is not understood")
    if not fields.get("webwx_data_ticket"):
        raise WebRefusal(PARAMETER, "part webwx_data_ticket is missing")
    if fields["webwx_data_ticket"] != session.data_ticket:
        raise WebRefusal(PARAMETER, "part webwx_data_ticket is wrong")
    if fields.get("pass_ticket") and not session.takes_pass_ticket(fields["pass_ticket"]):
        call.breach(PARAMETER, "part pass_ticket is wrong")
    if not fields.get("pass_ticket"):
        call.note("part pass_ticket is missing")
    order = [name for name in fields if name in _PARTS]
    if order != sorted(order, key=_PARTS.index) or not form.file_is_last:
        call.note("the parts are not in the usual order, the file last")
    for needed in ("name", "type", "lastModifiedDate", *(() if session.domain in FILE_PAGES else ("id",))):
        if not fields.get(needed):
            call.note(f"part {needed} is missing")
    if fields.get("mediatype") not in _KINDS:
        call.breach(PARAMETER, "part mediatype is none of pic, video and doc")


def check_request(
    call: WebCall, account: ServerAccount, session: ServerSession, form: forms.Form, asked: JsonObject
) -> int:
    """Check uploadmediarequest; return the size of the file in bytes."""
    size = integer(form.fields.get("size"), -1)
    if size <= 0:
        raise WebRefusal(PARAMETER, "the file is empty, or part size is missing")
    if integer(asked.get("TotalLen"), -1) != size or integer(asked.get("DataLen"), -1) != size:
        call.breach(PARAMETER, "size, TotalLen and DataLen differ")
    if integer(asked.get("UploadType"), -1) != 2 or integer(asked.get("MediaType"), -1) != 4:
        call.breach(PARAMETER, "UploadType is not 2, or MediaType not 4")
    if integer(asked.get("StartPos"), -1) != 0:
        call.breach(PARAMETER, "StartPos is not 0")
    if not text(asked.get("ClientMediaId")):
        call.breach(PARAMETER, "ClientMediaId is missing")
    check_addresses(call, account, session, asked)
    if not text(asked.get("FileMd5")):
        call.note("FileMd5 is missing")
    if size > LARGE and session.domain in FILE_PAGES:
        raise WebRefusal(PARAMETER, f"the File Transfer page takes at most {LARGE} bytes this way")
    if size > LARGE and account.signatures.get(text(asked.get("FileMd5"))) != (
        text(asked.get("AESKey")),
        text(asked.get("Signature")),
    ):
        raise WebRefusal(PARAMETER, f"more than {LARGE} bytes need AESKey and Signature of webwxcheckupload")
    return size


def check_addresses(call: WebCall, account: ServerAccount, session: ServerSession, asked: JsonObject) -> None:
    if session.wxid(text(asked.get("FromUserName"))) != account.wxid:
        call.breach(PARAMETER, "FromUserName is not the account itself")
    if session.wxid(text(asked.get("ToUserName"))) is None:
        call.breach(PARAMETER, "ToUserName is nobody of this login")


def take(call: WebCall, account: ServerAccount, form: forms.Form, asked: JsonObject, size: int) -> web.Response:
    chunks, chunk = integer(form.fields.get("chunks"), 1), integer(form.fields.get("chunk"), 0)
    key = text(asked.get("ClientMediaId"))
    if ("chunks" in form.fields) != ("chunk" in form.fields):
        call.breach(PARAMETER, "of chunk and chunks only one is there")
    if len(form.content) > _UNCHUNKED:
        raise WebRefusal(PARAMETER, f"one request has more than {_UNCHUNKED} bytes of a file")
    if not 0 <= chunk < chunks:
        raise WebRefusal(PARAMETER, "chunk is not below chunks")
    if chunks > 1 and chunk < chunks - 1 and len(form.content) != CHUNK:
        call.note(f"a chunk has not {CHUNK} bytes")
    upload = account.uploads.pop(key, None)
    if chunk == 0:
        if upload is not None:
            upload.incoming.drop()
        while len(account.uploads) >= _OPEN_UPLOADS:
            account.uploads.pop(next(iter(account.uploads))).incoming.drop()
        upload = ChunkedUpload(call.sandbox.contents.begin(), chunks)
    if upload is None:
        call.note("ClientMediaId is another one than that of the chunks before")
        return _answer(form, "", chunk * CHUNK + len(form.content))
    if chunk != upload.next or chunks != upload.chunks:
        upload.incoming.drop()
        raise WebRefusal(PARAMETER, "the chunks come out of order")
    upload.incoming.append(form.content)
    upload.next += 1
    if upload.next < chunks:
        account.uploads[key] = upload
        return _answer(form, "", upload.incoming.size)
    md5 = text(asked.get("FileMd5"))
    if upload.incoming.size != size or (md5 and upload.incoming.md5 != md5):
        try:
            call.breach(PARAMETER, "what came is not of the size or FileMd5 announced")
        except WebRefusal:
            upload.incoming.drop()
            raise
    return _finish(call, account, form, upload)


def _finish(call: WebCall, account: ServerAccount, form: forms.Form, upload: ChunkedUpload) -> web.Response:
    md5 = call.sandbox.contents.finish(upload.incoming)
    mime, mediatype = call.sandbox.contents.mime(md5), form.fields.get("mediatype", "")
    if mediatype == "pic" and mime not in _PICTURES:
        raise WebRefusal(PARAMETER, "mediatype is pic, and the file is no picture that WeChat knows")
    if mediatype == "video" and mime != "video/mp4":
        call.breach(PARAMETER, "mediatype is video, and the file is no MP4")
    item = ContentItem(_KINDS.get(mediatype, "file"), md5, upload.incoming.size, form.fields.get("name", ""), mime)
    media_id = new_media_id()
    account.hold(media_id, item)
    return _answer(form, media_id, item.size)


def _answer(form: forms.Form, media_id: str, position: int) -> web.Response:
    picture = bool(media_id) and form.fields.get("mediatype") == "pic"
    return answer(
        {
            **payloads.base(),
            "MediaId": media_id,
            "StartPos": position,
            "CDNThumbImgHeight": 100 if picture else 0,
            "CDNThumbImgWidth": 75 if picture else 0,
            **({"EncryFileName": encrypted_name(form.filename)} if media_id else {}),
        }
    )


async def webwxcheckupload(call: WebCall) -> web.Response:
    """Return whether the server has a file; if not, how to upload a large one."""
    account, session = call.session()
    body = call.json()
    md5, size, name = text(body.get("FileMd5")), integer(body.get("FileSize")), text(body.get("FileName"))
    if size <= 0 or len(md5) != 32 or not name:
        raise WebRefusal(PARAMETER, "FileMd5, FileSize or FileName is missing or wrong")
    if not isinstance(body.get("FileSize"), int):
        call.breach(PARAMETER, "FileSize is not a number")
    if integer(body.get("FileType"), -1) != 7:
        raise WebRefusal(PARAMETER, "FileType is not 7")
    check_addresses(call, account, session, body)
    aes_key, signature = account.signatures.setdefault(md5, (secrets.token_hex(16), secrets.token_urlsafe(64)))
    media_id = ""
    if call.sandbox.contents.size(md5) == size:
        media_id = new_media_id()
        mime = call.sandbox.contents.mime(md5)
        kind = "image" if mime in _PICTURES else "video" if mime == "video/mp4" else "file"
        account.hold(media_id, ContentItem(kind, md5, size, name, mime))
    return answer(
        {
            **payloads.base(),
            "MediaId": media_id,
            "AESKey": aes_key,
            "Signature": signature,
            "EncryFileName": encrypted_name(name),
        }
    )


_POST = frozenset({HTTPMethod.POST})
ENDPOINTS = (
    WebEndpoint(
        "webwxuploadmedia",
        frozenset({Role.FILE}),
        webwxuploadmedia,
        refusing(MediaId="", StartPos=0, CDNThumbImgHeight=0, CDNThumbImgWidth=0),
        _POST,
    ),
    WebEndpoint(
        "webwxcheckupload",
        frozenset({Role.BASE}),
        webwxcheckupload,
        refusing(MediaId="", AESKey="", Signature="", EncryFileName=""),
        _POST,
    ),
)
