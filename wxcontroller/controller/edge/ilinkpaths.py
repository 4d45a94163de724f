"""The paths of the iLink API."""

import re

from aiohttp import web

# Also with an account in front. The page of pairing is no call: a link may lead to it from anywhere.
CALL_PATHS = "/for/[^/]*/ilink/|/ilink/(?!pair/)"
_PATHS = re.compile("(?:/for/[^/]*)?/ilink/")


def is_ilink(request: web.Request) -> bool:
    """Return whether a request is for a call of the iLink API, or the page of pairing."""
    return _PATHS.match(request.path) is not None
