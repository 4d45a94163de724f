"""What a running account says of itself: its queue and the like, asked for at its own port when somebody looks.

Where that port is says the register, as for every call that is passed on; whose answer it is says the answer.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from yarl import URL

from wxcontroller.controller.view import View
from wxcontroller.core.jsontypes import JsonObject, JsonValue, obj, read_json

# The answer of an account's program about itself. People wait for it at the dashboard, and a program that takes
# longer has trouble, which is what they want to see.
PROGRAM_ANSWER_BYTES = 64 << 10
PROGRAM_ANSWER_SECONDS = 2.0
# What is shown beside the ACCOUNT; the rest of the answer the controller knows itself.
_SHOWN = ("queue", "reports", "media", "roster", "last_message_time", "last_sync_time", "memory")


@dataclass(frozen=True, slots=True)
class Told:
    """The answer of an account's program; ``reason`` says in words why there is none."""

    status: JsonObject | None = None
    reason: str = ""

    def as_json(self) -> JsonObject:
        """Return what it adds to an ACCOUNT: ``client``, null with ``client_reason`` when it told nothing."""
        if self.status is None:
            return {"client": None, "client_reason": self.reason}
        client: JsonValue = {"version": self.status.get("version"), "pid": self.status.get("pid")}
        # It may have another proxy than the register says: one by a credential, which the controller can't read.
        way: JsonObject = {"proxy": self.status["proxy"]} if isinstance(self.status.get("proxy"), str) else {}
        return {"client": client, "client_reason": "", **{key: self.status.get(key) for key in _SHOWN}, **way}


async def ask(
    web: aiohttp.ClientSession,
    view: View,
    headers: Mapping[str, str],
    path: str = "/v1/status",
) -> Told:
    """Ask an account's program how it is, or what else is at its port; ``headers`` tell it who asks.

    Takes PROGRAM_ANSWER_SECONDS at most and raises nothing: see Told.
    """
    if not view.unit.has_process:
        return Told(reason="it does not run")
    port, patience = view.account.port, PROGRAM_ANSWER_SECONDS
    timeout = aiohttp.ClientTimeout(total=patience)
    url = URL.build(scheme="http", host="127.0.0.1", port=port, path=path)
    try:
        async with (
            asyncio.timeout(patience),
            web.get(url, headers=headers, allow_redirects=False, timeout=timeout) as answer,
        ):
            content = await bounded(answer, PROGRAM_ANSWER_BYTES) if answer.status == 200 else b""
    except TimeoutError:
        return Told(reason=f"it did not answer within {patience:g} s at port {port}")
    except aiohttp.ClientConnectorError:
        starting = "; it is starting" if view.starting else ""
        return Told(reason=f"nobody listens at its port {port}{starting}")
    except (aiohttp.ClientError, OSError):
        return Told(reason=f"it broke off its answer at port {port}")
    if answer.status != 200:
        return Told(reason=f"the program at port {port} does not tell: it answers {answer.status} to {path}")
    try:
        status = obj(read_json(content))
    except ValueError:
        return Told(reason=f"the program at port {port} answers {path} with something else than JSON")
    if status.get("instance") != view.instance:
        return Told(reason=f"another program answers at port {port}: see ss -ltnp 'sport = :{port}'")
    return Told(status)


async def bounded(answer: aiohttp.ClientResponse, most: int) -> bytes:
    """Read an answer, no more than ``most`` bytes of it: what is cut off is not JSON any more."""
    content = b""
    async for piece in answer.content.iter_any():
        content += piece
        if len(content) > most:
            return content[:most]
    return content
