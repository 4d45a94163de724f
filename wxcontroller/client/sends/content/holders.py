"""Whose content a send has: the caller's token, agent or target, by which the account shares its disk.

The controller names the holder of a call, because only it knows its tokens; the account's own port takes it from the
token. A caller without a token is not limited: while there are no tokens, all callers are programs of this machine.
"""

import hashlib
from collections.abc import Mapping

from aiohttp import web

from wxcontroller.client.store.database.privatefiles import SEND_PREFIX

# Of a request, set with its scope; and in the stored parameters of content, where no caller can set it, since theirs
# begin with "media_": content that is fetched after a restart belongs to the same holder.
_OF_REQUEST = "holder of the caller's token"
_PARAMETER = "holder"


def set_holder(request: web.Request, holder: str) -> None:
    request[_OF_REQUEST] = holder


def parameters_of(request: web.Request) -> dict[str, str]:
    """Return the parameter that names a request's holder, none for a caller without a token."""
    return held_by(request.get(_OF_REQUEST, ""))


def held_by(holder: str) -> dict[str, str]:
    return {_PARAMETER: holder} if holder else {}


def prefix_of(params: Mapping[str, str]) -> str:
    """Return how the names of files with a holder's content begin; SEND_PREFIX alone if there is no holder."""
    holder = params.get(_PARAMETER)
    # Hashed: a name of any characters and length. A dot, which is in no name of a file without a holder.
    return f"{SEND_PREFIX}{hashlib.sha256(holder.encode()).hexdigest()[:16]}." if holder else SEND_PREFIX
