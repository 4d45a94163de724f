"""An action on one account, or on several at a time.

One plain name is the usual case: it is followed with its QR code on the screen, and its JSON is one object. Several
names, or a pattern, are done by at most four at a time; each has a line when it ends, its JSON is an element of an
array, and a summary follows. A person cannot scan several codes at once, so an account that needs a scan is no longer
followed, and the command that shows its code is printed, unless the caller waits for scans. The exit code is then the
highest of all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from fnmatch import fnmatchcase
from threading import Event
from typing import TYPE_CHECKING, Generic, TypeVar

import click

from wxcontroller.cli.clierrors import NeedsHuman, ScanNeeded
from wxcontroller.cli.context import WxctlRun, error_as_json
from wxcontroller.cli.exits import INTERRUPTED
from wxcontroller.cli.language import tell
from wxcontroller.core.condition.facts import Condition
from wxcontroller.core.errors import UnknownAccount, WxError
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.names import AccountName, is_derived, parse_name
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_, Text

if TYPE_CHECKING:
    from wxcontroller.cli.connection.account import AccountView
    from wxcontroller.cli.connection.api import Api
    from wxcontroller.cli.output.startdisplay import Bar

# The number of units on which the controller has systemd act at a time.
_AT_ONCE = 4
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Following:
    """How many ``seconds`` to follow a start, 0 for not at all, and whether also while a code waits for its scan.

    ``scans`` is None for: only if the code is shown on a terminal.
    """

    seconds: float
    scans: bool | None = None


class ActionWatch(ABC):
    """Shows the progress of an action."""

    def note(self, words: Text) -> None:
        """Show a message immediately, in addition to the result."""
        tell(words, err=True)

    def follow(self, account: AccountName, view: AccountView, following: Following) -> AccountView:
        """Follow a start until the account runs, if at all. Raises as ``follow.follow``."""
        return self.shown(account, following) if following.seconds else view

    @abstractmethod
    def shown(self, account: AccountName, following: Following) -> AccountView:
        """Show an account while it is followed; return it."""


@dataclass(frozen=True, slots=True)
class Work(Generic[_T]):
    """An action on each account.

    ``act`` runs in a thread, ``finish`` after it in the main thread: it returns the result as JSON and as
    text. Patterns match stopped accounts only if ``stopped_too``.
    """

    act: Callable[[Api, AccountName, ActionWatch], _T]
    finish: Callable[[AccountName, _T], tuple[JsonObject, Text]]
    stopped_too: bool = True


def is_pattern(text: str) -> bool:
    """Whether it is a pattern: names contain none of these characters."""
    return any(character in text for character in "*?[")


def matches_account(pattern: str, name: str, instance: str) -> bool:
    """Return whether a name, a generated id or a pattern matches an account."""
    return pattern in (name, instance) or (is_pattern(pattern) and fnmatchcase(name, pattern))


def is_several(names: Sequence[str]) -> bool:
    """Return whether results have the form for several accounts, also if the names mean only one."""
    return len(names) > 1 or is_pattern(names[0])


def chosen(api: Api, names: Sequence[str], stopped_too: bool) -> list[AccountName]:
    """Return the accounts that names, generated ids and patterns mean, each once; see ``Work.stopped_too``.

    A plain name need not be registered. Raises BadName, and UnknownAccount for a pattern or an id without accounts.
    """
    plain = {pattern: parse_name(pattern) for pattern in names if not is_pattern(pattern) and not is_derived(pattern)}
    registered = api.accounts() if len(plain) < len(names) else []
    found: dict[str, AccountName] = {}
    for pattern in names:
        views = [view for view in registered if matches_account(pattern, view.name, view.instance)]
        fitting = [
            view
            for view in views
            if stopped_too or pattern == view.instance or view.condition is not Condition.STOPPED
        ]
        matching = [plain[pattern]] if pattern in plain else [parse_name(view.name) for view in fitting]
        if not matching and views:
            raise UnknownAccount(
                N_("all accounts that match {given} are stopped"),
                N_("start them: {start}"),
                given=pattern,
                start=command("start", pattern),
            )
        if not matching:
            raise UnknownAccount(N_("no account matches {given}"), N_("wxctl list shows the accounts"), given=pattern)
        found |= {name.name: name for name in matching}
    return list(found.values())


def run(
    session: WxctlRun,
    names: Sequence[str],
    work: Work[_T],
    ask: Callable[[Api, list[AccountName]], None] | None = None,
) -> None:
    """Do ``work`` for the accounts that ``names`` mean, once ``ask`` has not raised, and write the results.

    Raises WxError for one account's failure, Exit with the highest exit code for several.
    """
    api = session.api()
    for pattern in names:
        if not is_pattern(pattern) and not is_derived(pattern):
            parse_name(pattern)
    api.probe()
    accounts = chosen(api, names, work.stopped_too)
    if ask is not None:
        ask(api, accounts)
    if is_several(names):
        if code := run_for_each(session, api, accounts, work):
            raise click.exceptions.Exit(code)
        return
    [account] = accounts
    result, words = work.finish(account, work.act(api, account, _Alone(session, api)))
    if not session.emitted(result):
        tell(words)


@dataclass(frozen=True, slots=True)
class _Alone(ActionWatch):
    """Watches one account: the login on the screen."""

    session: WxctlRun
    api: Api

    def shown(self, account: AccountName, following: Following) -> AccountView:
        from wxcontroller.cli.connection.follow import follow
        from wxcontroller.cli.output.startdisplay import display_for
        from wxcontroller.cli.output.terminal import console
        from wxcontroller.cli.verbs.account.answer import answer_on_terminal

        target = console(stderr=self.session.json)
        scans = following.scans if following.scans is not None else target.is_terminal
        try:
            while True:
                try:
                    with display_for(target) as display:
                        return follow(self.api, account, display, following.seconds, scans)
                except NeedsHuman:
                    if not answer_on_terminal(self.session, self.api, account):
                        raise
        except KeyboardInterrupt:
            tell(
                "\n"
                "wxctl: no longer following {account}; the account is left as it is\n"
                "  see it: {command}   stop it: {command2}",
                err=True,
                account=account.name,
                command=command("status", account.name),
                command2=command("stop", account.name),
            )
            raise click.exceptions.Exit(INTERRUPTED) from None


def run_for_each(session: WxctlRun, api: Api, accounts: list[AccountName], work: Work[_T]) -> int:
    from wxcontroller.cli.output.startdisplay import bar_for
    from wxcontroller.cli.output.terminal import console

    results: dict[str, JsonValue] = {}
    codes: list[int] = []

    def settle(account: AccountName, future: Future[_T]) -> None:
        bar.ended(account.name)
        try:
            result, words = work.finish(account, future.result())
        except WxError as problem:
            codes.append(problem.exit_code)
            results[account.name] = {"name": account.name, **error_as_json(problem)}
            if not session.json:
                session.report(problem)
        else:
            codes.append(0)
            results[account.name] = result
            if not session.json:
                tell(words)

    with bar_for(console(stderr=session.json), len(accounts)) as bar, ThreadPoolExecutor(_AT_ONCE) as pool:
        watch = _Several(api, bar)
        running = {pool.submit(work.act, api, account, watch): account for account in accounts}
        try:
            for future in as_completed(running):
                settle(running[future], future)
        except KeyboardInterrupt:
            watch.stopped.set()
            pool.shutdown(cancel_futures=True)
            for future, account in running.items():
                if not future.cancelled() and account.name not in results:
                    settle(account, future)
    codes += [INTERRUPTED] * (len(accounts) - len(codes))
    if not session.emitted([results[account.name] for account in accounts if account.name in results]):
        tell(summary(codes))
    return max(codes)


def summary(codes: list[int]) -> Text:
    done, scans, interrupted = map(codes.count, (0, ScanNeeded.exit_code, INTERRUPTED))
    counts = Text(N_("{done} done, {failed} failed"), done=done, failed=len(codes) - done - scans - interrupted)
    if scans:
        counts = Text(N_("{counts}, {number} to be scanned"), counts=counts, number=scans)
    if interrupted:
        counts = Text(N_("{counts}, {number} interrupted"), counts=counts, number=interrupted)
    return Text("{n} account: {counts}", "{n} accounts: {counts}", n=len(codes), counts=counts)


class _Several(ActionWatch):
    """Watches several accounts: states next to the bar."""

    def __init__(self, api: Api, bar: Bar) -> None:
        self._api = api
        self._bar = bar
        self.stopped = Event()

    def shown(self, account: AccountName, following: Following) -> AccountView:
        from wxcontroller.cli.connection.follow import follow
        from wxcontroller.cli.output.startdisplay import StateOnly

        display = StateOnly(self._bar, self.stopped)
        return follow(self._api, account, display, following.seconds, following.scans is True)
