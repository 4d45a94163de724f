"""Blocking calls that may hang, each in a daemon thread of its own.

asyncio's default executor has few threads. A call that hangs, as on a dead disk or for a dead name server, keeps its
thread after its caller's timeout, and a few of them leave none for others. Neither the event loop nor the end of the
process waits for the threads made here, and none is kept between calls.
"""

import asyncio
import contextlib
import errno
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def in_own_thread(
    work: Callable[[], T], name: str, ended: Callable[[], object] = lambda: None
) -> "asyncio.Future[T]":
    """Return what ``work`` returns or raises in a thread of this ``name``; an OSError if there can be none.

    ``ended`` is called in the event loop when the thread has ended, also if nobody waits for it any more.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def finish(result: Sequence[T], problem: Exception | None) -> None:
        ended()
        if future.done():  # its caller did not wait
            return
        if problem is not None:
            future.set_exception(problem)
        else:
            future.set_result(result[0])

    def call() -> None:
        result: Sequence[T] = ()
        problem: Exception | None = None
        try:
            result = (work(),)
        except Exception as error:
            problem = error
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(finish, result, problem)

    try:
        threading.Thread(target=call, name=name, daemon=True).start()
    except RuntimeError as problem:  # no more threads for this process (TasksMax)
        finish((), OSError(errno.EAGAIN, str(problem)))
    return future
