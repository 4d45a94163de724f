"""The program of wxcontroller-receive@.service: import an account from another host, or store its standby bundle, or
import an account of a lost host from its bundle here.

The controller passes on what it gets over the network; it is not trusted. The account is sealed with the passphrase
of the fleet, a file of root's on every host: only what root on one of them has sealed is taken in. Drop-ins never
are, as they would let root there run anything as root here.
"""

import json
import os
import sys
from functools import partial

from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.context import DEFAULT_URL, error_as_json, printable
from wxcontroller.cli.transfer.adoption import taken_over
from wxcontroller.cli.transfer.bundles import keep
from wxcontroller.cli.transfer.copy.pack import Manifest
from wxcontroller.cli.transfer.copy.preconditions import PATHS
from wxcontroller.cli.transfer.copy.seal import Locked
from wxcontroller.cli.transfer.importing import take_in
from wxcontroller.core.access.systemdcredentials import PLACE, read_credential
from wxcontroller.core.errors import BadSettings, WxError
from wxcontroller.core.text.templates import N_

CREDENTIAL = "fleet"
STANDBY, TAKEOVER = "standby", "takeover"
PASSPHRASE_FILE = str(PLACE / CREDENTIAL)
_LINE_BYTES = 80


def main() -> int:
    """Read a line and a sealed account from standard input; write one line of JSON, with notes.

    The line is "INSTANCE" for an account that is moved here, "INSTANCE standby" for a bundle, and "INSTANCE takeover"
    for an account that is adopted from its bundle here: nothing follows.
    """
    words = sys.stdin.buffer.readline(_LINE_BYTES).decode("ascii", "replace").split() or [""]
    try:
        api = Api(os.environ.get("WXCTL_URL") or DEFAULT_URL)
        # Each verifies that the content matches the announcement, which comes from the controller and is not trusted.
        if words[1:] == [STANDBY]:
            answer = keep(api, PATHS, sys.stdin.buffer, passphrase, words[0])
        elif words[1:] == [TAKEOVER]:
            answer = taken_over(api, words[0], passphrase())
        else:
            refuse_other = partial(_refuse_other, " ".join(words))
            account, found = take_in(api, sys.stdin.buffer, passphrase, None, refuse_other, this_host=True)
            answer = {**account, "files": found.files}
        code = 0
    except WxError as problem:
        answer, code = error_as_json(problem), problem.exit_code
    sys.stdout.write(printable(json.dumps(answer, ensure_ascii=False)) + "\n")
    sys.stdout.flush()
    # Read the rest of a refused account: otherwise the answer would not arrive.
    while sys.stdin.buffer.read(1 << 20):
        pass
    return code


def passphrase() -> bytes:
    if not (credential := read_credential(CREDENTIAL)):
        raise BadSettings(
            N_("this host has no passphrase of the fleet"),
            N_("write the passphrase of the other hosts into {file}"),
            file=PASSPHRASE_FILE,
        )
    return credential.encode()


def _refuse_other(expected: str, manifest: Manifest) -> None:
    if manifest.name.instance != expected or not manifest.move:
        raise Locked(
            N_("this is not the account {account} as wxctl move sends it"),
            N_("nothing was imported"),
            account=expected,
        )


if __name__ == "__main__":
    sys.exit(main())
