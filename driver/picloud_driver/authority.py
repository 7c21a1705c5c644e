"""A certificate authority in a directory, and the certificates that it signs.

Each certificate is one PEM file together with its key, so that a crash leaves either the old pair
or the new one. All files are readable by their owner only.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from picloud_driver import disk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_AUTHORITY_DAYS: Final = 3650
_DAYS: Final = 730
_SKEW: Final = dt.timedelta(hours=1)
"""Certificates are valid from a while ago, as clocks of machines differ."""


class TlsFiles(msgspec.Struct, frozen=True):
    """PEM files of one party: who signed its peers' certificates, and its own pair."""

    ca_file: str
    cert_file: str
    key_file: str


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Authority:
    """Signs certificates for servers and their clients.

    The authority is made with its first certificate, and made anew once it expires soon.

    Args:
        directory: Holds all its files: `ca.pem`, `ca.key.pem`, and one for each certificate.
        clock: The present time.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     authority = Authority(pathlib.Path(directory) / "tls")
    ...     authority.renew("vault", ["localhost", "127.0.0.1"])
    ...     authority.renew("vault", ["localhost", "127.0.0.1"])
    ...     pathlib.Path(authority.files("vault").cert_file).name
    True
    False
    'vault.pem'
    """

    def __init__(self, directory: Path, clock: Callable[[], dt.datetime] = _now) -> None:
        self._directory = directory
        self._clock = clock

    def files(self, name: str) -> TlsFiles:
        """Return the files of a certificate, whether or not they exist."""
        pair = str(self._directory / f"{name}.pem")
        return TlsFiles(str(self._directory / "ca.pem"), pair, pair)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the authority's certificate, in hex; "" if there is none."""
        found = _read(self._directory / "ca.key.pem")
        return found.certificate.fingerprint(hashes.SHA256()).hex() if found else ""

    def expiry(self, name: str) -> dt.datetime | None:
        """Return when a certificate or its authority expires; None if one of them is missing."""
        pair = _read(self._directory / f"{name}.pem")
        authority = _read(self._directory / "ca.key.pem")
        if pair is None or authority is None:
            return None
        return min(one.certificate.not_valid_after_utc for one in (pair, authority))

    def renew(self, name: str, hosts: Sequence[str] = ()) -> bool:
        """Make a certificate if there is none that is valid for long; return whether it did.

        Args:
            name: Its file's name and its subject.
            hosts: The host names and addresses it is valid for; none for a client.

        Raises:
            OSError: When a file cannot be read or written.
        """
        disk.private_directory(self._directory)
        authority = self._signer()
        file = self._directory / f"{name}.pem"
        present = (pair := _read(file)) and pair.certificate
        if (
            present
            and self._is_fresh(present, _DAYS)
            and _fits(present, authority.certificate, hosts)
        ):
            return False
        key = ec.generate_private_key(ec.SECP256R1())
        signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if hosts:
            # Servers are clients of each other, too.
            purposes.append(ExtendedKeyUsageOID.SERVER_AUTH)
        made = (
            self._builder(name, authority.certificate.subject, key, _DAYS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(signer, critical=False)
        )
        if hosts:
            names = x509.SubjectAlternativeName([_host(host) for host in hosts])
            made = made.add_extension(names, critical=False)
        _write(file, _Pair(made.sign(authority.key, hashes.SHA256()), key))
        return True

    def _signer(self) -> _Pair:
        """Return the authority; make it if there is none that is valid for long."""
        file, public = self._directory / "ca.key.pem", self._directory / "ca.pem"
        authority = _read(file)
        if authority is None or not self._is_fresh(authority.certificate, _AUTHORITY_DAYS):
            key = ec.generate_private_key(ec.SECP256R1())
            name = f"PiCloud authority {x509.random_serial_number() % 16**8:08x}"
            certificate = (
                self._builder(name, _subject(name), key, _AUTHORITY_DAYS)
                .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
                .add_extension(_usage(key_cert_sign=True), critical=True)
                .sign(key, hashes.SHA256())
            )
            authority = _Pair(certificate, key)
            _write(file, authority)
        shown = authority.certificate.public_bytes(serialization.Encoding.PEM)
        # A crash may have come between the two files.
        if not public.exists() or public.read_bytes() != shown:
            disk.replace(public, shown, sync=True)
        return authority

    def _builder(
        self, name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
    ) -> x509.CertificateBuilder:
        now = self._clock()
        public = key.public_key()
        return (
            x509.CertificateBuilder()
            .subject_name(_subject(name))
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _SKEW)
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )

    def _is_fresh(self, certificate: x509.Certificate, days: int) -> bool:
        """Whether more than a third of its life remains."""
        return certificate.not_valid_after_utc - self._clock() > dt.timedelta(days=days / 3)


class _Pair(NamedTuple):
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def _read(file: Path) -> _Pair | None:
    """Return the pair in a file; None if there is none, or if the file is damaged."""
    try:
        data = file.read_bytes()
        key = serialization.load_pem_private_key(data, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return _Pair(x509.load_pem_x509_certificate(data), key)
    except (FileNotFoundError, ValueError):
        return None


def _write(file: Path, pair: _Pair) -> None:
    certificate = pair.certificate.public_bytes(serialization.Encoding.PEM)
    key = pair.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    # The certificate first: Nomad looks at the first block of the file only.
    disk.replace(file, certificate + key, sync=True)


def _fits(certificate: x509.Certificate, authority: x509.Certificate, hosts: Sequence[str]) -> bool:
    """Whether it is signed by this authority, for these hosts."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return _hosts(certificate) == list(hosts)


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _hosts(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in found]


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
