"""The CDN: stores ciphertext and returns it to anybody who has the URL (protocol 11.2, 11.3)."""

from urllib.parse import quote

from aiohttp import hdrs, web

from wxcontroller.core.net.mediatype import media_type
from wxcontroller.sandbox.ilink.call import ILinkCall, ILinkEndpoint
from wxcontroller.sandbox.media.storedcontent import Download
from wxcontroller.sandbox.world.ilinkbots import CdnFile

_PIECE = 2**18
_OCTETS = "application/octet-stream"


def upload_url(cdn: str, parameter: str, filekey: str) -> str:
    """Return the address to upload to."""
    return f"{cdn}/upload?encrypted_query_param={quote(parameter, safe='')}&filekey={quote(filekey, safe='')}"


async def upload(call: ILinkCall) -> web.StreamResponse:
    """Store a file; its download parameter is in a header of the response. The same permit can be used again."""
    permit = call.sandbox.ilink.permits.get(call.request.query.get("encrypted_query_param", ""))
    check(call)
    if permit is None:
        return refusal(400, "encrypted_query_param is not valid")
    if call.request.query.get("filekey") != permit.filekey:
        call.breach("filekey is not the one of the permit")
    if media_type(call.request.headers.get("Content-Type", "")) != _OCTETS:
        call.breach(f"the body is not declared as {_OCTETS}")
    incoming = call.sandbox.contents.begin()
    try:
        async for piece in call.request.content.iter_chunked(_PIECE):
            incoming.append(piece)
    except BaseException:
        incoming.drop()
        raise
    size = incoming.size
    if size != permit.request.get("filesize"):
        call.breach("the body does not have filesize bytes")
    parameter = call.sandbox.ilink.store_file(CdnFile(permit.uin, call.sandbox.contents.finish(incoming), size))
    return web.Response(headers={"x-encrypted-param": parameter}, content_type=_OCTETS)


async def download(call: ILinkCall) -> web.StreamResponse:
    """Return a file."""
    check(call)
    stored = call.sandbox.ilink.files.get(call.request.query.get("encrypted_query_param", ""))
    path = call.sandbox.contents.path(stored.md5) if stored is not None else None
    if path is None:
        return refusal(404, "no such file")
    return Download(path, _OCTETS)


def check(call: ILinkCall) -> None:
    if hdrs.AUTHORIZATION in call.request.headers:
        call.breach("Authorization went to the CDN")


def refusal(status: int, words: str) -> web.Response:
    return web.Response(status=status, headers={"x-error-message": words})


ENDPOINTS = (
    ILinkEndpoint("upload", "/c2c/upload", upload, frozenset({hdrs.METH_POST}), "", needs_token=False, streams=True),
    ILinkEndpoint("download", "/c2c/download", download, frozenset({hdrs.METH_GET}), "", needs_token=False),
)
