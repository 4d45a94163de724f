"""A client that can be made to hang; a drop-in runs it in place of wxclient.

A file ``hang-send`` or ``hang-disk`` in the account's state directory makes that part wait for ever. The file is
removed then, so that it happens once.
"""

import asyncio
import os
import sqlite3
import sys
import threading
from pathlib import Path
from typing import Any

from wxcontroller.client import __main__ as program
from wxcontroller.client.sends import sender
from wxcontroller.client.store.database import writer
from wxcontroller.client.store.database.writer import Database
from wxcontroller.drivers.base import Sent
from wxcontroller.drivers.web.driver import WebDriver

STATE = Path(os.environ["STATE_DIRECTORY"])
send_text, commit = WebDriver.send_text, Database._commit


def must_hang(part: str) -> bool:
    try:
        (STATE / f"hang-{part}").unlink()
    except FileNotFoundError:
        return False
    return True


async def send_or_hang(self: WebDriver, to: str, content: str, client_id: str) -> Sent:
    if must_hang("send"):
        await asyncio.Event().wait()
    return await send_text(self, to, content, client_id)


def commit_or_hang(self: Database, connection: sqlite3.Connection, jobs: Any) -> Any:
    if jobs and must_hang("disk"):
        threading.Event().wait()
    return commit(self, connection, jobs)


WebDriver.send_text = send_or_hang  # type: ignore[method-assign]
Database._commit = commit_or_hang  # type: ignore[method-assign]
# By default these are minutes.
sender.STUCK_SECONDS = writer._STUCK_SECONDS = 8.0
sys.exit(program.main())
