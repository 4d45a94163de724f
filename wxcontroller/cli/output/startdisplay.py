"""The displays of a start: a live one for terminals, lines for everything else; and a bar for several accounts."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from textwrap import fill
from threading import Event

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.spinner import Spinner
from rich.text import Text

from wxcontroller.cli.clierrors import NoLongerFollowed
from wxcontroller.cli.connection.account import AccountView
from wxcontroller.cli.language import say, wrapped
from wxcontroller.cli.output.terminal import qr_text, too_small
from wxcontroller.core.condition.facts import Condition
from wxcontroller.core.text import templates
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_

_STEPS = (Condition.LOADING, Condition.SCANNING, Condition.CONFIRMING, Condition.UPDATING, Condition.RUNNING)
_WORDS = {
    Condition.STARTING: N_("the unit is starting"),
    Condition.UP: N_("the unit is running"),
    Condition.INIT: N_("the client is starting"),
    Condition.LOADING: N_("looking for a stored session, or fetching a QR code"),
    Condition.SCANNING: N_("scan this code with WeChat on the phone"),
    Condition.CONFIRMING: N_("scanned; confirm the login on the phone"),
    Condition.UPDATING: N_("logged in; loading account data"),
    Condition.RUNNING: N_("running"),
    Condition.OFFLINE: N_("WeChat does not answer at the moment"),
}


@contextmanager
def display_for(target: Console) -> Iterator["LiveDisplay | LineDisplay"]:
    """Yield the display that suits the output: a terminal or lines."""
    if target.is_terminal and not target.is_dumb_terminal:
        with Live(console=target, transient=True, auto_refresh=False) as live:
            yield LiveDisplay(live)
    else:
        yield LineDisplay(target)


class LiveDisplay:
    """Steps, a spinner with the current status, and the QR code if there is one, redrawn in place. The spinner stops
    next to a code: each frame would redraw the code, which flickers over a slow connection.
    """

    def __init__(self, live: Live) -> None:
        self._console = live.console
        self._live = live
        self._spinner = Spinner("dots", text="")
        live.update(self._spinner)  # for words before the first state
        self._printed = ""  # the link of a code that was too tall to be redrawn in place
        self._shown: tuple[str, ...] = ()  # shown since the last drawing

    def show(self, account: AccountView, link: str) -> None:
        words = say(account.words or _WORDS.get(account.condition, account.condition.value))
        state = link, account.condition.value, words, str(self._console.size)
        if link and state == self._shown:
            return
        self._shown = state
        parts: list[RenderableType] = []
        if link:
            code = qr_text(link, self._console.color_system is not None)
            if not too_small(code, self._console, below=4):
                parts.append(code)
            elif small := too_small(code, self._console, below=2):
                call = command("qr", account.name, "--output", "qr.svg")
                lines = wrapped(say("{small}; enlarge it, or:", small=small), self._console.width)
                parts.extend(map(Text, [*lines, fill(call, self._console.width)]))
            elif link != self._printed:
                self._console.print(code)
                self._printed = link
        parts.append(steps(account))
        self._spinner.update(text=Text(account.name + say(": ") + words))
        parts.append(self._spinner)
        self._live.update(Group(*parts), refresh=True)

    def say(self, words: templates.Text) -> None:
        self._spinner.update(text=Text(say(words)))
        self._shown = ()
        self._live.refresh()


class LineDisplay:
    """One line for each change, with the time."""

    def __init__(self, target: Console) -> None:
        self._console = target
        self._state = ""
        self._remark = templates.NOTHING
        self._link = ""

    def show(self, account: AccountView, link: str) -> None:
        words = say(account.words or _WORDS.get(account.condition, ""))
        parts = account.name, say(account.condition.value), *([words] if words else [])
        state = say(": ").join(parts)
        if state != self._state:
            self._line(state)
            self._state = state
        if link and link != self._link:
            # Not the link itself: such lines end up in logs, and anyone who has the link can start a login.
            call = command("qr", account.name)
            self._line(
                say("{account}: a QR code is ready; show it with: {command}", account=account.name, command=call)
            )
        self._link = link or self._link

    def say(self, words: templates.Text) -> None:
        if words != self._remark:
            self._line(say(words))
            self._remark = words

    def _line(self, words: str) -> None:
        self._console.print(f"{time.strftime('%H:%M:%S')} {words}")


@contextmanager
def bar_for(target: Console, total: int) -> Iterator["Bar"]:
    """Give a bar, which is shown on a terminal only."""
    progress = Progress(
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.description}", markup=False),
        console=target,
        transient=True,
        redirect_stderr=sys.stderr.isatty(),
    )
    bar = Bar(progress, total)
    with progress if target.is_terminal and not target.is_dumb_terminal else nullcontext():
        yield bar


class Bar:
    """Number of finished accounts, and the states of those in progress."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._now: dict[str, str] = {}
        self._progress = progress
        self._task = progress.add_task("", total=total)

    def state(self, name: str, word: str) -> None:
        """Show the state of an account in work; from any thread."""
        self._now[name] = word
        self._update(0)

    def ended(self, name: str) -> None:
        """Count an account as done."""
        self._now.pop(name, None)
        self._update(1)

    def _update(self, advance: int) -> None:
        words = say(", ").join(f"{name}{say(': ')}{say(word)}" for name, word in list(self._now.items()))
        self._progress.update(self._task, advance=advance, description=words)


class StateOnly:
    """For one of several accounts: its state next to the bar. Ends by ``stopped``."""

    def __init__(self, bar: Bar, stopped: Event) -> None:
        self._bar = bar
        self._stopped = stopped

    def show(self, account: AccountView, link: str) -> None:
        if self._stopped.is_set():
            raise NoLongerFollowed(
                N_("{account} is no longer followed; its state is unchanged"), account=account.name
            )
        self._bar.state(account.name, account.condition.value)

    def say(self, words: templates.Text) -> None:
        return


def steps(account: AccountView) -> Text:
    line = Text()
    at = _STEPS.index(account.condition) if account.condition in _STEPS else -1
    for position, step in enumerate(_STEPS):
        if position:
            line.append("  ")
        if position < at:
            line.append(f"✔ {say(step.value)}", "green")
        elif position == at:
            line.append(f"● {say(step.value)}", "bold")
        else:
            line.append(f"○ {say(step.value)}", "dim")
    return line
