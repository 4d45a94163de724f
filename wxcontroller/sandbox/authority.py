"""A certificate authority for the sandbox, so that unmodified clients can reach it under the real host names.

Its name constraints limit it to those names, even where an admin trusts it.
"""

import datetime
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from wxcontroller.core.errors import WxError, reason_of
from wxcontroller.core.files.atomic import replace_file
from wxcontroller.sandbox.hosts import DOMAINS, FILE_PAGES, HOSTS, ILINK_CDN_HOST, ILINK_HOSTS, QR_HOST

CA_FILES = ("ca.crt", "ca.key")
SERVER_FILES = ("server.crt", "server.key")
_CA_LIFE = datetime.timedelta(days=3650)
_SERVER_LIFE = datetime.timedelta(days=397)
_RENEW = datetime.timedelta(days=30)


class TlsError(WxError):
    """A certificate cannot be created or used."""


def make_ca(directory: Path) -> bool:
    """Ensure that ``directory`` has a CA and its server certificate; True when one was made. A valid CA, which
    machines may trust, is replaced only when it is about to expire. Keys are written with mode 0600. Raises TlsError.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        ca = load(directory, CA_FILES)
        if ca is None:
            ca = new_ca()
            write(directory, CA_FILES, ca)
            made = True
        else:
            made = False
        server = load(directory, SERVER_FILES)
        if server is None or not is_good(server[0], ca[0]):
            write(directory, SERVER_FILES, new_server(ca))
            made = True
    except (OSError, ValueError) as error:
        raise TlsError(
            f"cannot keep certificates in {directory}: {reason_of(error)}", "choose a directory you may write"
        ) from error
    return made


def server_context(directory: Path) -> ssl.SSLContext:
    """Return the server's TLS settings. Raises TlsError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(directory / SERVER_FILES[0], directory / SERVER_FILES[1])
    except (OSError, ssl.SSLError) as error:
        raise TlsError(f"cannot use the certificate in {directory}: {error}", "run wxsandbox make-ca") from error
    return context


_Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def load(directory: Path, files: tuple[str, str]) -> _Pair | None:
    """Return a complete and matching pair that does not expire soon, or None."""
    certificate_path, key_path = (directory / name for name in files)
    if not certificate_path.exists() or not key_path.exists():
        return None
    try:
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
    except ValueError:
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or certificate.public_key() != key.public_key():
        return None
    return (certificate, key) if certificate.not_valid_after_utc - _RENEW > _now() else None


def is_good(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature):
        return False
    covered = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return sorted(covered.get_values_for_type(x509.DNSName)) == sorted(HOSTS)


def new_ca() -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "wxcontroller sandbox CA (tests only)")])
    builder = (
        _builder(name, name, key, _CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage(signs=True), critical=True)
        .add_extension(
            x509.NameConstraints(
                [x509.DNSName(name) for name in (*DOMAINS, *FILE_PAGES, QR_HOST, *ILINK_HOSTS, ILINK_CDN_HOST)], None
            ),
            critical=True,
        )
    )
    return builder.sign(key, hashes.SHA256()), key


def new_server(ca: _Pair) -> _Pair:
    ca_certificate, ca_key = ca
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "wxcontroller sandbox")])
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    builder = (
        _builder(name, ca_certificate.subject, key, _SERVER_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in sorted(HOSTS)]), critical=False)
        .add_extension(authority, critical=False)
    )
    return builder.sign(ca_key, hashes.SHA256()), key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, life: datetime.timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - datetime.timedelta(days=1))
        .not_valid_after(_now() + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def usage(signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def write(directory: Path, files: tuple[str, str], pair: _Pair) -> None:
    certificate, key = pair
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    replace_file(directory / files[1], pem, 0o600, durable=True)
    replace_file(directory / files[0], certificate.public_bytes(serialization.Encoding.PEM), 0o644, durable=True)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
