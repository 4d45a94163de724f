"""Expected failures. Each states the failure and the remedy, and never contains secrets."""

import errno
from enum import Enum

from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_, Text, Value, text_fields, verbatim

# The messages of the C library and SQLite for failures of files and connections; others are shown in English.
_SYSTEM_ERRORS = (
    N_("Address already in use"),
    N_("Broken pipe"),
    N_("Cannot assign requested address"),
    N_("Connection refused"),
    N_("Connection reset by peer"),
    N_("Connection timed out"),
    N_("Disk quota exceeded"),
    N_("File exists"),
    N_("File name too long"),
    N_("Host is down"),
    N_("Input/output error"),
    N_("Is a directory"),
    N_("Name or service not known"),
    N_("Network is unreachable"),
    N_("No route to host"),
    N_("No space left on device"),
    N_("No such file or directory"),
    N_("Not a directory"),
    N_("Operation not permitted"),
    N_("Permission denied"),
    N_("Read-only file system"),
    N_("Temporary failure in name resolution"),
    N_("Too many open files"),
    N_("attempt to write a readonly database"),
    N_("database disk image is malformed"),
    N_("database is locked"),
    N_("database or disk is full"),
    N_("disk I/O error"),
    N_("file is not a database"),
    N_("unable to open database file"),
)


def reason_of(problem: Exception) -> Text:
    """Return the reason for a failure without Python's decoration, such as ``[Errno 13]``."""
    if isinstance(problem, WxError):
        return problem.full_text
    if isinstance(problem, UnicodeDecodeError):
        return Text("it is not UTF-8 text")
    if problem.args and isinstance(problem.args[0], Text):
        return problem.args[0]
    words = (problem.strerror if isinstance(problem, OSError) else "") or str(problem) or type(problem).__name__
    return Text(words) if words in _SYSTEM_ERRORS else verbatim(words)


class WxError(Exception):
    """Base of all expected failures.

    ``text`` states the failure and its account, ``remedy_text`` the remedy. Both are built from templates marked with
    N_ and share ``values``; ``message`` and ``remedy`` are their English renderings. ``code`` identifies the kind of
    failure to programs, ``status`` is the HTTP status of an answer of /v1 with it, and ``exit_code`` the status of a
    command that fails with it (see wxctl(1)). A subclass names what differs.
    """

    code = "failed"
    status = 500
    exit_code = 1

    def __init_subclass__(cls, code: str = "", status: int = 0, exit_code: int = 0) -> None:
        cls.code, cls.status, cls.exit_code = code or cls.code, status or cls.status, exit_code or cls.exit_code

    def __init__(self, message: str | Text, remedy: str | Text = "", /, **values: Value) -> None:
        super().__init__(message, remedy)
        self.text = message if isinstance(message, Text) else Text(message, **values)
        self.remedy_text = remedy if isinstance(remedy, Text) else Text(remedy, **values)

    @property
    def message(self) -> str:
        return str(self.text)

    @property
    def remedy(self) -> str:
        return str(self.remedy_text)

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}" if self.remedy_text else self.message

    def as_json(self) -> JsonObject:
        """Return the ``error`` object of /v1: in English, and to be rendered in another language."""
        values = {**self.remedy_text.values, **self.text.values}
        return {
            "code": self.code,
            **text_fields(message=self.text, remedy=self.remedy_text),
            "values": {
                name: value if isinstance(value, int | float) else str(value) for name, value in values.items()
            },
        }

    @property
    def full_text(self) -> Text:
        """Message and remedy as one text, to be used as a value in another."""
        return (
            Text(N_("{what}; {remedy}"), what=self.text, remedy=self.remedy_text) if self.remedy_text else self.text
        )


class FileFailed(WxError, code="disk"):
    """A file of this machine cannot be read or written."""


_DISK_FULL = N_("free some space; df -h shows which file system is full")
_CLOSED = N_("check owner and mode with ls -l")
_TOO_MANY_FILES = N_("too many files are open; raise LimitNOFILE= of the unit")
_REMEDIES = {
    errno.ENOSPC: _DISK_FULL,
    errno.EDQUOT: _DISK_FULL,
    errno.EROFS: N_("its file system is read-only; journalctl -k shows why"),
    errno.EIO: N_("the disk reports errors; see: journalctl -k"),
    errno.EACCES: _CLOSED,
    errno.EPERM: _CLOSED,
    errno.EMFILE: _TOO_MANY_FILES,
    errno.ENFILE: _TOO_MANY_FILES,
}


def file_failed(problem: OSError) -> FileFailed:
    """Return an OSError as a failure: which file, if it names one, why, and what to do about that cause."""
    remedy = _REMEDIES.get(problem.errno or 0, N_("run wxctl doctor"))
    if problem.filename is None:
        return FileFailed(N_("a file cannot be used: {reason}"), remedy, reason=reason_of(problem))
    return FileFailed(
        N_("{file} cannot be used: {reason}"), remedy, file=str(problem.filename), reason=reason_of(problem)
    )


class BadName(WxError, ValueError, code="bad-name", status=400, exit_code=2):
    """The account name is invalid."""


class BadUsage(WxError, ValueError, exit_code=2):
    """The arguments are invalid or contradict each other, or the controller rejected the request as malformed."""


class BadOption(WxError, ValueError, code="bad-option", status=400, exit_code=2):
    """An option is unknown, has an invalid value, or cannot be set by a request."""


class BadSettings(WxError, ValueError, exit_code=78):  # EX_CONFIG
    """The settings are invalid. The message names the file and the key."""


class TemplateError(WxError, code="template", exit_code=78):
    """The account template cannot be rendered, or its result lacks a required variable."""


class BadEnvironmentFile(WxError, ValueError, code="bad-account-file"):
    """An account's environment file cannot be parsed."""


class NoPort(WxError, code="no-port", status=503):
    """No port is free in the range for accounts."""


class AccountExists(WxError, code="account-exists", status=409, exit_code=8):
    """An account of this name already exists."""


class AccountMoving(WxError, code="moving", status=409, exit_code=5):
    """The account is being moved to another host."""


class AccountMoved(WxError, code="moved", status=409, exit_code=8):
    """The account has moved to another host."""


class StaleEpoch(AccountMoved, code="stale-epoch"):
    """The copy of the account is from before its move."""


class OtherRoute(WxError, code="other-route", status=409, exit_code=5):
    """The driver of a running account cannot be changed."""


class UnknownAccount(WxError, LookupError, code="unknown-account", status=404, exit_code=4):
    """No account has this name."""


class HostFailure(WxError, code="host-unreachable", status=502, exit_code=3):
    """Another host of the fleet gave no usable response."""

    def __init__(self, host: str, reason: Text, timed_out: bool = False, account: str = "") -> None:
        """``account`` is the one that the call is about, if the host is down and another one may claim it."""
        remedy = N_("check the controller on host {host}; wxctl fleet shows all hosts")
        if account:
            remedy = N_("check the controller on host {host}; if that host is off for good: {claim}")
        words = N_("host {host} is unreachable: {reason}")
        super().__init__(words, remedy, host=host, reason=reason, claim=command("claim", account))
        self.reason = reason
        if timed_out:
            self.status = 504


class WrongHost(WxError, code="wrong-host", status=409, exit_code=8):
    """The call reached a host that must not serve it: the account is on another host, or on two."""


class UnitFailed(WxError, code="unit-failed", status=502, exit_code=5):
    """systemd refused or failed an action."""


class ControllerUnreachable(WxError, ConnectionError, exit_code=3):
    """The controller does not respond at its address."""


class NotAllowed(WxError, PermissionError, exit_code=7):
    """The controller refuses the caller, or does not allow the call."""


class Unsupported(WxError):
    """An action that this account's route to WeChat does not support."""


class NotAsked(WxError, LookupError):
    """An answer that the account's route does not wait for."""


class BadAnswer(WxError, ValueError, exit_code=2):
    """The answer does not have the form that its question requires."""


class FailureHandling(Enum):
    """The handling of a failed send that a driver requests.

    Only the driver knows its route's codes; the send queue knows only these values.
    """

    # Transient: try again with the same client id, which cannot deliver the message twice.
    RETRY_SAME_ID = "retry-same-id"
    # Throttled: this send is refused, and no other should follow for a while.
    WAIT = "wait"
    # Nothing can be sent to this peer before it writes. The send is refused: the queue holds none for a peer.
    WAIT_FOR_PEER = "wait-for-peer"
    # Refused: trying again cannot help.
    NEVER = "never"


class WeChatError(WxError):
    """WeChat answered with a refusal, or with something unreadable.

    ``ret`` is the route's return code, or None. ``unsure``: the call may have taken effect
    nevertheless; by default true without a code. ``handling``: how to treat a send that failed this way; by
    default a code is a refusal, and no code a connection that may recover. ``unreachable``: there was no connection.
    """

    def __init__(
        self,
        message: str | Text,
        remedy: str | Text = "",
        /,
        *,
        ret: int | None = None,
        unsure: bool | None = None,
        handling: FailureHandling | None = None,
        **values: Value,
    ) -> None:
        super().__init__(message, remedy, **values)
        self.ret = ret
        self.unsure = ret is None if unsure is None else unsure
        self.handling = handling or (FailureHandling.RETRY_SAME_ID if ret is None else FailureHandling.NEVER)
        self.unreachable = ret is None and not self.unsure and self.handling is FailureHandling.RETRY_SAME_ID


class ReferenceRefused(WeChatError):
    """WeChat may not accept the reference by which content was sent on: upload the content instead if it is here.

    Otherwise the failure is ``cause``, and handled as such.
    """

    def __init__(self, cause: WeChatError) -> None:
        super().__init__(cause.text, cause.remedy_text, ret=cause.ret, unsure=cause.unsure, handling=cause.handling)


class UploadFailed(WeChatError):
    """WeChat did not accept a file: ``cause`` is the reason, at piece number ``piece`` of ``pieces``."""

    def __init__(self, cause: WeChatError, piece: int, pieces: int) -> None:
        super().__init__(cause.text, cause.remedy_text, ret=cause.ret, handling=cause.handling)
        self.unreachable = cause.unreachable
        self.piece = piece
        self.pieces = pieces


class MediaRefused(UploadFailed):
    """WeChat does not let the account send media; texts are not affected."""
