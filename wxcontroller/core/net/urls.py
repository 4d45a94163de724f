"""Addresses from outside, read by the library that will connect to them."""

import ipaddress

from yarl import URL

from wxcontroller.core.text.templates import Text


def is_web_address(text: str) -> bool:
    """Return whether text begins as an address of the web does; the scheme has no case (RFC 3986, 3.1)."""
    return text[:8].lower().startswith(("http://", "https://"))


def url_of(text: str) -> URL:
    """Return an address as a URL. Raises ValueError for anything else."""
    try:
        url = URL(text)
        _, host = url.port, url.raw_host
    except IndexError:  # http://[]/, in some versions
        raise ValueError(Text("is not a valid address")) from None
    if host is not None and ":" in host:
        ipaddress.IPv6Address(host)
    return url
