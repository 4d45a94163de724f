"""Secrets that systemd passes to a service: files that only the service can read.

Those of accounts come from /etc/wxcontroller/credentials, where INSTANCE.NAME is one account's and NAME the one for
all accounts without their own. wxclient-credentials@.service copies them; LoadCredential= in a drop-in of the
account's unit overrides its copies.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from wxcontroller.core.errors import BadSettings, FileFailed, reason_of
from wxcontroller.core.text.templates import N_

PLACE = Path("/etc/wxcontroller/credentials")
_DIRECTORY = "CREDENTIALS_DIRECTORY"
# As large as systemd's own may be (CREDENTIAL_SIZE_MAX).
CREDENTIAL_BYTES = 1 << 20
# The name of the credential for all accounts.
_COMMON = "common."
# The list of files that could not be copied.
_FAILED = "failed"


def read_credential(name: str, environ: Mapping[str, str] = os.environ, copies: Path | None = None) -> str | None:
    """Return a credential without the white space around it: the account's own, else that for all, else None.

    In both cases the unit's own credential overrides the one in the directory ``copies``. Raises BadSettings, without
    the content, for one that is not text, too large or unreadable.
    """
    directories = [Path(each) for each in (environ.get(_DIRECTORY), copies) if each]
    for file in (name, f"{_COMMON}{name}"):
        for directory in directories:
            if found := text(directory / file, name):
                return found
    return None


def require_copies(instance: str, account: str, copies: Path) -> None:
    """Raise FileFailed if wxclient-credentials@INSTANCE.service could not copy all files of an account to ``copies``.

    Not BadSettings, which prevents a restart: the account starts when the files can be read.
    """
    if failed := text(copies / _FAILED, _FAILED):
        raise FileFailed(
            N_("account {account}: cannot read {files}"),
            N_("fix the files in {directory}; see: journalctl -u wxclient-credentials@{instance}"),
            account=account,
            files=", ".join(failed.splitlines()),
            directory=PLACE,
            instance=instance,
        )


def place_of(setting: str, value: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the file that a setting names: a path, or a credential of the unit. Raises BadSettings without one."""
    path = Path(value)
    if path.is_absolute():
        return path
    directory = environ.get(_DIRECTORY)
    if not directory:
        raise BadSettings(
            N_("{setting} names the credential {given}, but the unit has none"),
            N_(
                "systemctl edit wxcontroller.service, and under [Service] "
                "LoadCredential={given}:/path/of/the/file; see wxcontroller.toml(5)"
            ),
            setting=setting,
            given=value,
        )
    return Path(directory) / value


def text(path: Path, name: str) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(CREDENTIAL_BYTES + 1)
        if len(content) > CREDENTIAL_BYTES:
            raise BadSettings(
                N_("the credential {credential} is larger than {most} bytes"),
                N_("correct it in {directory}"),
                credential=name,
                most=CREDENTIAL_BYTES,
                directory=PLACE,
            )
        return content.decode().strip()
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        raise BadSettings(
            N_("the credential {credential} is not UTF-8 text"),
            N_("correct it in {directory}"),
            credential=name,
            directory=PLACE,
        ) from None
    except OSError as problem:
        raise BadSettings(
            N_("the credential {credential} cannot be read: {reason}"),
            N_("check its file in {directory}, and LoadCredential= in drop-ins of the unit"),
            credential=name,
            reason=reason_of(problem),
            directory=PLACE,
        ) from None
