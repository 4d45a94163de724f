"""/v1/media/FILE at the account's port: received content, for reports that name it (``media_url``)."""

from aiohttp import web

from wxcontroller.client.config import ClientConfig
from wxcontroller.client.v1.forms.v1answers import RequestRefused
from wxcontroller.core.files.receivedmedia import MEDIA_FILE
from wxcontroller.core.text.templates import N_


class MediaFiles:
    """The call. Nothing outside the account's media directory can be named."""

    def __init__(self, config: ClientConfig) -> None:
        self._directory = config.media_dir

    async def get(self, request: web.Request) -> web.StreamResponse:
        """GET a file, or a part of it (Range)."""
        name = request.match_info["file"]
        path = self._directory / name
        if not MEDIA_FILE.fullmatch(name) or not path.is_file():
            raise RequestRefused(
                404,
                "no-such-media",
                N_("there is no such file"),
                N_("it may be too old: media_keep_days, media_keep_bytes"),
            )
        # A file that a stranger sent must not be shown as a page of ours.
        return web.FileResponse(
            path,
            headers={
                "X-Content-Type-Options": "nosniff",
                "Content-Security-Policy": "sandbox; default-src 'none'",
                "Content-Disposition": f'attachment; filename="{name}"',
                "Cache-Control": "private, max-age=3600",
            },
        )
