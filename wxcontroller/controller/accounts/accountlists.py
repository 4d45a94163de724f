"""Answers about all accounts, cached as bytes: an account's part is rebuilt when its view changes or becomes
outdated.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from wxcontroller.controller.accounts.view import View, account_json, stand_in_state
from wxcontroller.controller.callers.authentication import Caller
from wxcontroller.core.paths import Paths
from wxcontroller.openwx.contract.replies import to_bytes


@dataclass(frozen=True, slots=True)
class AnswerPart:
    """The answer about one account, b"" for none. It is true from ``begin`` to ``end`` (``time.time``)."""

    view: View
    body: bytes
    begin: float = 0.0
    end: float = float("inf")

    def holds(self, view: View, now: float) -> bool:
        # Before its start: the clock was set back.
        return self.view is view and self.begin <= now < self.end


class AnswerParts:
    """The parts of one answer. ``make`` makes one; ``whole`` makes the answer of them."""

    def __init__(self, make: Callable[[View, float], AnswerPart], join: Callable[[list[AnswerPart]], bytes]) -> None:
        self._make = make
        self._whole = join
        self._parts: list[AnswerPart] = []
        self._views: tuple[View, ...] | None = None
        self._begin, self._end = 0.0, 0.0
        self._body = b""

    def answer(self, views: tuple[View, ...], who: Caller) -> bytes:
        """Return the answer about those of the accounts that are the caller's."""
        parts = self.parts(views, who)
        return self._body if who.instances is None else self._whole(parts)

    def parts(self, views: tuple[View, ...], who: Caller) -> list[AnswerPart]:
        """Return the parts of that answer."""
        now = time.time()
        if views is not self._views or not self._begin <= now < self._end:
            current = {id(part.view): part for part in self._parts if part.begin <= now < part.end}
            self._parts = [current.get(id(view)) or self._make(view, now) for view in views]
            self._views = views
            self._begin = max((part.begin for part in self._parts), default=0.0)
            self._end = min((part.end for part in self._parts), default=float("inf"))
            self._body = self._whole(self._parts)
        if who.instances is None:
            return self._parts
        return [part for part in self._parts if who.may_see(part.view.instance)]


class KeptAnswers:
    """The answers of ``check_client`` and ``GET /v1/accounts``."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self.check_client = AnswerParts(self._state, _states)
        self.accounts = AnswerParts(_account, _accounts)

    def state(self, view: View) -> bytes | None:
        """Return an account's STATE, None when there should be one and is not."""
        if view.live is not None:
            return view.live.rendered(view.account.port)
        if view.unit.has_process and not view.starting:
            return None
        return to_bytes(stand_in_state(view, self._paths))

    def _state(self, view: View, _: float) -> AnswerPart:
        return AnswerPart(view, self.state(view) or b"" if view.registered else b"")


def states(found: list[bytes], unreadable: list[str]) -> bytes:
    """Return the answer of check_client (openwx-api 1.4)."""
    tail = b',"unreadable":' + to_bytes(list(unreadable)) if unreadable else b""
    return b"".join(
        (b'{"client":[', b",".join(found), b'],"code":0', tail, b"}")
    )  # ``+`` copies a megabyte each time


def found_and_unreadable(parts: list[AnswerPart]) -> tuple[list[bytes], list[str]]:
    """Return the arguments of ``states``."""
    found = [part.body for part in parts if part.body]
    empty = [part.view for part in parts if not part.body] if len(found) < len(parts) else []
    return found, [view.account.name.name for view in empty if view.registered]


def _states(parts: list[AnswerPart]) -> bytes:
    return states(*found_and_unreadable(parts))


def _account(view: View, now: float) -> AnswerPart:
    assessment = view.assessment(now)
    return AnswerPart(view, to_bytes(account_json(view, assessment)), now, assessment.until)


def _accounts(parts: list[AnswerPart]) -> bytes:
    return b"".join((b'{"accounts":[', b",".join([part.body for part in parts]), b"]}"))
