"""Reasons why a request over the network failed, in words for operators."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST = 200


def reason(error: BaseException) -> str:
    """Return the innermost cause of a failed request, without the layers of urllib3 and requests.

    >>> reason(ConnectionError("Max retries exceeded", ConnectionRefusedError(111, "Refused")))
    'connection refused, is it running?'
    """
    chain = list(_chain(error))
    for inner in reversed(chain):
        if isinstance(inner, ConnectionRefusedError):
            return "connection refused, is it running?"
        if isinstance(inner, ssl.SSLError):
            return _tls_reason(inner)
        if isinstance(inner, FileNotFoundError):
            return "a file is missing, check those of the certificates"
        if isinstance(inner, TimeoutError) or "timeout" in type(inner).__name__.lower():
            return "no answer in time"
        if isinstance(inner, OSError) and inner.strerror and inner.errno:
            return inner.strerror[0].lower() + inner.strerror[1:]
    return " ".join(str(chain[-1]).split())[:_LONGEST] or type(chain[-1]).__name__


def _tls_reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate does not hold ({error.verify_message})"
    # A server that has no better alert just closes the connection.
    if isinstance(error, ssl.SSLEOFError) or "CERTIFICATE_REQUIRED" in (error.reason or ""):
        return "it refuses TLS, does it require a client's certificate?"
    if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
        return "it does not speak TLS, use http://"
    return f"TLS fails ({error.reason or error})"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all that it wraps, the outermost first."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop(0)
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            inside = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
            waiting += [each for each in inside if isinstance(each, BaseException)]
