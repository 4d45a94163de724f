"""Addresses from outside, read by the library that will connect to them."""

from yarl import URL


def url_of(given: str) -> URL:
    """Return an address as a URL. Raises ValueError for what is none."""
    try:
        url = URL(given)
        _ = url.port
    except IndexError:  # http://[]/, in some versions
        raise ValueError("is no address") from None
    return url
