"""From the exceptions of aiohttp to ours: what happened, how far the request got, and what to check."""

from __future__ import annotations

import errno
import ssl
from dataclasses import dataclass

import aiohttp

from rbgctrl.client.errors import ApiError, CertificateError, ConnectError, ResponseError, UnknownOutcomeError
from rbgctrl.client.payload import SentOnceError
from rbgctrl.client.transport import ApiRequest

__all__ = ["Place", "failure"]

_UNSENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)


@dataclass(frozen=True, slots=True)
class Place:
    """Whom we talk to, for messages.

    Attributes:
        host: ``host:port`` of the server.
        source: where its address was found.
        proxy: URL of the proxy, or ``""``.
    """

    host: str
    source: str
    proxy: str = ""


def failure(error: Exception, request: ApiRequest, place: Place, *, sent: bool) -> ApiError:
    """Our exception for one of aiohttp's.

    Args:
        error: as raised by aiohttp.
        request: what was asked.
        place: whom.
        sent: whether the request may have reached the server.
    """
    if isinstance(error, SentOnceError) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    if request.verb.writes and sent and not isinstance(error, _UNSENT):
        return UnknownOutcomeError(
            f"{request}: sent to {place.host}, but the answer was lost ({_why(error)}); it may have been committed"
        )
    if isinstance(error, aiohttp.ClientResponseError) and not isinstance(error, aiohttp.ClientHttpProxyError):
        return ResponseError(f"{request}: {place.host} does not answer in HTTP ({error.message[:100]!r})")
    reason, sentence = _explained(error, place)
    message = f"{request}: {sentence}"
    return CertificateError(message) if reason == "tls" else ConnectError(message, reason=reason)


def _explained(error: Exception, place: Place) -> tuple[str, str]:
    """The reason in a word, and a sentence on what happened and what to check."""
    host, check = place.host, f"check that it is up and that {place.source or 'the configuration'} names it"
    match error:
        case aiohttp.ClientConnectorCertificateError():
            why = getattr(error.certificate_error, "verify_message", "") or str(error.certificate_error)
            return "tls", (
                f"the certificate of {host} is not trusted ({why}); check certificate-authority and tls-server-name"
            )
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            return "proxy", f"the proxy {place.proxy} does not let us through to {host} ({_why(error)}); check it"
        case aiohttp.ClientConnectorSSLError() if not isinstance(error.os_error, ssl.SSLEOFError):
            return "tls", f"no TLS with {host} ({_why(error.os_error)}); check the server's address and our certificate"
        case aiohttp.ClientConnectorDNSError():
            return (
                "dns",
                f"the host name of {host} does not resolve ({_why(error.os_error)}); check it in {place.source}",
            )
        case aiohttp.ConnectionTimeoutError():
            return "connect", f"{host} did not accept a connection in time; {check}"
        case aiohttp.ClientConnectorError():
            reason = "refused" if error.errno == errno.ECONNREFUSED else "connect"
            return reason, f"cannot connect to {host} ({_why(error.os_error)}); {check}"
        case TimeoutError():
            return "timeout", f"{host} was silent for too long"
    return "reset", f"the connection to {host} broke ({_why(error)})"


def _why(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
    return str(text)[:200] or type(error).__name__
