"""A running account's status, from its program, for requests that need it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from wxcontroller.controller.account_port.portfailures import NotAnswering, PortFailure
from wxcontroller.controller.account_port.ports import PROGRAM_ANSWER_BYTES, PROGRAM_ANSWER_VALUES, AccountPorts
from wxcontroller.controller.accounts.accountlists import AnswerPart
from wxcontroller.controller.accounts.view import account_json
from wxcontroller.controller.context import Context
from wxcontroller.controller.edge.failureanswers import json_response
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.records.accountrecords import ConsumerList, OptionsInUse, StatusRecord
from wxcontroller.core.records.decoding import Undecodable, as_object, decode
from wxcontroller.core.registry.account import Account
from wxcontroller.core.text.templates import N_, Text, text_fields, text_in
from wxcontroller.openwx.contract.replies import to_bytes

# The dashboard waits for it. A program that takes longer has a problem, which is then shown.
PROGRAM_ANSWER_SECONDS = 2.0
# What a program answers about itself.
_KINDS: Mapping[str, type[StatusRecord | ConsumerList | OptionsInUse]] = {
    "/v1/status": StatusRecord,
    "/v1/consumers": ConsumerList,
    "/v1/options": OptionsInUse,
}
# Added to the ACCOUNT; the controller knows the rest of the answer.
_SHOWN = ("queue", "reports", "media", "roster", "last_message_time", "last_sync_time", "memory")
# Kept answers, of a few KiB each.
_KEPT = 1000
# Optional fields: not every route has a reply window.
_SHOWN_IF_SENT = ("capabilities", "windows", "sending", "consumers")


@dataclass(frozen=True, slots=True)
class Answer:
    """An account's answer about itself: ``content``, or None with the ``reason``."""

    content: JsonObject | None = None
    reason: Text = Text("")

    def as_json(self) -> JsonObject:
        """Return what a status adds to an ACCOUNT: ``client``, or null and ``client_reason``."""
        status = self.content
        if status is None:
            return {"client": None, **text_fields(client_reason=self.reason)}
        client: JsonValue = {"version": status.get("version"), "pid": status.get("pid")}
        # Its proxy may differ from the registry's: a credential, which the controller cannot read, may set it.
        way: JsonObject = {"proxy": status["proxy"]} if isinstance(status.get("proxy"), str) else {}
        more: JsonObject = {key: status[key] for key in _SHOWN_IF_SENT if key in status}
        return {
            "client": client,
            **text_fields(client_reason=self.reason),
            **{key: status.get(key) for key in _SHOWN},
            **more,
            **way,
        }


async def ask(
    ports: AccountPorts, account: Account, path: str = "/v1/status", seconds: float = PROGRAM_ANSWER_SECONDS
) -> Answer:
    """Ask an account's program about itself. Raises nothing: see Answer."""
    try:
        status, content = await ports.exchange(account, path, seconds, Scope.READ, "GET")
    except PortFailure as problem:
        return Answer(reason=problem.what)
    return answer_of(account, path, status, content)


def answer_of(account: Account, path: str, status: int, content: bytes) -> Answer:
    """Return what an account's program has answered about itself."""
    if status != 200:
        return Answer(reason=Text(N_("its process answered {status} to {path}"), status=status, path=path))
    try:
        found = decode(content, _KINDS[path.partition("?")[0]], PROGRAM_ANSWER_VALUES)
    except Undecodable as problem:
        return Answer(reason=Text(N_("its response to {path} is not usable: {why}"), path=path, why=str(problem)))
    # A program in its unit that is not ours may answer for another account, as a proxy does.
    if account.name.instance != found.instance and account.name.name != found.account:
        why = "names another account"
        return Answer(reason=Text(N_("its response to {path} is not usable: {why}"), path=path, why=why))
    return Answer(as_object(found))


async def keep_user(ports: AccountPorts, account: Account, scope: Scope) -> bool:
    """Have an account's program refuse other WeChat users at its next login.

    Return whether it does: False on a route that cannot, and for a first login. Raises PortFailure.
    """
    status, content = await ports.ask(account, "/v1/keep-user", PROGRAM_ANSWER_SECONDS, scope, "POST")
    if status != 200:
        raise NotAnswering(
            account, Text(N_("its process answered {status} to {path}"), status=status, path="/v1/keep-user")
        )
    return content.get("kept") is True


async def logout(ports: AccountPorts, account: Account, seconds: float, scope: Scope) -> None:
    """Have an account's program end its WeChat session. Raises PortFailure, with the program's own words."""
    status, content = await ports.ask(account, "/v1/logout", seconds, scope, "POST")
    if status != 200:
        answered = Text(N_("its process answered {status} to {path}"), status=status, path="/v1/logout")
        raise NotAnswering(account, text_in(content.get("error"), "message") or answered)


class AccountStatuses:
    """The answers to GET /v1/accounts/{name}: an account with the status of its process, if that responds.

    An answer is kept as bytes until the account's view or its process's answer changes (``AnswerWriter``).
    """

    limit = PROGRAM_ANSWER_BYTES

    def __init__(self, shared: Context) -> None:
        self._shared = shared
        self._kept: dict[str, tuple[AnswerPart, bytes]] = {}  # with the process's answer

    async def write(self, account: Account, status: int, content: bytes) -> bytes:
        """See AnswerWriter."""
        instance, accounts, now = account.name.instance, self._shared.accounts, time.time()
        view = accounts.recent_view(instance) or await accounts.require(account.name.name)
        part, answered = self._kept.get(instance, (None, b""))
        if part is None or content != answered or status != 200 or not part.holds(view, now):
            answer = answer_of(account, "/v1/status", status, content[: self.limit])
            if answer.content is None:
                raise NotAnswering(account, answer.reason)
            assessment = view.assessment(now)
            body = to_bytes({**account_json(view, assessment), **answer.as_json()})
            part = AnswerPart(view, body, now, assessment.until)
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[instance] = part, content
        return part.body

    async def failed(self, account: Account, problem: PortFailure, _: web.Request) -> web.StreamResponse:
        """Return the answer about an account whose process did not respond."""
        view = await self._shared.accounts.require(account.name.name)
        return json_response({**account_json(view), **Answer(reason=problem.what).as_json()})
