"""TLS by certificate files, for callers from other machines."""

import os
import re
import ssl
from collections.abc import Mapping
from pathlib import Path

from wxcontroller.core.access.systemdcredentials import place_of
from wxcontroller.core.config.settings import Settings
from wxcontroller.core.errors import BadSettings, reason_of
from wxcontroller.core.text.templates import N_


def tls_context(settings: Settings, environment: Mapping[str, str] = os.environ) -> ssl.SSLContext | None:
    """Return the TLS context of the settings' certificate and key, None without them. Raises BadSettings."""
    if not settings.tls_certificate:
        return None
    certificate = place("tls_certificate", settings.tls_certificate, environment)
    key = place("tls_key", settings.tls_key, environment)
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(["http/1.1"])
    if settings.fleet is not None and settings.fleet.client_ca:
        authority = place("fleet.client_ca", settings.fleet.client_ca, environment)
        made.verify_mode = ssl.CERT_OPTIONAL  # programs and browsers have none
        try:
            made.load_verify_locations(authority)
        except ssl.SSLError as problem:
            raise BadSettings(
                N_("{setting}: {file} cannot be used: {reason}"),
                N_("name a readable file of PEM certificates"),
                setting="fleet.client_ca",
                file=authority,
                reason=problem.reason or "it is no PEM file",
            ) from None
    try:
        # An empty password keeps OpenSSL from asking for one on the terminal.
        made.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as problem:
        why = problem.reason or "they are no PEM files"
        raise BadSettings(
            N_("tls_certificate {certificate} and tls_key {key} cannot be used: {why}"),
            N_(
                "give a certificate with its chain and the key that belongs to it, in PEM, the key without a password"
            ),
            certificate=certificate,
            key=key,
            why=why,
        ) from None
    return made


def place(setting: str, value: str, environment: Mapping[str, str]) -> Path:
    """Return the file of a setting: a path, or the name of a credential of the unit. Raises BadSettings."""
    path = place_of(setting, value, environment)
    try:
        with path.open("rb") as stream:
            if re.search(rb"-----BEGIN ", stream.read(1 << 20)) is None:
                raise BadSettings(
                    N_("{setting}: {file} is not a PEM file"),
                    N_("name a PEM file, which begins with -----BEGIN"),
                    setting=setting,
                    file=path,
                )
    except OSError as problem:
        raise BadSettings(
            N_("{setting}: {file} cannot be read: {reason}"),
            N_("make it readable for user wxcontroller, or hand it over as a credential; see wxcontroller.toml(5)"),
            setting=setting,
            file=path,
            reason=reason_of(problem),
        ) from None
    return path
