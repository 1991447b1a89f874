"""Keys and certificates of the webhooks, and when they have to be replaced. Pure but for the keys it draws.

A certificate authority of our own signs a serving certificate. Each step of a rotation is one change of the material,
so that it can be stored between two steps and be taken up by another replica:

1. A new authority joins the old one; the serving certificate stays the old one's. Callers learn to trust both.
2. Once they do, the new authority signs a new serving certificate.
3. Once every replica serves that, the old authority goes.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["CertificateOptions", "Material", "expiry", "renewed", "service_hosts"]

_PEM: Final = serialization.Encoding.PEM
_BACKDATED: Final = timedelta(hours=1)  # for callers whose clocks are behind
_USAGES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateOptions:
    """How long things last.

    Attributes:
        authority: lifetime of an authority; replaced when a tenth of it is left.
        serving: lifetime of a serving certificate; replaced when a third of it is left.
        settle: between two steps of a rotation; longer than replicas take to notice the step before.
    """

    authority: timedelta = timedelta(days=3650)
    serving: timedelta = timedelta(days=365)
    settle: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What is stored, in PEM; ``b""`` for what is missing.

    Attributes:
        ca: certificates of the authorities that callers shall trust, the one that signs first.
        ca_key: key of the first; missing in what others made.
        cert: serving certificate.
        key: its key.
    """

    ca: bytes = b""
    ca_key: bytes = b""
    cert: bytes = b""
    key: bytes = b""

    @classmethod
    def of_secret(cls, data: Mapping[str, str]) -> Material:
        """From the data of a Secret; what is no base64 counts as missing."""
        return cls(**{field: _decoded(data.get(name, "")) for field, name in _KEYS.items()})

    def secret(self) -> dict[str, str]:
        """As the data of a Secret."""
        return {name: base64.b64encode(getattr(self, field)).decode() for field, name in _KEYS.items()}

    def __repr__(self) -> str:  # keys stay out of logs
        return f"Material({len(_certificates(self.ca))} authorities)"


_KEYS: Final = {"ca": "ca.crt", "ca_key": "ca.key", "cert": "tls.crt", "key": "tls.key"}


def service_hosts(name: str, namespace: str) -> tuple[str, ...]:
    """The names under which a Service is called; API servers use the first."""
    return (f"{name}.{namespace}.svc", f"{name}.{namespace}.svc.cluster.local", f"{name}.{namespace}")


def expiry(pem: bytes) -> datetime | None:
    """When the first certificate in ``pem`` expires; None when there is none."""
    found = _certificates(pem)
    return found[0].not_valid_after_utc if found else None


def renewed(
    material: Material, hosts: Sequence[str], now: datetime, options: CertificateOptions, *, trusted: bool
) -> Material:
    """The material with the next step that is due, or ``material`` itself when none is.

    Args:
        material: what is stored.
        hosts: DNS names it has to be valid for.
        now: the present.
        options: lifetimes.
        trusted: whether callers have been told of all authorities in it; nothing new is signed before that, unless
            what is there does not work anyway.
    """
    now = now.astimezone(UTC)
    authorities = [item for item in _certificates(material.ca) if item.not_valid_before_utc <= now < _end(item)]
    signing = _signing(authorities, material.ca_key)
    if signing is not None and _left(signing, now) < options.authority / 10:
        signing = None
    serving = _usable(material, authorities, hosts, now)
    if serving is None:
        if signing is None:
            material = _with_authority(authorities, material, now, options)
        return _with_serving(material, hosts, now, options)
    due = _left(serving, now) < _lifetime(serving) / 3
    if signing is None:
        ours = bool(material.ca_key)
        return _with_authority(authorities, material, now, options) if due or ours else material
    if not _signed_by(serving, signing):
        ready = trusted and now - _made(signing) >= options.settle
        return (
            _with_serving(material, hosts, now, options) if ready or _left(serving, now) < options.settle else material
        )
    if due:
        return _with_serving(material, hosts, now, options)
    if len(_certificates(material.ca)) > 1 and now - _made(serving) >= options.settle:
        return replace(material, ca=signing.public_bytes(_PEM))
    return material


# Looking --------------------------------------------------------------------------------------------------------------


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _certificates(pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        return []


def _key(pem: bytes) -> ec.EllipticCurvePrivateKey | None:
    """The key, when it is one that we sign with."""
    try:
        found = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        return None
    return found if isinstance(found, ec.EllipticCurvePrivateKey) else None


def _signing(authorities: list[x509.Certificate], key_pem: bytes) -> x509.Certificate | None:
    key = _key(key_pem)
    if key is None or not authorities or authorities[0].public_key() != key.public_key():
        return None
    return authorities[0]


def _usable(
    material: Material, authorities: list[x509.Certificate], hosts: Sequence[str], now: datetime
) -> x509.Certificate | None:
    """The serving certificate, when callers who trust the authorities accept it."""
    found = _certificates(material.cert)
    if not found:
        return None
    certificate = found[0]
    try:
        key = serialization.load_pem_private_key(material.key, None)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        fits = key.public_key() == certificate.public_key() and set(hosts[:1]) <= set(
            names.get_values_for_type(x509.DNSName)
        )
    except (ValueError, TypeError, x509.ExtensionNotFound):
        return None
    valid = certificate.not_valid_before_utc <= now < _end(certificate)
    return certificate if fits and valid and any(_signed_by(certificate, item) for item in authorities) else None


def _signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _end(certificate: x509.Certificate) -> datetime:
    return certificate.not_valid_after_utc


def _left(certificate: x509.Certificate, now: datetime) -> timedelta:
    return _end(certificate) - now


def _lifetime(certificate: x509.Certificate) -> timedelta:
    return _end(certificate) - certificate.not_valid_before_utc


def _made(certificate: x509.Certificate) -> datetime:
    return certificate.not_valid_before_utc + _BACKDATED


# Making ---------------------------------------------------------------------------------------------------------------


def _with_authority(
    authorities: list[x509.Certificate], material: Material, now: datetime, options: CertificateOptions
) -> Material:
    """A new authority before those that are still valid."""
    key = ec.generate_private_key(ec.SECP256R1())
    # The date tells authorities apart: verifiers look for an issuer by its name.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"rbgctrl webhooks {now:%Y-%m-%dT%H:%M:%SZ}")])
    certificate = (
        _builder(name, name, key.public_key(), now, now + options.authority)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage("digital_signature", "key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pems = [item.public_bytes(_PEM) for item in (certificate, *authorities)]
    return replace(material, ca=b"".join(pems), ca_key=_key_pem(key))


def _with_serving(material: Material, hosts: Sequence[str], now: datetime, options: CertificateOptions) -> Material:
    """A new serving certificate, signed by the first authority."""
    authority, signer = _certificates(material.ca)[0], _key(material.ca_key)
    assert signer is not None  # noqa: S101 - whoever calls has seen to it
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0][:64])])
    certificate = (
        _builder(subject, authority.subject, key.public_key(), now, min(now + options.serving, _end(authority)))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    return replace(material, cert=certificate.public_bytes(_PEM), key=_key_pem(key))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(end)
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _usage(*names: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{usage: usage in names for usage in _USAGES})
