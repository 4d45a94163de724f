"""An account that is being moved to another host: the mark in its record here, and the file that remains afterwards.

A move must never leave an account on two hosts at once. So its record carries a mark from before its unit is stopped
until it runs on the other host (or the move is undone): while it exists, neither the controller nor systemd starts
the account for any reason. Once the account has gone, a file keeps where to and in which epoch, so that neither its
name nor an old backup creates a second account here by mistake.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from wxcontroller.core.errors import AccountMoved, AccountMoving, StaleEpoch
from wxcontroller.core.files.atomic import read_foreign, replace_file
from wxcontroller.core.jsontypes import JsonObject, integer, obj, one_line, read_json, text
from wxcontroller.core.names import AccountName
from wxcontroller.core.paths import CONTROLLERS_FILE_BYTES
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_

_MODE = 0o640


@dataclass(frozen=True, slots=True)
class Leaving:
    """The mark. ``id`` identifies the move on both hosts. ``ran``: the account was to run before.

    ``sent``: from now on the other host may have it, so that undoing has to ask there first.
    """

    to: str
    id: str
    ran: bool
    sent: bool = False

    def __str__(self) -> str:
        """Return it as a variable of the record."""
        return f"{self.to} {self.id} {'ran' if self.ran else 'stopped'} {'sent' if self.sent else 'kept'}"

    def as_json(self) -> JsonObject:
        return {"to": self.to, "id": self.id, "ran": self.ran, "sent": self.sent}

    def refused(self, name: str) -> AccountMoving:
        """Return why the account cannot be started or changed."""
        return AccountMoving(
            N_("account {account} is being moved to host {host}"),
            N_("finish the move: {finish}; or undo it: {undo}; if that host is off for good: {claim}"),
            account=name,
            host=self.to,
            finish=command("move", name, self.to),
            undo=command("move", name, "--undo"),
            claim=command("claim", name),
        )


def leaving_from(variable: str) -> Leaving | None:
    """Read the variable; None for an empty one. Raises ValueError."""
    if not variable:
        return None
    to, move, ran, sent = variable.split(" ")
    # Anything but "kept" counts as sent: if in doubt, the other host may have it.
    return Leaving(to, move, ran == "ran", sent != "kept")


@dataclass(frozen=True, slots=True)
class Gone:
    """The record of an account that has moved away: the host, the epoch it has there, and when it left."""

    name: AccountName
    to: str
    epoch: int
    at: int

    def write(self, path: Path) -> None:
        """Store it, durably. Raises OSError."""
        path.parent.mkdir(mode=0o750, exist_ok=True)
        content: JsonObject = {"name": self.name.name, "to": self.to, "epoch": self.epoch, "at": self.at}
        replace_file(path, json.dumps(content).encode(), _MODE, durable=True)

    def refuse(self, path: Path, epoch: int = 0) -> None:
        """Raise AccountMoved, or StaleEpoch for an account that returns with an earlier ``epoch`` than it left
        with."""
        if epoch > self.epoch:
            return
        if epoch:
            raise StaleEpoch(
                N_("account {account} has epoch {epoch}; it moved to host {host} with epoch {newer}"),
                N_("it is an old copy: move the account back from host {host}, or remove {file} if it is lost there"),
                account=self.name.name,
                epoch=epoch,
                host=self.to,
                newer=self.epoch,
                file=path,
            )
        raise AccountMoved(
            N_("account {account} has moved to host {host}"),
            N_("use it there, or move it back from there: wxctl move; if it is lost there, remove {file}"),
            account=self.name.name,
            host=self.to,
            file=path,
        )


def gone_from(path: Path, name: AccountName) -> Gone | None:
    """Read the record of an account that moved away; None for others. Raises OSError.

    A damaged file still counts as moved away.
    """
    try:
        content = obj(read_json(read_foreign(path, CONTROLLERS_FILE_BYTES)))
    except FileNotFoundError:
        return None
    except ValueError:
        content = {}
    return Gone(
        name, one_line(text(content.get("to"))) or "?", integer(content.get("epoch")), integer(content.get("at"))
    )
