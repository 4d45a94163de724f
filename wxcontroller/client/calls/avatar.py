"""get_avatar: the picture of oneself, a friend, a group, a member or a stranger (openwx-api 2.6)."""

import asyncio
import io
import logging
import time
from dataclasses import dataclass
from email.utils import formatdate

from aiohttp import web

from wxcontroller.client.calls.call import NOT_FOUND_ID, Answer, Call, Handler, Parts
from wxcontroller.core.errors import WxError
from wxcontroller.openwx.contract.media import sniff

log = logging.getLogger(__name__)
# Pages show many pictures at once, and skip one that is late.
AVATAR_SECONDS = 3.0
AVATAR_BYTES = 5 << 20
_AGE = 3600


@dataclass(slots=True)
class Avatars:
    """The call."""

    parts: Parts

    def calls(self) -> dict[str, Handler]:
        return {"get_avatar": self.get_avatar}

    async def get_avatar(self, call: Call) -> Answer:
        if not self.parts.roster.contacts:
            return self.parts.not_running()
        found = self._whom(call)
        if found is None:
            return NOT_FOUND_ID
        picture = io.BytesIO()
        try:
            async with asyncio.timeout(AVATAR_SECONDS):
                await self.parts.driver.avatar(*found, picture, AVATAR_BYTES)
        except TimeoutError:
            log.info("cannot fetch a picture within %g s", AVATAR_SECONDS)
            return no_avatar()
        except WxError as problem:
            log.info("cannot fetch a picture: %s", problem)
            return no_avatar()
        content = picture.getvalue()
        mime = sniff(content)
        if not mime:
            return no_avatar()
        now = time.time()
        return web.Response(
            body=content,
            headers={
                "Content-Type": mime,
                "Cache-Control": f"max-age={_AGE}",
                "Expires": formatdate(now + _AGE, usegmt=True),
                "Last-Modified": formatdate(now, usegmt=True),
            },
        )

    def _whom(self, call: Call) -> tuple[str, str] | None:
        """Return person and group as Driver.avatar takes them."""
        roster, wanted, group = self.parts.roster, call.get("id"), call.get("group_id")
        if wanted and (wanted == roster.own or wanted in roster.groups):
            return wanted, ""
        if group and wanted:
            return (wanted, group) if roster.member(group, wanted) else None
        named = call.whom("id", "account", "displayname", "markname")
        if contacts := roster.find_contacts(named):
            return contacts[0].id, ""
        if set(named) == {"displayname"} and (groups := roster.find_groups(named)):
            return groups[0].id, ""
        return (wanted, "") if roster.met(wanted) else None


def no_avatar() -> web.Response:
    return web.Response(status=503, body=b"", headers={"Content-Type": "text/html;charset=UTF-8"})
