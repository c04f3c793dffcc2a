"""TLS, seen from outside: a real process, real handshakes."""

from __future__ import annotations

import logging
import os
import signal
import socket
import ssl
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from browsing import Browser
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from login_server import running_login

from heliochrome_gateway.errors import CertificateFailed
from heliochrome_gateway.settings import GatewaySettings
from heliochrome_gateway.tls import Certificates, fingerprint
from waiting import eventually


def make_pair(
    folder: Path, name: str, days: int = 90, *, passphrase: bytes = b""
) -> tuple[Path, Path]:
    """An operator's certificate and key in two files."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    lock: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        lock = serialization.BestAvailableEncryption(passphrase)
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(made.public_bytes(pem))
    paths[1].write_bytes(key.private_bytes(pem, form, lock))
    return paths


def seen_by_a_browser(address: str, trusted: Path | None, name: str = "localhost") -> str:
    """The common name of what the gateway shows; trusted: a certificate to check it against."""
    context = ssl.create_default_context(cafile=trusted)
    if trusted is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host, port = address.removeprefix("https://").split(":")
    with (
        socket.create_connection((host, int(port)), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name) as secure,
    ):
        shown = secure.getpeercert(binary_form=True)
        assert shown is not None and secure.version() in ("TLSv1.2", "TLSv1.3")
    subject = x509.load_der_x509_certificate(shown).subject
    return str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "photos.example"])
def test_a_certificate_of_our_own_is_for_this_machines_names(tmp_path: Path, name: str) -> None:
    with running_login(tmp_path, tls="self-signed", tls_names="photos.example,10.1.2.3") as login:
        own = tmp_path / "tls" / "self-signed.pem"
        assert own.stat().st_mode & 0o777 == 0o600
        assert login.address.startswith("https://")
        assert seen_by_a_browser(login.address, own, name) == "Heliochrome"
        with pytest.raises(ssl.SSLCertVerificationError):
            seen_by_a_browser(login.address, own, "other.example")
        browser = Browser(login.address)
        answer = browser.sign_in("ben")
        assert answer.status == 303
        (cookie,) = (c for c in answer.headers.get_all("Set-Cookie") or [] if "session" in c)
        assert cookie.startswith("__Host-heliochrome-session=") and "Secure" in cookie
        assert browser.ask("GET", "/who").status == 200


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_tls_is_refused(tmp_path: Path) -> None:
    with running_login(tmp_path, tls="self-signed") as login:
        host, port = login.address.removeprefix("https://").split(":")

        def version(newest: ssl.TLSVersion) -> str | None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_ciphers("ALL:@SECLEVEL=0")  # else our own side would not even try
            context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, newest
            with (
                socket.create_connection((host, int(port)), timeout=10) as plain,
                context.wrap_socket(plain) as secure,
            ):
                return secure.version()

        assert version(ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
        with pytest.raises(ssl.SSLError):
            version(ssl.TLSVersion.TLSv1_1)


def test_a_renewed_certificate_is_taken_up_and_a_bad_one_is_not(tmp_path: Path) -> None:
    certificate, key = make_pair(tmp_path, "localhost")
    new, new_key = make_pair(tmp_path, "renewed.example")
    with running_login(
        tmp_path / "own", tls="files", tls_certificate=certificate, tls_key=key
    ) as login:
        assert seen_by_a_browser(login.address, certificate) == "localhost"

        def after_hup() -> str:
            login.process.send_signal(signal.SIGHUP)
            time.sleep(0.5)
            return seen_by_a_browser(login.address, None)

        new.replace(certificate)  # half of the pair: it does not match yet
        assert after_hup() == "localhost"
        new_key.replace(key)
        assert eventually(lambda: after_hup() == "renewed.example")
        certificate.write_text("nonsense")
        assert after_hup() == "renewed.example"
        key.unlink()
        assert after_hup() == "renewed.example"


def test_our_own_certificate_is_kept_until_it_ends_soon_or_names_change(tmp_path: Path) -> None:
    def seen(**settings: object) -> str:
        made = GatewaySettings(folder=tmp_path, tls="self-signed", **settings)  # type: ignore[arg-type]
        Certificates(made)
        return fingerprint(tmp_path / "tls" / "self-signed.pem")

    first = seen()
    assert seen() == first
    named = seen(tls_names=("photos.example", "bücher.example"))
    assert named != first
    assert seen(tls_names=("photos.example", "bücher.example")) == named
    own = tmp_path / "tls" / "self-signed.pem"
    certificate, key = make_pair(tmp_path, "localhost", days=29)
    own.write_bytes(key.read_bytes() + certificate.read_bytes())
    ends_soon = fingerprint(own)
    assert seen() not in (first, named, ends_soon)
    left = x509.load_pem_x509_certificate(own.read_bytes()).not_valid_after_utc
    assert 390 < (left - datetime.now(timezone.utc)).days < 398


@pytest.mark.parametrize(
    "broken", ["no certificate", "no key", "mismatch", "passphrase", "nonsense", "folder"]
)
def test_a_pair_that_cannot_be_used_stops_the_start(tmp_path: Path, broken: str) -> None:
    certificate, key = make_pair(tmp_path, "localhost")
    other, other_key = make_pair(tmp_path, "other.example", passphrase=b"secret")
    if broken == "no certificate":
        certificate.unlink()
    elif broken == "no key":
        key.unlink()
    elif broken == "mismatch":
        key = make_pair(tmp_path, "third.example")[1]
    elif broken == "passphrase":
        certificate, key = other, other_key
    elif broken == "nonsense":
        certificate.write_bytes(b"\0\1\2")
    else:
        certificate = tmp_path
    settings = GatewaySettings(tls="files", tls_certificate=certificate, tls_key=key)
    with pytest.raises(CertificateFailed, match="matching pair"):
        Certificates(settings)


def test_a_refresh_without_a_change_loads_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "heliochrome.gateway")
    certificate, key = make_pair(tmp_path, "localhost")
    certificates = Certificates(
        GatewaySettings(tls="files", tls_certificate=certificate, tls_key=key)
    )
    assert not certificates.refresh()
    assert caplog.text.count(fingerprint(certificate)) == 1
    os.utime(key, (1, 1))
    assert certificates.refresh()


@pytest.mark.parametrize("name", ["a b.example", "x" * 300, "x" * 64 + ".example", ".."])
def test_a_name_that_is_none_is_told(tmp_path: Path, name: str) -> None:
    settings = GatewaySettings(folder=tmp_path, tls="self-signed", tls_names=(name,))
    with pytest.raises(CertificateFailed, match="TLS_NAMES"):
        Certificates(settings)
