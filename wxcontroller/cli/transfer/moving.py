"""Moving accounts to another host of the fleet: the steps, in an order in which an account never runs on two.

1. Ask the other host whether it can take the account. Nothing has changed so far.
2. Mark the account's record here and stop it. From now on nothing starts it here (core/registry/leaving.py).
3. Note in the mark that it is being sent, then send it. The other host imports all of it, or nothing, and raises its
   epoch; it does not start it.
4. Have the other host start it, and wait until its unit is ready.
5. Remove it here.

A move that was interrupted is taken up from the mark and from what the other host says: its account has the id of the
move that brought it. Undoing is safe until step 4, as nothing but step 4 starts the account there.
"""

import fcntl
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from wxcontroller.cli.clierrors import BadUsage, MachineUnreachable, NoResponse, file_problems
from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.connection.systemd import disable
from wxcontroller.cli.context import WxctlRun
from wxcontroller.cli.transfer.copy.directory import stored_bytes
from wxcontroller.cli.transfer.copy.pack import CREDENTIALS, secret_file
from wxcontroller.cli.transfer.copy.preconditions import PATHS, at_home, disk_errors, leaving_of
from wxcontroller.cli.transfer.copy.quiescing import look
from wxcontroller.cli.transfer.copy.unitfiles import unit_files
from wxcontroller.cli.transfer.importing import rivals_of
from wxcontroller.cli.transfer.receiving import PASSPHRASE_FILE
from wxcontroller.cli.transfer.remotehost import host_named
from wxcontroller.cli.transfer.sending import SealedAccount
from wxcontroller.cli.work import ActionWatch, Work, is_pattern, matches_account, run
from wxcontroller.core.errors import (
    AccountExists,
    AccountMoved,
    ControllerUnreachable,
    UnknownAccount,
    WxError,
)
from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, items, obj, one_line, text
from wxcontroller.core.names import AccountName, is_derived, parse_name
from wxcontroller.core.registry.account import Account
from wxcontroller.core.registry.accountfiles import AccountFiles
from wxcontroller.core.registry.leaving import Leaving, gone_from
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_, Text

# Space that the other host needs in addition to the account: for databases' logs and new messages.
SPARE_BYTES = 64 << 20
_LOCK = Path("/run/wxctl-move.lock")


class NoSpace(WxError):
    """The other host has too little disk space for the account."""


@dataclass(frozen=True, slots=True)
class ArrivalState:
    """An account's state on the other host. ``account`` is its row there, or empty."""

    receiving: bool
    under_way: bool
    free: int
    account: JsonObject

    def arrived_by(self, move: str) -> bool:
        """Return whether the account arrived in this move."""
        return bool(self.account) and text(self.account.get("arrived")) == move


def moved(session: WxctlRun, names: Sequence[str], host: str, leave_behind: bool) -> None:
    """Run ``wxctl move NAME... HOST``. Raises WxError."""
    api = at_home(session)
    remote = host_named(host)
    secret = fleet_passphrase()
    with hold_move_lock():
        chosen = _chosen(names, host)

        def act(_: Api, name: AccountName, watch: ActionWatch) -> JsonObject:
            return Move(api, remote, host, name, watch, secret, leave_behind).run()

        def finish(name: AccountName, result: JsonObject) -> tuple[JsonObject, Text]:
            return result, Text(N_("{account} has moved to host {host}"), account=name.name, host=host)

        run(session, chosen, Work(act, finish))


def undone(session: WxctlRun, names: Sequence[str]) -> None:
    """Run ``wxctl move --undo NAME...``. Raises WxError."""
    api = at_home(session)
    with hold_move_lock():

        def act(_: Api, name: AccountName, watch: ActionWatch) -> JsonObject:
            leaving = leaving_of(name)
            if leaving is None:
                raise _not_moving(api, name)
            with _other_host(leaving.to, name):
                remote = host_named(leaving.to)
            return Move(api, remote, leaving.to, name, watch, b"", leave_behind=False).undo(leaving)

        def finish(name: AccountName, result: JsonObject) -> tuple[JsonObject, Text]:
            return result, Text(N_("{account} stays on this host"), account=name.name)

        run(session, _chosen(names, ""), Work(act, finish))


@dataclass(frozen=True, slots=True)
class Move:
    """One account's move."""

    here: Api
    remote: Api
    host: str
    name: AccountName
    watch: ActionWatch
    passphrase: bytes
    leave_behind: bool

    def run(self) -> JsonObject:
        """Move it, or resume an interrupted move. Returns the account's state on the other host."""
        gone = gone_from(PATHS.gone_file(self.name.instance), self.name)
        # An interrupted command for several accounts is repeated with all of its names.
        if gone is not None and not is_here(self.name) and gone.to == self.host:
            return {"name": self.name.name, "to": self.host, "epoch": gone.epoch, "already": True}
        leaving = leaving_of(self.name)
        if leaving is not None and leaving.to != self.host:
            raise leaving.refused(self.name.name)
        there = self._ask()
        if leaving is None:
            self._refuse(there)
            leaving = Leaving(self.host, secrets.token_hex(8), ran=False)
        self._note(N_("{account}: stopping it here"))
        disable(self.here, self.name)
        self.here.leave(self.name, leaving.to, leaving.id, sent=leaving.sent)
        # As written by the controller, which noted whether the account ran.
        leaving = leaving_of(self.name) or leaving
        if not (rest := look(self.name)).quiet:
            raise WxError(
                N_("{account} is still {active}"),
                N_("stop it; then run this again"),
                account=self.name.name,
                active=rest.active,
            )
        if not there.arrived_by(leaving.id):
            self._send(leaving, there)
        account = self._started(leaving)
        carried = self._carried()
        left = self.here.has_left(self.name, leaving.id)
        # Last, because an account that stays needs them.
        for file in carried:
            file.unlink(missing_ok=True)
        for target in items(left.get("targets")):
            self._note(N_("{account}: its notification target {target} has ended; add it on the other host"), target)
        return {**account, "to": self.host, "already": False}

    def undo(self, leaving: Leaving) -> JsonObject:
        """Keep the account here, if it has not been started there."""
        if leaving.sent:
            there = self._ask()
            self._refuse_if_moving(there)
            if there.arrived_by(leaving.id):
                if text(there.account.get("desired")) != "stopped":
                    raise AccountMoved(
                        N_("{account} has been started on host {host}"),
                        N_("finish the move: {finish}; then move it back from there"),
                        account=self.name.name,
                        host=self.host,
                        finish=command("move", self.name.name, self.host),
                    )
                self.remote.send_back(self.name, leaving.id)
        return self.here.stay(self.name, leaving.id)

    def _ask(self) -> ArrivalState:
        with _other_host(self.host, self.name):
            content = self.remote.arrival(self.name)
        return ArrivalState(
            content.get("receiving") is True,
            content.get("under_way") is True,
            integer(content.get("free")),
            obj(content.get("account")),
        )

    def _refuse(self, there: ArrivalState) -> None:
        """Raise WxError for problems that can be detected before anything is stopped."""
        if there.account:
            raise AccountExists(
                N_("host {host} already has an account {account}"),
                N_("remove one of the two"),
                account=self.name.name,
                host=self.host,
            )
        if not there.receiving:
            raise WxError(
                N_("host {host} does not receive accounts"),
                N_("run there as root: systemctl enable --now wxcontroller-receive.socket"),
                host=self.host,
            )
        self._refuse_if_moving(there)
        place = PATHS.private_state(self.name.instance)
        with disk_errors(place):
            size = stored_bytes(self.name, place)
        if there.free < size + SPARE_BYTES:
            raise NoSpace(
                N_("host {host} has {free} MB free; {account} needs {size} MB"),
                N_("free some space there; {account} was not stopped"),
                host=self.host,
                free=there.free >> 20,
                account=self.name.name,
                size=(size + SPARE_BYTES) >> 20,
            )
        unit = unit_files(PATHS, self.name)
        stay = [*unit.files, *unit.odd, *unit.encrypted(PATHS)]
        if stay and not self.leave_behind:
            raise BadUsage(
                N_("{account} has drop-ins or encrypted credentials, which do not move: {files}"),
                N_("set them up on host {host} first, then add --leave-behind"),
                account=self.name.name,
                files=", ".join(stay),
                host=self.host,
            )

    def _refuse_if_moving(self, there: ArrivalState) -> None:
        if there.under_way:
            raise WxError(
                N_("host {host} is currently receiving {account}"),
                N_("run this again in a minute"),
                host=self.host,
                account=self.name.name,
            )

    def _send(self, leaving: Leaving, there: ArrivalState) -> None:
        """Send it. If it certainly did not arrive, it runs here again."""
        if there.account:
            raise AccountExists(
                N_("host {host} now has another account {account}"),
                N_("remove it there, or undo the move: {undo}"),
                account=self.name.name,
                host=self.host,
                undo=command("move", self.name.name, "--undo"),
            )
        # Before the first byte: from now on, only the other host knows whether the account is there.
        self.here.leave(self.name, leaving.to, leaving.id, sent=True)
        self._note(N_("{account}: sending it"))
        account = _registered(self.name)
        sealed = SealedAccount(account, self.passphrase, int(time.time()))
        try:
            self.remote.arrive(self.name, sealed.pieces)
        except (NoResponse, ControllerUnreachable) as problem:
            # The answer may have been lost behind a completed import. Without the last piece, nothing was imported.
            if sealed.problem is None and self._is_there(leaving):
                return
            raise self._interrupted(sealed.problem or problem) from None
        except WxError as problem:
            problem = sealed.problem or problem
            # A refusal alone does not prove that nothing has arrived, and the account is about to run here again.
            there = self._ask()
            if there.arrived_by(leaving.id):
                return
            if there.under_way:
                raise self._interrupted(problem) from None
            self.here.stay(self.name, leaving.id)
            raise WxError(
                N_("{account} stays on this host: {reason}"),
                problem.remedy_text,
                account=self.name.name,
                reason=problem.text,
            ) from None

    def _is_there(self, leaving: Leaving) -> bool:
        with suppress(WxError):
            return self._ask().arrived_by(leaving.id)
        return False

    def _interrupted(self, problem: WxError) -> WxError:
        return WxError(
            N_("the move of {account} was interrupted, and it is stopped: {reason}"),
            N_("finish the move: {finish}; or undo it: {undo}"),
            account=self.name.name,
            reason=problem.text,
            finish=command("move", self.name.name, self.host),
            undo=command("move", self.name.name, "--undo"),
        )

    def _started(self, leaving: Leaving) -> JsonObject:
        """Start it there if it ran here; return its state there. Raises WxError if it is not up."""
        if not leaving.ran:
            return self._ask().account
        self._note(N_("{account}: starting it on the other host"))
        try:
            return self.remote.start_arrived(self.name, leaving.id)
        except WxError as problem:
            raise WxError(
                N_("{account} is on host {host} and does not start there: {reason}"),
                N_("fix the cause above, then run: {finish}"),
                account=self.name.name,
                host=self.host,
                reason=problem.text,
                finish=command("move", self.name.name, self.host),
            ) from None

    def _carried(self) -> list[Path]:
        """Return the administrator's files that have moved: left here, they would apply to a later account of the
        same name.
        """
        instance = self.name.instance
        return [PATHS.override_file(instance), *(secret_file(PATHS, instance, each) for each in CREDENTIALS)]

    def _note(self, words: str, target: JsonValue = "") -> None:
        self.watch.note(Text(words, account=self.name.name, target=one_line(target)))


def _registered(name: AccountName) -> Account:
    return AccountFiles(PATHS).load(name.instance, overrides=False)


def is_here(name: AccountName) -> bool:
    return PATHS.account_file(name.instance).exists()


def _chosen(names: Sequence[str], host: str) -> list[str]:
    """Return the accounts of this host that names and patterns mean; also those that have moved to ``host``.

    Reads the registry, not the controller, which shows other hosts' accounts too. Raises UnknownAccount.
    """
    registered = [account.name for account in AccountFiles(PATHS).all()]
    found = dict[str, None]()
    for pattern in names:
        fitting = [name.name for name in registered if matches_account(pattern, name.name, name.instance)]
        if not fitting and not is_pattern(pattern) and not is_derived(pattern):
            name = parse_name(pattern)
            if is_here(name) or (host and gone_from(PATHS.gone_file(name.instance), name)):
                fitting = [name.name]
        if not fitting:
            remedy, is_name = N_("wxctl list shows the accounts"), not is_pattern(pattern) and not is_derived(pattern)
            if is_name and PATHS.standby_bundle(parse_name(pattern).instance).exists():
                remedy = N_("it has only a standby copy; if the account's host is off for good: {claim}")
            words = N_("no account of this host matches {given}")
            raise UnknownAccount(words, remedy, given=pattern, claim=command("claim", pattern))
        found |= dict.fromkeys(fitting)
    return list(found)


def _not_moving(api: Api, name: AccountName) -> UnknownAccount:
    """Return the refusal to undo a move of an account of which there is none."""
    others = ", ".join(rivals_of(api, name))
    remedy = N_("host {host} had it last; if that host is off for good: {claim}") if others else ""
    words, claim = N_("{account} is not being moved"), command("claim", name.name)
    return UnknownAccount(words, remedy, account=name.name, host=others, claim=claim)


@contextmanager
def _other_host(host: str, name: AccountName) -> Iterator[None]:
    """Raise a failure to reach the other host of a move with the way out if it is lost."""
    try:
        yield
    except (BadUsage, MachineUnreachable) as problem:  # the first: it is not in the settings any more
        raise type(problem)(
            problem.text,
            N_("{remedy}; if host {host} is off for good: {claim}"),
            remedy=problem.remedy_text,
            host=host,
            claim=command("claim", name.name),
        ) from None


def fleet_passphrase() -> bytes:
    """Return the passphrase that the hosts of the fleet share. Raises BadUsage."""
    with file_problems(
        N_("the passphrase of the fleet cannot be read from {file}: {reason}"),
        N_("write the same passphrase into this file on every host, readable only by root"),
        file=PASSPHRASE_FILE,
    ):
        found = Path(PASSPHRASE_FILE).read_text(encoding="utf-8").strip()
    if len(found) < 8:
        raise BadUsage(
            N_("the passphrase in {file} is too short"), N_("use at least 8 characters"), file=PASSPHRASE_FILE
        )
    return found.encode()


@contextmanager
def hold_move_lock() -> Iterator[None]:
    """Be the only one on this host that moves accounts: a move and its undoing must not meet. Raises WxError."""
    with _LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WxError(N_("another wxctl move is running on this host"), N_("wait until it has ended")) from None
        yield
