"""The TLS context of the webhooks. Its certificate changes under it: open connections live on with the old one."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

__all__ = ["CertificateLoadError", "ServingContext"]


class CertificateLoadError(Exception):
    """A serving certificate cannot be used; what was served before still is."""


class ServingContext:
    """What the server listens with.

    Attributes:
        context: for the server; the same for its whole life.
        loaded: the certificate in use, in PEM; ``b""`` before the first.
    """

    def __init__(self) -> None:
        self.context = _fresh()
        self.loaded = b""
        self._key = b""

    def load(self, certificate: bytes, key: bytes) -> bool:
        """Serve this certificate to connections from now on; whether it is another one than before.

        Raises:
            CertificateLoadError: certificate and key are not PEM, or do not belong together.
        """
        if (certificate, key) == (self.loaded, self._key):
            return False
        # OpenSSL takes them only from files; these exist, readable by us alone, while it reads them.
        with tempfile.TemporaryDirectory(prefix="rbgctrl-") as directory:
            paths = [_written(Path(directory, name), pem) for name, pem in (("crt", certificate), ("key", key))]
            try:
                _fresh().load_cert_chain(paths[0], paths[1], _no_password)  # a failure leaves half of it in a context
                self.context.load_cert_chain(paths[0], paths[1], _no_password)
            except (OSError, ValueError, ssl.SSLError) as error:
                msg = f"the serving certificate cannot be used: {error}; correct tls.crt and tls.key"
                raise CertificateLoadError(msg) from error
        self.loaded, self._key = certificate, key
        return True


def _fresh() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _written(path: Path, pem: bytes) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(pem)
    return path


def _no_password() -> str:
    # Without this OpenSSL would ask on the terminal and wait for ever.
    raise ValueError("the key is encrypted; decrypt it first")
