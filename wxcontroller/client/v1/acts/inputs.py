"""POST /v1/input at the account's port: a person's answer to what the driver waits for."""

import asyncio

from aiohttp import web

from wxcontroller.client.calls.call import Parts, json_answer
from wxcontroller.client.sends.content.callbodies import BODIES
from wxcontroller.client.v1.forms.selecting import bad, read_body
from wxcontroller.client.v1.forms.v1answers import RequestRefused
from wxcontroller.core.errors import BadAnswer, NotAsked, file_failed
from wxcontroller.core.jsontypes import obj
from wxcontroller.core.text.templates import N_, Text

_REMEDY = N_('send {"id": "allow-desktop", "value": "yes"}; GET /v1/status shows in input what is asked for')
# A driver may have to write the answer to disk before it counts.
_SECONDS = 10.0


class Inputs:
    """The call. ``parts`` are the running account's."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """POST ``{"id": …, "value": …}``: the driver continues with it."""
        input_id, value = answer_of(await request.app[BODIES].small(request))
        try:
            async with asyncio.timeout(_SECONDS):
                await self._parts.driver.answer(input_id, value)
        except NotAsked as problem:
            raise RequestRefused(409, "not-asked", problem.text, problem.remedy_text) from None
        except BadAnswer as problem:
            raise RequestRefused(400, "bad-request", problem.text, problem.remedy_text) from None
        except TimeoutError:
            raise RequestRefused(
                504, "too-slow", N_("the client did not read the answer in time"), N_("try it again")
            ) from None
        except OSError as problem:
            failed = file_failed(problem)
            raise RequestRefused(
                500, "disk", Text("the answer cannot be stored: {failed}", failed=failed.text), failed.remedy_text
            ) from None
        return json_answer({"account": self._parts.config.name.name, "id": input_id, "answered": True})


def answer_of(body: bytes) -> tuple[str, str]:
    """Return id and value of a body. Raises RequestRefused."""
    answer = obj(read_body(body, _REMEDY))
    input_id, value = answer.get("id"), answer.get("value")
    if not isinstance(input_id, str) or not isinstance(value, str):
        raise bad(N_("id and value must be texts"), _REMEDY)
    return input_id, value
