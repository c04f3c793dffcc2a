"""TLS: the operator's certificate or one made here, and taken up again when it is renewed."""

from __future__ import annotations

import logging
import re
import socket
import ssl
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .errors import CertificateFailed
from .settings import GatewaySettings, variable
from .storage import Stamp, private_folder, replace_private, stamp

_log = logging.getLogger("heliochrome.gateway")

# Browsers refuse certificates of more than 398 days (CA/Browser Forum, Baseline Requirements).
_VALID: Final = timedelta(days=397)
_RENEWED_BEFORE: Final = timedelta(days=30)
# A client whose clock is behind is no reason to fail.
_BACKDATED: Final = timedelta(days=1)
# Labels of RFC 1123, and the "_" and "*" that are seen in practice.
_HOST_NAME: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9_*-]+(\.[a-z0-9_-]+)*", re.IGNORECASE)


class Certificates:
    """The context that the listening socket has. Raises CertificateFailed, StorageFailed."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._seen: tuple[Stamp | None, ...] = ()
        self.context = _new_context()
        self.refresh()

    def refresh(self) -> bool:
        """Take up what has changed, for connections from now on; whether anything had.

        Called every minute. What cannot be used is not taken up: the old one stays.
        """
        certificate, key = self._files()
        now = _seen(certificate), _seen(key)
        if now == self._seen:
            return False
        # First in a context of its own: a live one would be left with half of a pair.
        _load(_new_context(), certificate, key)
        _load(self.context, certificate, key)
        self._seen = now
        _log.info("TLS certificate: %s, SHA-256 %s", certificate, fingerprint(certificate))
        return True

    def _files(self) -> tuple[Path, Path]:
        given = self._settings.tls_certificate, self._settings.tls_key
        if given[0] is not None and given[1] is not None:
            return given[0], given[1]
        own = self._settings.folder / "tls" / "self-signed.pem"
        names = _names(self._settings)
        if not _is_fresh(own, names):
            private_folder(own.parent)
            replace_private(own, _self_signed(names))
        return own, own


def _seen(path: Path) -> Stamp | None:
    try:
        return stamp(path)
    except OSError as error:
        raise _unusable(path, error) from error


def fingerprint(certificate: Path) -> str:
    """As browsers show it, so that a person can compare."""
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError) as error:
        raise _unusable(certificate, error) from error
    return found.fingerprint(hashes.SHA256()).hex(":").upper()


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        # A key with a passphrase would ask for it on the terminal, or wait for ever.
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (OSError, ssl.SSLError) as error:
        raise _unusable(certificate, error) from error


def _unusable(certificate: Path, error: Exception) -> CertificateFailed:
    return CertificateFailed(
        f"{certificate} and its key must be a matching pair in PEM format, without a passphrase, "
        f"that the gateway may read, but: {error}."
    )


def _names(settings: GatewaySettings) -> tuple[str, ...]:
    """What browsers may call this machine, each once."""
    names = ("localhost", "127.0.0.1", "::1", socket.gethostname(), *settings.tls_names)
    return tuple(dict.fromkeys(name.lower() for name in names if name))


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        pass
    try:
        ascii_name = name.encode("idna").decode()
    except UnicodeError:
        ascii_name = ""
    if not _HOST_NAME.fullmatch(ascii_name):
        raise CertificateFailed(
            f"{variable('tls_names')} must hold host names or addresses, got {name!r}."
        )
    return x509.DNSName(ascii_name)


def _is_fresh(path: Path, names: tuple[str, ...]) -> bool:
    """Whether our own certificate is there, holds long enough, and is for these names."""
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        raise _unusable(path, error) from error
    said = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    left = found.not_valid_after_utc - datetime.now(timezone.utc)
    return left > _RENEWED_BEFORE and list(said) == [_general(name) for name in names]


def _self_signed(names: tuple[str, ...]) -> bytes:
    """Key and certificate (RFC 5280) in one PEM file, so that they are replaced together."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Heliochrome")])
    now = datetime.now(timezone.utc)
    alternatives = x509.SubjectAlternativeName([_general(name) for name in names])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now - _BACKDATED + _VALID)
        .add_extension(alternatives, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    certificate = builder.sign(key, hashes.SHA256())
    return secret + certificate.public_bytes(serialization.Encoding.PEM)
