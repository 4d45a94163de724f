"""Deliveries as the reference libraries of Standard Webhooks verify them, in Python and JavaScript."""

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.programs import ROOT, output_of
from tests.unit.client.conftest import POST_API, Start, listener, start, webhook  # noqa: F401
from tests.unit.client.listener import Listener
from tests.unit.client.scripted import message
from wxcontroller.client.deliveries.signatures import signatures
from wxcontroller.core.webhooksecrets import standard_form

FETCHED = ROOT / ".cache" / "thirdparty"
PROGRAMS = Path(__file__).parent / "clients"
LIBRARIES = {
    "python": ("standardwebhooks", (sys.executable, str(PROGRAMS / "verify_standardwebhooks.py"))),
    "javascript": ("standardwebhooks-js", ("node", str(PROGRAMS / "verify_standardwebhooks.mjs"))),
}
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def verify(library: str, deliveries: list[dict[str, Any]]) -> list[str]:
    """Return what the library says of each delivery."""
    name, command = LIBRARIES[library]
    if not (FETCHED / name).exists() or shutil.which(command[0]) is None:
        pytest.skip(f"{name} is not there: make test-deps")
    given = "".join(f"{json.dumps(one)}\n" for one in deliveries)
    return output_of(*command, FETCHED / name, given=given).splitlines()


@pytest.mark.parametrize("library", LIBRARIES)
async def test_library_accepts_deliveries_and_rejects_old_or_changed_ones(
    listener: Listener,  # noqa: F811
    start: Start,  # noqa: F811
    library: str,
) -> None:
    """While a secret changes, receivers with either secret accept what is delivered."""
    client = start(**{POST_API: listener.address, "WXCLIENT_WEBHOOK_SECRET": f"{WHSEC} old-secret"})
    await client.login()
    client.driver.play([message("早")])
    [(sent, content)] = await listener.tries(1)
    headers, body = {name.lower(): value for name, value in sent.items()}, content.decode()
    genuine = {"secret": WHSEC, "headers": headers, "body": body}
    # What somebody has recorded and sends again ten minutes later.
    old = str(int(time.time()) - 600)
    replayed = signatures([WHSEC], "1-1", old, content)
    said = verify(
        library,
        [
            genuine,
            {**genuine, "secret": standard_form("old-secret")},
            {**genuine, "secret": standard_form("another")},
            {**genuine, "body": body + " "},
            {**genuine, "headers": {**headers, "webhook-id": "1-2"}},
            {**genuine, "headers": replayed},
        ],
    )
    assert [one == "verified" for one in said] == [True, True, False, False, False, False]
    assert "old" in said[-1]
