"""Idempotency keys: requests with the same key are carried out once and get the same answer."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from wxcontroller.client.callertasks import Tasks
from wxcontroller.client.sends.model.send import Request
from wxcontroller.client.store.sendstore import SendStore
from wxcontroller.core.jsontypes import JsonObject

# Parameters that do not belong to the request itself.
_BESIDE = frozenset({"client", "datatype", "callback", "token"})


class OtherRequest(Exception):
    """The key was used before with another request."""


def fingerprint_of(call: str, parameters: Mapping[str, str], content: bytes) -> str:
    """Return a hash that identifies equal requests; ``content`` is one of the request's media."""
    digest = hashlib.sha256(call.encode())
    for name, value in sorted(parameters.items()):
        if name not in _BESIDE:
            # With its length before each, so that no two different requests have the same bytes.
            for part in (name.encode("utf-8", "replace"), value.encode("utf-8", "replace")):
                digest.update(b"%d:" % len(part) + part)
    digest.update(b"content:" + content)
    return digest.hexdigest()


@dataclass(slots=True)
class Requests:
    """The account's requests with keys. A repeated request waits for the same answer as the one under way."""

    store: SendStore
    tasks: Tasks
    _running: dict[str, tuple[str, "asyncio.Task[JsonObject | None]"]] = field(default_factory=dict)

    async def once(
        self,
        request: Request,
        work: Callable[[], Awaitable[JsonObject]],
        again: Callable[[Request], Awaitable[JsonObject]],
    ) -> JsonObject:
        """Return the answer of ``work``, or of ``again`` when the request is known. Raises OtherRequest, Unavailable.

        Both continue if the caller disconnects.
        """
        fingerprint, task = self._running.get(request.key, ("", None))
        if task is None:
            fingerprint, task = request.fingerprint, self.tasks.begin(self._answer(request, work, again))
            self._running[request.key] = fingerprint, task
            task.add_done_callback(lambda _: self._running.pop(request.key, None))
        # Shielded: a caller that disconnects and repeats the request must find it still under way.
        answer = await asyncio.shield(task) if fingerprint == request.fingerprint else None
        if answer is None:
            raise OtherRequest
        return answer

    async def _answer(
        self,
        request: Request,
        work: Callable[[], Awaitable[JsonObject]],
        again: Callable[[Request], Awaitable[JsonObject]],
    ) -> JsonObject | None:
        earlier = await self.store.request(request.key)
        try:
            if earlier is None:
                return await work()
            return await again(earlier) if earlier.fingerprint == request.fingerprint else None
        except OtherRequest:  # it was stored during this check
            return None
