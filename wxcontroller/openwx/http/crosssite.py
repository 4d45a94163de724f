"""Detecting calls of foreign web pages (openwx-api 5.3 no. 43).

The APIs listen on loopback and take GET for everything, so any page that is open on the machine could use them.
Browsers name the origin of a call in headers; callers without these headers are accepted. A page can also resolve its
own name to 127.0.0.1 (DNS rebinding): its calls then differ from our own page's only by the name in Host.
"""

import re
from collections.abc import Collection

_OWN_SITE = frozenset({"same-origin", "none"})
_LOOPBACK = re.compile(r"(?:localhost\.?|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)


def foreign_origin(origin: str | None, fetch_site: str | None, host: str | None, allowed: Collection[str]) -> bool:
    """Return whether a browser sent this for a page that is neither ours nor allowed.

    ``origin``, ``fetch_site`` and ``host`` are the headers Origin, Sec-Fetch-Site and Host, None when not sent.
    ``allowed`` are origins like ``https://panel.example:8443``, or ``*`` for all. Meaningful together with
    ``own_host`` only: that a page is ours is seen by its origin being the Host.
    """
    if "*" in allowed:
        return False
    if origin is not None:
        return origin not in allowed and origin.partition("://")[2] != host
    # Without Origin, as for a link or an image: only typed addresses, and our own pages.
    return fetch_site is not None and fetch_site not in _OWN_SITE


def own_host(host: str | None, allowed: Collection[str]) -> bool:
    """Return whether Host is a loopback address (127.0.0.0/8, [::1]) or ``localhost``, with any port.

    ``allowed`` are further names, as host names or as origins; ports in them are ignored, ``*`` means all. No Host at
    all (None) passes: browsers always send one.
    """
    if host is None or _LOOPBACK.fullmatch(host):
        return True
    return "*" in allowed or host_alone(host) in {host_alone(each) for each in allowed}


def host_alone(host: str) -> str:
    """Return the host alone, in lower case, of a host with or without port, or of an origin."""
    bare = host.rpartition("://")[2].lower()
    name, separator, port = bare.rpartition(":")
    return (name if separator and port.isdecimal() else bare).removesuffix(".")
