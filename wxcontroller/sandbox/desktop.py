"""How the server tells the desktop client from a browser (2.2)."""

import hashlib

from wxcontroller.sandbox.call import Call

# SHA-256 of the extspam constant, which is long and of no meaning to us
_EXTSPAM = "11e2f840f98652979f09996c2c9bcdfef4e19c0e042dfcb00804818a369795e0"


def is_desktop(call: Call) -> bool:
    """True when query and headers are all those of the desktop client."""
    headers = call.request.headers
    spam = hashlib.sha256(headers.get("extspam", "").encode("utf-8", "surrogateescape")).hexdigest()
    return call.request.query.get("mod") == "desktop" and bool(headers.get("client-version")) and spam == _EXTSPAM


def tries_to_be_desktop(call: Call) -> bool:
    """True when anything in the request is the desktop client's."""
    headers = call.request.headers
    return call.request.query.get("mod") == "desktop" or "extspam" in headers or "client-version" in headers
