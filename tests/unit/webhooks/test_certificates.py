from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from rbgctrl.webhooks.certificates import CertificateOptions, Material, expiry, renewed, service_hosts

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_HOSTS = service_hosts("hooks", "ns")
_OPTIONS = CertificateOptions()
_DAY = timedelta(days=1)


def _step(
    material: Material, now: datetime = _NOW, *, trusted: bool = True, hosts: tuple[str, ...] = _HOSTS
) -> Material:
    return renewed(material, hosts, now, _OPTIONS, trusted=trusted)


def _made() -> Material:
    return _step(Material())


def _authorities(material: Material) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(material.ca)


def _serving(material: Material) -> x509.Certificate:
    return x509.load_pem_x509_certificate(material.cert)


def _verifies(material: Material) -> bool:
    """Whether callers who trust all authorities accept the serving certificate."""
    return any(_signed(material, authority) for authority in _authorities(material))


def _signed(material: Material, authority: x509.Certificate) -> bool:
    try:
        _serving(material).verify_directly_issued_by(authority)
    except (ValueError, InvalidSignature):
        return False
    return True


def test_from_nothing_there_is_an_authority_and_a_certificate_for_the_service() -> None:
    made = _made()
    names = _serving(made).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert tuple(names.get_values_for_type(x509.DNSName)) == _HOSTS
    assert _HOSTS[0] == "hooks.ns.svc"
    assert _verifies(made)
    assert expiry(made.cert) == _NOW + timedelta(days=365)
    assert expiry(made.ca) == _NOW + timedelta(days=3650)
    assert isinstance(_serving(made).public_key(), ec.EllipticCurvePublicKey)
    assert _serving(made).not_valid_before_utc < _NOW


def test_what_is_in_order_is_left_alone() -> None:
    made = _made()
    assert _step(made) is made
    assert _step(made, _NOW + 200 * _DAY) is made


def test_the_serving_certificate_is_renewed_when_a_third_of_its_life_is_left() -> None:
    made = _made()
    assert _step(made, _NOW + 243 * _DAY) is made
    later = _step(made, _NOW + 244 * _DAY)
    assert later.cert != made.cert
    assert (later.ca, later.ca_key) == (made.ca, made.ca_key)
    assert _verifies(later)


def test_an_authority_is_replaced_in_three_steps_and_callers_always_trust_what_is_served() -> None:
    made = _made()
    now = _NOW + 3290 * _DAY
    served = _step(made, now - 100 * _DAY)  # a year of serving that began before
    both = _step(served, now)
    assert len(_authorities(both)) == 2
    assert (both.cert, both.key) == (served.cert, served.key)
    assert _verifies(replace(both, ca=served.ca))
    assert _step(both, now) is both

    settled = now + _OPTIONS.settle
    switched = _step(both, settled)
    assert switched.cert != both.cert
    assert switched.ca == both.ca
    assert _verifies(switched)
    assert not _verifies(replace(switched, ca=made.ca))
    assert _step(switched, settled) is switched

    alone = _step(switched, settled + _OPTIONS.settle)
    assert len(_authorities(alone)) == 1
    assert _verifies(alone)
    assert _step(alone, settled + _OPTIONS.settle) is alone


def test_nothing_is_signed_by_an_authority_that_callers_have_not_been_told_of() -> None:
    now = _NOW + 3290 * _DAY
    both = _step(_step(_made(), now - 100 * _DAY), now)
    assert _step(both, now + _DAY, trusted=False) is both
    assert _step(both, now + _DAY, trusted=True).cert != both.cert


def test_certificates_that_upstream_made_are_used_as_they_are_until_they_are_due() -> None:
    theirs = replace(_made(), ca_key=b"")
    assert _step(theirs) is theirs
    assert _step(theirs, _NOW + 200 * _DAY) is theirs
    both = _step(theirs, _NOW + 300 * _DAY)
    assert len(_authorities(both)) == 2
    assert both.cert == theirs.cert
    switched = _step(both, _NOW + 301 * _DAY)
    assert _verifies(switched)
    assert switched.cert != theirs.cert


def test_a_serving_certificate_never_outlives_its_authority() -> None:
    made = _step(_made(), _NOW + 3200 * _DAY)
    assert expiry(made.cert) == _NOW + 3200 * _DAY + timedelta(days=365)
    options = CertificateOptions(authority=timedelta(days=30), serving=timedelta(days=365))
    short = renewed(Material(), _HOSTS, _NOW, options, trusted=True)
    assert expiry(short.cert) == expiry(short.ca)


@pytest.mark.parametrize(
    "damage",
    [
        lambda made: replace(made, cert=b""),
        lambda made: replace(made, key=b"nonsense"),
        lambda made: replace(made, key=made.ca_key),
        lambda made: replace(made, cert=b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        lambda made: replace(made, ca=_made().ca),
        lambda made: replace(made, ca=b""),
        lambda made: replace(made, ca=b"", ca_key=b"", cert=b"", key=b""),
        lambda made: replace(made, cert=made.ca, key=made.ca_key),
        lambda made: replace(made, ca_key=_rsa_key(), cert=b""),
    ],
)
def test_damaged_material_is_replaced_by_some_that_works(damage: Callable[[Material], Material]) -> None:
    mended = _step(damage(_made()), trusted=False)
    assert _verifies(mended)
    assert _step(mended) is mended or len(_authorities(mended)) > 1


def _rsa_key() -> bytes:
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def test_expired_material_is_replaced_at_once_and_expired_authorities_are_forgotten() -> None:
    late = _step(_made(), _NOW + 4000 * _DAY, trusted=False)
    assert len(_authorities(late)) == 1
    assert _verifies(late)
    between = _step(_made(), _NOW + 400 * _DAY, trusted=False)
    assert len(_authorities(between)) == 1


def test_another_service_name_gets_another_certificate() -> None:
    hosts = service_hosts("other", "ns")
    moved = _step(_made(), hosts=hosts)
    assert hosts[0] in _serving(moved).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    ).value.get_values_for_type(x509.DNSName)


def test_two_authorities_of_one_rotation_have_different_names() -> None:
    both = _step(_step(_made(), _NOW + 3190 * _DAY), _NOW + 3290 * _DAY)
    first, second = _authorities(both)
    assert first.subject != second.subject


def test_material_survives_a_secret_and_keys_stay_out_of_its_text() -> None:
    made = _made()
    data = made.secret()
    assert set(data) == {"ca.crt", "ca.key", "tls.crt", "tls.key"}
    assert Material.of_secret({**data, "other": "x"}) == made
    assert Material.of_secret({"tls.crt": "!", "tls.key": base64.b64encode(b"x").decode()}) == Material(key=b"x")
    assert "PRIVATE" not in repr(made)


def test_certificates_are_signed_with_sha_256() -> None:
    assert isinstance(_serving(_made()).signature_hash_algorithm, hashes.SHA256)
