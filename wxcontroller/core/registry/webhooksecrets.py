"""Secrets that sign webhook deliveries: where they are stored, and their form for Standard Webhooks.

A secret ``whsec_…`` is the base64 of the key; any other secret is its bytes. Every secret has a ``whsec_`` form,
which receivers give to a library of Standard Webhooks. During a rotation there are two secrets, the new one first:
each on a line of its own, as a secret may contain spaces. A variable has one line, where a space separates two.
"""

import base64
import binascii

from wxcontroller.core.access.systemdcredentials import PLACE
from wxcontroller.core.config import envfile
from wxcontroller.core.errors import WxError, reason_of
from wxcontroller.core.names import AccountName
from wxcontroller.core.paths import Paths
from wxcontroller.core.text.templates import N_

VARIABLE = "WXCLIENT_WEBHOOK_SECRET"
CREDENTIAL = "webhook-secret"
_PREFIX = "whsec_"


def secrets_in(content: str) -> list[str]:
    """Return the secrets in a file, one a line."""
    return [line.strip() for line in content.split("\n") if line.strip()]


def secrets_in_variable(value: str) -> list[str]:
    """Return the secrets in a variable. More than two words are one secret, unless each has its own prefix."""
    words = value.split()
    if len(words) <= 2 or all(word.startswith(_PREFIX) for word in words):
        return words
    return secrets_in(value)


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
            if file.exists() and (found := secrets_in(file.read_text(encoding="utf-8"))):
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
    return secrets_in_variable(envfile.parse(content).get(VARIABLE, ""))
