"""Self-signed certificates for tests."""

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def self_signed(
    directory: Path, *names: str, called: str = "tls", ended: bool = False, begins: int = -2, ends: int = 1
) -> tuple[Path, Path]:
    """Make a certificate for names and addresses, and its key; return their files.

    ``begins`` and ``ends`` are days from now. ``ended``: it has expired.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=begins))
        .not_valid_after(now + datetime.timedelta(days=-1 if ended else ends))
        .add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = directory / f"{called}.crt", directory / f"{called}.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private.write_bytes(key.private_bytes(*form))
    private.chmod(0o600)
    return certificate, private


def tls_server(
    directory: Path, name: str = "127.0.0.1", called: str = "tls", begins: int = -2, ends: int = 1
) -> tuple[Path, ssl.SSLContext]:
    """Make a certificate; return its file, for clients to trust, and a server's TLS context."""
    certificate, key = self_signed(directory, name, called=called, begins=begins, ends=ends)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return certificate, context


def _name(written: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(written))
    except ValueError:
        return x509.DNSName(written)
