"""An alert to deliver, and programs to deliver it by."""

import time
from pathlib import Path

from wxcontroller.core.alerts import Alert, Happening, Item, Kind, Picture
from wxcontroller.core.messages import Text

PNG = b"\x89PNG a code"


def alert(number: int = 1, made: float | None = None) -> Alert:
    code = Picture("image/png", PNG, int(time.time()) if made is None else made)
    item = Item(
        Kind.SCAN,
        "小店",
        "x-abcdefghijklmno",
        1_700_000_000,
        Text("小店 needs scan {number}.", number=number),
        Text("wxctl qr 小店"),
        code,
    )
    return Alert(f"alert{number}", Happening.PROBLEM, 1_700_000_000, "vps1", (item,))


def program(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)
