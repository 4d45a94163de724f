"""Waiting for somebody's answer to a message (openwx-api 2.4, consult)."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from wxcontroller.client.outgoing import Job
from wxcontroller.core.model import Direction, Message


@dataclass(frozen=True, slots=True, eq=False)
class _Question:
    job: Job
    answer: asyncio.Future[Message]


@dataclass(slots=True)
class Consults:
    """Who waits for whose next message. Several may wait for the same person; each gets the answer."""

    _open: list[_Question] = field(default_factory=list)

    @contextmanager
    def asked(self, job: Job) -> Iterator[asyncio.Future[Message]]:
        """Wait for the first message of the job's receiver that comes after the job went out."""
        question = _Question(job, asyncio.get_running_loop().create_future())
        self._open.append(question)
        try:
            yield question.answer
        finally:
            self._open.remove(question)
            question.answer.cancel()

    def heard(self, message: Message) -> None:
        """Take note of a message that arrived."""
        if message.is_group or message.direction is not Direction.RECEIVED:
            return
        for question in self._open:
            job = question.job
            if job.target == message.sender and not question.answer.done() and (job.in_flight or job.result.done()):
                question.answer.set_result(message)
