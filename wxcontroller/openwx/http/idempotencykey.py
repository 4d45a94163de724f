"""The key of a repeatable request: one check for the header, the parameter, and callers that do not use HTTP.

It follows the IETF's draft of the header Idempotency-Key; the key can also be a parameter, for scripts that cannot
set headers.
"""

import re
from collections.abc import Sequence

from wxcontroller.core.text.templates import N_
from wxcontroller.openwx.http.parameters import BadParameter

KEY_HEADER = "Idempotency-Key"
KEY_PARAMETER = "idempotency_key"
_KEY = re.compile(r"[!-~]([ -~]{0,253}[!-~])?")


def key_of(headers: Sequence[str], parameter: str) -> str:
    """Return a request's key, "" for none. Raises BadParameter.

    The draft puts it into quotation marks, which many programs omit: the key is the same with and without them.
    """
    found = {*(header.strip() for header in headers), *([parameter] if parameter else [])}
    keys = {key[1:-1] if len(key) > 1 and key[0] == key[-1] == '"' else key for key in found}
    if not keys:
        return ""
    if len(keys) > 1:
        raise BadParameter(
            N_("{key_header} and {key_parameter} are more than one key"),
            key_header=KEY_HEADER,
            key_parameter=KEY_PARAMETER,
        )
    [key] = keys
    if not _KEY.fullmatch(key):
        raise BadParameter(
            N_("the {key_header} must be 1 to 255 printable ASCII characters, as a random UUID"),
            key_header=KEY_HEADER,
        )
    return key
