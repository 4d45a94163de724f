"""Addresses from outside, read by the library that will connect to them."""

import ipaddress

from yarl import URL


def url_of(given: str) -> URL:
    """Return an address as a URL. Raises ValueError for what is none."""
    try:
        url = URL(given)
        _, host = url.port, url.raw_host
    except IndexError:  # http://[]/, in some versions
        raise ValueError("is no address") from None
    if host is not None and ":" in host:
        ipaddress.IPv6Address(host)
    return url
