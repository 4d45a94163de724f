"""Accounts that kill themselves between two durable steps, again and again: is anything lost or repeated?

Each run starts an account with one of the points of ``core.process.faultpoints`` and a count in its environment,
while people write to it and callers send through it, and waits until it has killed itself there. The next run starts
it again. WeChat is a sandbox that sends nothing again that was acknowledged. At the end of a chapter (some runs of
one account) the account runs undisturbed until all is settled, and what was sent is compared with what was reported:

- A message that came in is reported, in order, and a picture with its content. It may be reported again, but then
  as the same delivery.
- A send that was accepted, or repeated with its Idempotency-Key until it was, has arrived once. One whose caller lost
  the connection has arrived once or not at all; one that was refused has not.
- What has arrived is reported once, as a success, and nothing else is.

On the iLink route accounts are also logged out and scanned again. A login never shows a position or a context token
of another one.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import aiohttp

from tests.torture.ledger import Ledger
from tests.unit.durability.process import Process, processed
from tests.unit.durability.routes import ILINK, ROUTES, WEB, Route
from wxcontroller.core.condition.verdict import UNKNOWN_WORD
from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, obj, text
from wxcontroller.core.process.faultpoints import VARIABLE, Point
from wxcontroller.core.registry.account import LOGGED_OUT
from wxcontroller.sandbox.ilink.codes import ILinkCode
from wxcontroller.sandbox.world.ilinkbots import RecordedCall
from wxcontroller.sandbox.world.logins import LoginStage

_CHAPTER = 50  # runs of one account
_LIFE_SECONDS = 60.0  # in which a point is reached
_SETTLE_SECONDS = 240.0  # an account on the iLink route sends one message a second
_PAUSE = 0.06  # between two messages, on average
_STILL_QUEUED = -7
_NOT_SENT = "accepted and not sent"
_MAYBE = "it may have arrived"


# A call to WeChat, and which process of the account made it.
ProcessCall: TypeAlias = tuple[int, RecordedCall]


def lost_answers(calls: Sequence[ProcessCall], stored: Collection[str]) -> list[set[str]]:
    """Return the messages of each answer that was on its way to a process when that was killed.

    On the iLink route WeChat gives each answer once. What a poll shows as its position was on disk, so everything
    that it covers has to be, too; and so has what a killed process had ``stored``. Of the answers with other
    positions, only the last of a process can have been on its way: after any other it asked again, so it had read it.
    """
    polls = [(life, call) for life, call in calls if call.endpoint == "getupdates"]
    shown = {text(poll.body.get("get_updates_buf")) for _, poll in polls} | {*stored}
    last = {life: poll.seq for life, poll in polls}
    return [
        {text(obj(msg)["message_id"]) for msg in items(poll.answer.get("msgs"))}
        for life, poll in polls
        if poll.seq == last[life] and poll.answer.get("msgs") and text(poll.answer["get_updates_buf"]) not in shown
    ]


def foreign_marks(calls: Sequence[ProcessCall]) -> list[str]:
    """Return the calls that showed a position or a context token of another login."""
    owners: dict[str, str] = {}
    found: list[str] = []
    for _, call in calls:
        login = call.headers.get("Authorization", "")
        marks = text(call.body.get("get_updates_buf")), text(obj(call.body.get("msg")).get("context_token"))
        if any(mark and owners.get(mark, login) != login for mark in marks):
            found.append(f"{call.endpoint} {call.seq}")
        owners[text(call.answer.get("get_updates_buf"))] = login
        owners |= {text(obj(message).get("context_token")): login for message in items(call.answer.get("msgs"))}
    return found


def stored_position(state: Path) -> str:
    """Return the position that a killed process has on disk, from a copy: opening a log changes it."""
    with tempfile.TemporaryDirectory() as place:
        for path in state.glob("events.db*"):
            shutil.copy(path, place)
        with contextlib.closing(sqlite3.connect(Path(place, "events.db"))) as db:
            found = db.execute("SELECT value FROM driver WHERE name = 'position-ilink'").fetchone()
    return text(obj(json.loads(found[0])).get("cursor")) if found else ""


@dataclass
class Chapter:
    """Runs of one account, with the people and callers around it."""

    account: Process
    chance: random.Random
    pause: float = _PAUSE  # seconds between two messages that come in, on average
    killed: Counter[Point] = field(default_factory=Counter)
    missed: int = 0  # runs that did not reach their point
    # Ids of messages that came in, and those of them that are pictures.
    incoming: list[str] = field(default_factory=list)
    pictures: set[str] = field(default_factory=set)
    # Texts of sends.
    accepted: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)
    renamed: list[str] = field(default_factory=list)  # keyed requests whose answers name different messages
    pending: dict[str, JsonValue] = field(default_factory=dict)  # keyed requests that are not accepted yet: answers
    stored: set[str] = field(default_factory=set)  # positions that killed processes had on disk
    _calls: list[ProcessCall] = field(default_factory=list)
    _life: int = 0  # how many processes have ended
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _silent: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, runs: int) -> list[str]:
        """Kill the account so many times; return what is wrong in the end."""
        self.account.account.resend = False
        await self.account.start(login=True)
        await self.account.kill()
        self._next_life()
        async with asyncio.TaskGroup() as group:
            _ = group.create_task(self._write())
            phone = group.create_task(self._scan())
            sending = [group.create_task(self._send(keyed)) for keyed in (True, False)]
            turn: list[Point] = []
            for _ in range(runs):
                points = [*self.account.route.latest]
                turn = turn or self.chance.sample(points, len(points))  # each comes before any comes again
                await self._run(turn.pop())
            self.account.environ.pop(VARIABLE, None)
            await self.account.launch()
            self._next_life()
            await self.account.until_state("running")
            self._over.set()
            _, waiting = await asyncio.wait(sending, timeout=_SETTLE_SECONDS)
            for task in waiting:
                task.cancel()
            self._silent.set()  # not cancelled: a picture that is being sent would not be noted
            phone.cancel()
        await self._settled()
        await self.account.stop()
        return self._faults()

    @property
    def refused_by_wechat(self) -> int:
        return sum(call.endpoint == "sendmessage" and bool(call.answer.get("ret")) for _, call in self._calls)

    async def _run(self, point: Point) -> None:
        self.account.environ[VARIABLE] = f"{point}:{self.chance.randint(1, self.account.route.latest[point])}"
        if point in (Point.LOGIN_CONFIRMED, Point.LOGIN_STORED):
            self.account.environ[LOGGED_OUT] = f"logout {self._life}"
        await self.account.launch()
        self._next_life()
        process = self.account.process
        assert process is not None
        try:
            async with asyncio.timeout(_LIFE_SECONDS):
                await process.wait()
        except TimeoutError:
            self.missed += 1
            print(f"{self.account.environ[VARIABLE]} not reached:", *self.account.log.read_text().splitlines()[-8:])
            await self.account.kill()
        else:
            assert process.returncode == -9, self.account.log.read_text()
            self.killed[point] += 1

    def _next_life(self) -> None:
        """Separate calls of the process that has ended from those of the next, which has made none yet.

        Not when it ends: a request that it leaves behind is answered a moment later on a busy machine.
        """
        self._note_calls()
        self._life += 1
        if self.account.route is ILINK:
            self.stored.add(stored_position(self.account.paths.state("alice")))

    def _note_calls(self) -> None:
        """Note WeChat's new calls; their answers come into the same objects."""
        ilink = self.account.wechat.sandbox.ilink
        noted = self._calls[-1][1].seq if self._calls else 0
        self._calls += [
            (self._life, call)
            for call in ilink.exchanges
            if call.seq > noted and call.uin == self.account.account.uin
            if call.endpoint in ("getupdates", "sendmessage")
        ]

    def _faults(self) -> list[str]:
        """Compare what was sent with what WeChat has got and with the reports."""
        self._note_calls()
        arrived = self.account.arrived()
        reports = list(zip(self.account.webhook.ids, self.account.webhook.reports, strict=True))
        # On the iLink route a lost answer is asked for once more only: each try may use up a message.
        maybe = {str(report["content"]) for _, report in reports if str(report.get("info")).startswith(_MAYBE)}
        reported = {str(report.get("id")) for _, report in reports}
        # Each of these answers is lost as a whole, or not at all.
        lost = {one for answer in lost_answers(self._calls, self.stored) if not answer & reported for one in answer}
        ledger = Ledger()
        ledger.sent = {
            "in": [message for message in self.incoming if message not in lost],
            "out": [sent for sent in arrived if sent not in maybe],
        }
        for delivery, report in reports:
            if report.get("post_type") == "receive_message":
                message = str(report["id"])
                is_complete = message not in self.pictures or bool(report["media_size"])
                ledger.reports.append(("in", message if is_complete else f"no picture: {message}", delivery))
            elif report.get("post_type") == "send_message" and report["content"] not in maybe:
                name = str(report["content"]) if report["code"] == "" else f"failed: {report['content']}"
                ledger.reports.append(("out", name, delivery))
        found, times = ledger.faults(), Counter(arrived)
        for what, texts in (
            (_NOT_SENT, [one for one in self.accepted if not times[one] and one not in maybe]),
            ("sent more than once", [one for one, number in times.items() if number > 1]),
            ("refused and sent", [one for one in self.refused if times[one]]),
            ("sent by nobody", [*times.keys() - {*self.accepted, *self.refused, *self.unsure}]),
            ("answered differently when repeated", self.renamed),
            ("never accepted", [f"{one}: {answer}" for one, answer in self.pending.items()]),
            ("marks of another login", foreign_marks(self._calls)),
        ):
            found += [f"{what}: {text}" for text in texts]
        return found

    # -- the people and callers

    async def _write(self) -> None:
        """Be people who write to it, also while it is down."""
        while not self._silent.is_set():
            await self._write_one()
            await self._pause(self.pause)

    async def _scan(self) -> None:
        """Be the owner, who scans the code that is shown."""
        while True:
            link = self.account.state().get("qrcode_link")
            for code in self.account.wechat.sandbox.logins.newest_first() if link else ():
                if isinstance(code, ILinkCode) and code.link == link and code.state is LoginStage.WAITING:
                    ILINK.confirm(self.account, code)
            await asyncio.sleep(0.05)

    async def _write_one(self) -> None:
        if self.chance.random() < 0.1:
            message = await self.account.route.show(self.account)
            self.pictures.add(message)
        else:
            message = self.account.route.write(self.account, f"message {len(self.incoming)}")
        self.incoming.append(message)

    async def _send(self, keyed: bool) -> None:
        """Be a caller, whose requests have keys or not."""
        number = 0
        while not self._over.is_set():
            number += 1
            later = self.chance.random() < 0.5
            if keyed:
                await self._send_keyed(f"keyed {number}", later)
            else:
                await self._send_once(f"once {number}", later)
            await self._pause()

    async def _send_once(self, text: str, later: bool) -> None:
        try:
            code = (await self._call(text, later))["code"]
        except aiohttp.ClientConnectorError:
            self.refused.append(text)
        except (aiohttp.ClientError, TimeoutError):
            self.unsure.append(text)
        else:
            unsure = self.unsure if code is None else self.refused
            (self.accepted if code in (0, _STILL_QUEUED) else unsure).append(text)

    async def _send_keyed(self, text: str, later: bool) -> None:
        """Repeat the request until it is accepted, and then once more: it is the same message."""
        handles: list[JsonValue] = []
        while len(handles) < 2:
            try:
                answer = await self._call(text, later, key=text)
            except (aiohttp.ClientError, TimeoutError):
                pass
            else:
                if answer["code"] == 0:
                    handles.append(answer.get("id"))
                    continue
                if answer.get("status") == UNKNOWN_WORD:  # two processes were killed while they sent it
                    self.unsure.append(text)
                    return
                self.pending[text] = answer
            await asyncio.sleep(0.1)
        self.pending.pop(text, None)
        self.accepted.append(text)
        if handles[0] != handles[1]:
            self.renamed.append(f"{text}: {handles}")

    async def _call(self, text: str, later: bool, key: str = "") -> JsonObject:
        recipient = self.account.route.recipient(self.account)
        form = {"id": recipient, "content": text, **({"async": "1"} if later else {})}
        async with asyncio.timeout(5):
            return obj((await self.account.call("send_friend_message", form, key=key))[1])

    async def _pause(self, seconds: float = _PAUSE) -> None:
        await asyncio.sleep(self.chance.expovariate(1 / seconds))

    async def _settled(self) -> None:
        """Wait until everything has arrived, or for so long that it never will."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while (faults := self._faults()) and time.monotonic() < deadline:
            if any(fault.startswith(_NOT_SENT) for fault in faults):  # held, perhaps, until somebody writes
                await self._write_one()
            await asyncio.sleep(0.5)


@dataclass
class Result:
    """The sum of all chapters."""

    killed: Counter[Point] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing is wrong, and enough points were reached that this means something."""
        missed = self.counts["points not reached"]
        return not (self.faults or self.counts["refused by WeChat"]) and missed <= 0.1 * (
            missed + self.killed.total()
        )

    def __str__(self) -> str:
        points = ", ".join(f"{point} {self.killed[point]}" for point in Point if point in self.killed)
        counts = ", ".join(f"{number} {what}" for what, number in self.counts.items())
        verdict = f"{len(self.faults)} FAULTS" if self.faults else "nothing lost, nothing repeated"
        return f"{self.killed.total()} kills ({points}), {counts}: {verdict}"

    def add(self, chapter: Chapter, faults: Sequence[str]) -> None:
        self.killed += chapter.killed
        self.counts["points not reached"] += chapter.missed
        self.counts["messages"] += len(chapter.incoming)
        self.counts["sends accepted"] += len(chapter.accepted)
        self.counts["refused by WeChat"] += chapter.refused_by_wechat
        self.faults += faults


async def crash(runs: int, seed: int, directory: Path, route: Route = WEB, pause: float = _PAUSE) -> Result:
    """Make so many runs on a route, two accounts at a time, with a message every ``pause`` seconds."""
    result = Result()
    number = max(2, -(-runs // _CHAPTER))
    parts = [(which, runs // number + (which < runs % number)) for which in range(number)]

    async def work() -> None:
        while parts:
            which, part = parts.pop(0)
            place = directory / str(which)
            await asyncio.to_thread(place.mkdir)
            async with processed(place, route) as account:
                chapter = Chapter(account, random.Random(f"{seed} {which}"), pause)
                faults = [f"account {which}: {fault}" for fault in await chapter.run(part)]
                result.add(chapter, faults)
                if faults:
                    print(account.log.read_text()[-5000:], *faults[:50], sep="\n", flush=True)
            print(result, flush=True)

    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            _ = group.create_task(work())
    return result


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python3 -m tests.torture.crashpoints",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--route", choices=[route.name for route in ROUTES], default=WEB.name)
    parser.add_argument("--pause", type=float, default=_PAUSE, help="seconds between two messages, on average")
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}: {chosen.runs} crashes on the {chosen.route} route", flush=True)
    logging.getLogger("aiohttp.server").disabled = True  # each kill breaks off some requests
    with tempfile.TemporaryDirectory() as directory:
        route = next(one for one in ROUTES if one.name == chosen.route)
        result = asyncio.run(crash(chosen.runs, chosen.seed, Path(directory), route, chosen.pause))
    return 0 if result.good else 1


if __name__ == "__main__":
    sys.exit(main())
