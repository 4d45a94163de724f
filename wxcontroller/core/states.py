"""The three kinds of state an account has, and the original's seven words for them.

Desired is the requested state, unit systemd's, login that of the client's session.
The seven words are a projection used at the HTTP edge and in the state file only.
"""

from enum import StrEnum


class Desired(StrEnum):
    """The desired state, stored in the account's file."""

    STARTED = "started"
    STOPPED = "stopped"


class TakeoverPolicy(StrEnum):
    """The policy for an account whose host is lost, in a fleet with etcd."""

    HOLD = "hold"  # it waits for its host or a person
    SAME_EGRESS = "same-egress"  # a host with the same egress takes it over
    ANY = "any"


class UnitState(StrEnum):
    """systemd's ActiveState of the account's unit; ABSENT when systemd has not loaded it."""

    ACTIVE = "active"
    RELOADING = "reloading"
    ACTIVATING = "activating"
    DEACTIVATING = "deactivating"
    INACTIVE = "inactive"
    FAILED = "failed"
    MAINTENANCE = "maintenance"
    REFRESHING = "refreshing"
    ABSENT = "absent"

    @property
    def has_process(self) -> bool:
        """Whether the unit is up or on its way up or down."""
        return self in _WITH_PROCESS


_WITH_PROCESS = frozenset(
    {
        UnitState.ACTIVE,
        UnitState.RELOADING,
        UnitState.REFRESHING,
        UnitState.ACTIVATING,
        UnitState.DEACTIVATING,
    }
)


class LoginState(StrEnum):
    """The state of the session. Written by client/login/session.py only."""

    INIT = "init"  # starting, no login attempted yet
    LOADING = "loading"  # trying the stored login, or fetching a QR code
    SCANNING = "scanning"  # shows a QR code, waiting for a scan
    CONFIRMING = "confirming"  # scanned, waiting for confirmation on the phone
    UPDATING = "updating"  # logged in, loading contacts
    RUNNING = "running"  # logged in, and WeChat responds
    OFFLINE = "offline"  # logged in, but WeChat has not responded lately
    PARKED = "parked"  # stopped trying until someone intervenes: refused, flagged, no scan, or an answer needed
    STOPPED = "stopped"  # stopped

    @property
    def word(self) -> str:
        """The original's word (its spelling is contract)."""
        return _WORDS[self]


# Offline still counts as `updating`: an account without answers from WeChat is never `running`. Parked is `stop`, as
# when the original stopped trying: nothing happens until the account is started again.
_WORDS = {
    LoginState.INIT: "init",
    LoginState.LOADING: "loading",
    LoginState.SCANNING: "scaning",
    LoginState.CONFIRMING: "confirming",
    LoginState.UPDATING: "updating",
    LoginState.RUNNING: "running",
    LoginState.OFFLINE: "updating",
    LoginState.PARKED: "stop",
    LoginState.STOPPED: "stop",
}
