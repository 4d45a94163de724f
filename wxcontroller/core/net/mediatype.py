"""The media type of content from outside."""


def media_type(content_type: str) -> str:
    """Return the media type that a Content-Type header names, in lower case and without parameters; "" for none.

    aiohttp's ``content_type`` raises UnicodeEncodeError for a header with both valid UTF-8 and other bytes.
    """
    kind = content_type.partition(";")[0].strip().lower()
    return kind if kind.isascii() else ""
