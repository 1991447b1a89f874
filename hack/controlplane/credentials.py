"""Keys, certificates, tokens and kubeconfigs of a test cluster. Nothing here outlives it or guards anything."""

from __future__ import annotations

import base64
import ipaddress
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = [
    "ADMIN",
    "COMPONENTS",
    "CONTROLLER",
    "NOBODY",
    "Authority",
    "User",
    "kubeconfig",
    "new_tokens",
    "service_account_keys",
    "token_file",
    "write_private",
]

_LIFETIME = timedelta(days=30)
_KEY_USAGES = (
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


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """Someone who may call the API server, known by a bearer token.

    Attributes:
        key: Short name: of the kubeconfig file and in ``Cluster.kubeconfig_for``.
        name: User name as RBAC and the audit log see it.
        groups: Its groups; ``system:authenticated`` comes by itself.
    """

    key: str
    name: str
    groups: tuple[str, ...] = ()


def _master(name: str) -> User:
    return User(key=name.removeprefix("system:"), name=name, groups=("system:masters",))


ADMIN = User(key="admin", name="admin", groups=("system:masters",))
NOBODY = User(key="nobody", name="nobody")
CONTROLLER = User(
    key="controller",
    name="system:serviceaccount:rbgs-system:rbgs-controller-sa",
    groups=("system:serviceaccounts", "system:serviceaccounts:rbgs-system"),
)
# Each component has its own name so that an audit log tells them apart; what they may do is not under test.
COMPONENTS = tuple(map(_master, ("system:kube-controller-manager", "system:kube-scheduler", "kwok", "lws")))


def token_file(users: Sequence[User], tokens: dict[str, str]) -> str:
    """The text of the API server's token file: ``token,user,uid,"group,…"`` for each user."""
    lines = [f'{tokens[u.key]},{u.name},{u.key},"{",".join(u.groups)}"' for u in users]
    return "\n".join(lines) + "\n"


def new_tokens(users: Sequence[User]) -> dict[str, str]:
    """A fresh random token per user, by the user's key."""
    return {user.key: secrets.token_urlsafe(24) for user in users}


def kubeconfig(server: str, ca_pem: bytes, token: str, *, user: str = "admin", namespace: str = "default") -> str:
    """A kubeconfig with one context that trusts ``ca_pem`` and presents ``token``."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "local",
                "cluster": {"server": server, "certificate-authority-data": base64.b64encode(ca_pem).decode()},
            }
        ],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": user, "namespace": namespace}}],
        "current-context": "local",
    }
    return yaml.safe_dump(config, sort_keys=False)


def write_private(path: Path, data: bytes) -> Path:
    """Writes a file that only its owner may read."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    return path


def service_account_keys(folder: Path) -> tuple[Path, Path]:
    """Writes the key pair that signs service account tokens. Returns the private and the public file."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return write_private(folder / "sa.key", _key_pem(key)), write_private(folder / "sa.pub", public)


class Authority:
    """A certificate authority whose key lives in memory only.

    Args:
        folder: Where ``ca.crt`` and issued certificates are written.
        now: The present; certificates are valid from an hour before for 30 days.
    """

    def __init__(self, folder: Path, now: datetime) -> None:
        self._folder = folder
        self._now = now.astimezone(UTC)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "control plane of a test")])
        identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        builder = self._builder(self._name, self._key.public_key()).add_extension(identifier, critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage("digital_signature", "key_cert_sign", "crl_sign"), critical=True)
        self._certificate = builder.sign(self._key, hashes.SHA256())
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM)
        self.file = folder / "ca.crt"
        self.file.write_bytes(self.pem)

    def issue(self, name: str, hosts: Sequence[str], *, folder: Path | None = None) -> tuple[Path, Path]:
        """Writes a serving certificate for ``hosts`` (DNS names or IP addresses).

        Returns:
            The certificate and key files: ``<name>.crt`` and ``<name>.key`` in ``folder`` (the authority's own).
        """
        folder = folder or self._folder
        folder.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = self._builder(subject, key.public_key()).add_extension(issuer, critical=False)
        builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_alternative, hosts))), critical=False)
        builder = builder.add_extension(_usage("digital_signature"), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        certificate = folder / f"{name}.crt"
        certificate.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return certificate, write_private(folder / f"{name}.key", _key_pem(key))

    def _builder(self, subject: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - timedelta(hours=1))
            .not_valid_after(self._now + _LIFETIME)
        )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    # The plain EC form: Go's service account signer reads no other unencrypted form of an EC key in every version.
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _usage(*names: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{usage: usage in names for usage in _KEY_USAGES})


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
