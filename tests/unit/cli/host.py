"""The real controller in a thread, with accounts in the states that a test needs."""

import contextlib
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import unquote

from aiohttp import web

from tests.inthread import in_thread
from tests.patience import until
from tests.tokens import token
from tests.unit.controller.machine import Machine, Process
from wxcontroller.controller.accounts.units import UnitRecord
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.jsontypes import JsonObject, JsonValue, text
from wxcontroller.core.names import AccountName, parse_name
from wxcontroller.core.registry.account import Account
from wxcontroller.core.registry.accountfiles import AccountFiles
from wxcontroller.core.states import LoginState, UnitState
from wxcontroller.core.text.templates import Text, text_fields

T = TypeVar("T")
LINK = "https://login.weixin.qq.com/l/AbCdEfGhIj=="
RISK = "WeChat may warn about this account's safety"


@dataclass(frozen=True)
class State:
    """A state of an account: its state file if its process runs, else its unit (None: systemd has none)."""

    file: JsonObject | None = None
    unit: UnitState | None = None
    sub: str = ""
    loops: bool = False
    wanted: bool = True

    def but(self, **facts: JsonValue) -> "State":
        return replace(self, file={**(self.file or {}), **facts})


def up(login: LoginState, /, **facts: JsonValue) -> State:
    return State({"login_state": login.value, **facts})


def parked(reason: Text, **facts: JsonValue) -> State:
    return up(LoginState.PARKED, **text_fields(status=reason, reason=reason), **facts)


_CODE = Text("the phone shows a code")
_SCAN = Text("waiting for a scan of QR code {number} of {limit}", number=1, limit=10)
_PEOPLE = {"people": Text("{n} contact", "{n} contacts", n=1), "groups": Text("{n} group", "{n} groups", n=2)}
SCANNING = up(LoginState.SCANNING, qrcode_link=LINK, **text_fields(status=_SCAN))
CONFIRMING = up(LoginState.CONFIRMING, **text_fields(status=Text("scanned; waiting for the phone to confirm")))
RUNNING = up(
    LoginState.RUNNING,
    **text_fields(status=Text("logged in as {who}, {people}, {groups}", who="爱丽丝", **_PEOPLE)),
    user={"id": "@me", "name": "爱丽丝"},
)
PARKED = parked(Text("no phone scanned any of the QR codes"))
ASKING = parked(
    Text(RISK), input={"id": "allow-desktop", "kind": "consent", **text_fields(prompt=Text(RISK)), "digits": None}
)
ASKING_CODE = up(
    LoginState.CONFIRMING,
    **text_fields(status=_CODE),
    input={"id": "verify-code", "kind": "code", **text_fields(prompt=_CODE), "digits": 6},
)
FAILED = State(unit=UnitState.FAILED, sub="failed")
RESTARTING = State(unit=UnitState.ACTIVATING, sub="auto-restart")
CRASH_LOOP = replace(RESTARTING, loops=True)
DOWN = State()
STOPPED = State(wanted=False)


class Host:
    """A controller that records the requests that it answers."""

    def __init__(self, root: Path) -> None:
        self.machine = Machine(root)
        self.machine.answered_by_others = ("/v1/accounts",)  # tests give accounts only what they need
        self.machine.on_answer.append(self._answered)
        # States that an account goes through, one after each look at it. Without, it is after a restart as it was.
        self.script: list[State] = []
        self.requests: list[web.Request] = []
        self._states: dict[str, State] = {}

    @contextlib.contextmanager
    def running(self) -> Iterator[Self]:
        with in_thread(self.machine) as self._thread:
            yield self

    @property
    def url(self) -> str:
        return self.machine.url

    @property
    def port(self) -> int:
        return self.machine.address[1]

    @property
    def asked(self) -> list[str]:
        """The requests that were answered: methods and paths below /v1, without those for its health.

        Also those that went on to an account, which are not among ``requests``.
        """
        each = [unquote(request.partition("?")[0]).replace("/v1/", "", 1) for request in self.machine.received]
        return [one for one in each if one != "GET health"]

    @property
    def changes(self) -> list[str]:
        """Requests that change something."""
        return [each for each in self.asked if not each.startswith("GET ")]

    @property
    def names(self) -> list[str]:
        return [name.name for name in self._accounts()]

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Await something where the controller runs."""
        return self._thread.run(work)

    def call(self, work: Callable[[], object]) -> None:
        """Call something there."""
        self._thread.loop.call_soon_threadsafe(work)

    def add(self, name: str, state: State = STOPPED, **options: str) -> None:
        """Register an account, if it is not, and bring it into a state."""
        self.do(self._add(name, state, options))

    def until(self, condition: Callable[[], object]) -> None:
        self.do(until(condition))

    def break_off(self) -> None:
        """Break all connections, as a crash does; to be called where the controller runs."""
        for connection in self.machine.server._open():
            connection.force_close()

    def process(self, name: str) -> Process:
        return self.machine.process(name)

    def token(self, name: str = "one", scope: Scope = Scope.ADMIN, *accounts: str) -> str:
        """Make a token: from now on each call needs one."""
        return token(self.machine, scope, *accounts, name=name)

    def _accounts(self) -> dict[AccountName, Account]:
        files = AccountFiles(self.machine.paths)
        return {account.name: account for account in map(files.load, files.instances())}

    async def _add(self, name: str, state: State, options: dict[str, str]) -> None:
        if parse_name(name) not in self._accounts():
            await self.machine.accounts.add(parse_name(name), options, options)
        self._states[name] = state
        await self._put(name, state)

    async def _put(self, name: str, state: State) -> None:
        accounts, units, account = self.machine.accounts, self.machine.units, parse_name(name)
        if not state.wanted:
            await accounts.stop(name)
            return
        if account.instance not in units.processes:
            await accounts.start(account, {}, {})
        (accounts.crash_loops.add if state.loops else accounts.crash_loops.discard)(account.instance)
        if state.file is not None:
            login = LoginState(text(state.file["login_state"]))
            self.process(name).say(login, **{"state_since": int(time.time()) - 300, **state.file})
            return
        await units.kill(account.instance)
        units.records.pop(account.instance)
        if state.unit is not None:
            units.records[account.instance] = UnitRecord(account.instance, state.unit, state.sub)

    async def _answered(self, request: web.Request, _: web.StreamResponse) -> None:
        self.requests.append(request)
        if name := request.match_info.get("name"):
            state = self._states.get(name)
            if self.script and request.method == "GET" and request.path.endswith(f"/{name}"):
                await self._put(name, self.script.pop(0))
            elif state is not None and state.wanted and request.path.endswith(("/start", "/restart")):
                await self._put(name, state)
