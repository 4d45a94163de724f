"""Distinguishes the desktop client from a browser (2.2).

The headers decide. The desktop client also has mod=desktop in the query, but itchat-uos and wechat4u send only the
headers and are accepted as desktop clients.
"""

import hashlib

from wxcontroller.sandbox.web.webcall import WebCall

# SHA-256 of the extspam constant, which is long and opaque
_EXTSPAM = "11e2f840f98652979f09996c2c9bcdfef4e19c0e042dfcb00804818a369795e0"


def is_desktop(call: WebCall) -> bool:
    """True when the headers are those of the desktop client, and in strict mode the query too."""
    headers = call.request.headers
    spam = hashlib.sha256(headers.get("extspam", "").encode("utf-8", "surrogateescape")).hexdigest()
    if not headers.get("client-version") or spam != _EXTSPAM:
        return False
    return has_mode(call) or not call.sandbox.options.strict


def is_complete(call: WebCall) -> bool:
    """True when query and headers agree: both are the desktop client's, or neither is."""
    return is_desktop(call) == tries_to_be_desktop(call) == has_mode(call)


def tries_to_be_desktop(call: WebCall) -> bool:
    """True when any part of the request is the desktop client's."""
    headers = call.request.headers
    return has_mode(call) or "extspam" in headers or "client-version" in headers


def has_mode(call: WebCall) -> bool:
    return call.request.query.get("mod") == "desktop"
