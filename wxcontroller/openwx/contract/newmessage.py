"""The fields of a message to send by ``POST /v1/accounts/NAME/messages``.

Apart from the description of the call, which an account does not load.
"""

from collections.abc import Mapping

# Fields of a send, in JSON or a form; a form may have a file besides.
FIELDS: Mapping[str, type] = {
    "to": str,
    "text": str,
    "reply_to": str,
    "media_url": str,
    "media_id": str,
    "media_name": str,
    "media_type": str,
    "interim": bool,
    "urgent": bool,
    "hold": float,
    "wait": float,
}
FILE_FIELD = "file"
