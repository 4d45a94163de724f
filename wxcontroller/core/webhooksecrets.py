"""Secrets that sign webhook deliveries: where they are stored, and their form for Standard Webhooks.

A secret ``whsec_…`` is the base64 of the key; any other secret is its bytes. Every secret has a ``whsec_`` form,
which receivers give to a library of Standard Webhooks.
"""

import base64
import binascii

from wxcontroller.core import envfile
from wxcontroller.core.credentials import PLACE
from wxcontroller.core.errors import WxError, reason_of
from wxcontroller.core.messages import N_
from wxcontroller.core.names import AccountName
from wxcontroller.core.paths import Paths

VARIABLE = "WXCLIENT_WEBHOOK_SECRET"
CREDENTIAL = "webhook-secret"
_PREFIX = "whsec_"


def key_of(secret: str) -> bytes:
    """Return the key for signatures of Standard Webhooks."""
    if secret.startswith(_PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            key = b""  # it only begins like one
        if key:
            return key
    return secret.encode()


def standard_form(secret: str) -> str:
    """Return a secret as ``whsec_`` and the base64 of its key."""
    return _PREFIX + base64.b64encode(key_of(secret)).decode()


def webhook_secrets(paths: Paths, account: AccountName) -> list[str]:
    """Return an account's secrets as its next start finds them, for root. Raises WxError.

    The account's credential comes first, then that of all accounts, then the variable. Only systemd can read
    encrypted credentials.
    """
    place = paths.root / PLACE.relative_to("/")
    try:
        for file in (place / f"{account.instance}.{CREDENTIAL}", place / CREDENTIAL):
            if file.exists() and (found := file.read_text(encoding="utf-8").split()):
                return found
            if file.with_name(f"{file.name}.cred").exists():
                raise WxError(
                    N_("{file}.cred is encrypted"), N_("decrypt it: systemd-creds decrypt {file}.cred"), file=file
                )
        override = paths.override_file(account.instance)
        content = override.read_text(encoding="utf-8") if override.exists() else ""
    except (OSError, UnicodeDecodeError) as problem:
        raise WxError(
            N_("the webhook secret of {account} cannot be read: {reason}"),
            N_("run it as root, on the account's machine"),
            account=account.name,
            reason=reason_of(problem),
        ) from None
    return envfile.parse(content).get(VARIABLE, "").split()
