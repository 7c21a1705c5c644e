"""Tables of vendors' faults: for each the error of the platform and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from picloud_model.errors import PiCloudError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable


class Fault(msgspec.Struct, frozen=True):
    """A fault of a vendor's server or library.

    Args:
        cause: The server's error code, or the class of the exception.
        advice: What is wrong and what to do.
        contains: A part of the exception's text that tells the fault from others of its cause.
        kind: The error of the platform.
    """

    cause: str | type[Exception]
    advice: str
    contains: str = ""
    kind: type[PiCloudError] = Unavailable

    def matches(self, exception: Exception, code: str) -> bool:
        """Whether an exception with this error code is this fault."""
        if isinstance(self.cause, str):
            return code == self.cause
        return isinstance(exception, self.cause) and self.contains in str(exception)


def error_for(
    exception: Exception, where: str, faults: Iterable[Fault], code: str = ""
) -> PiCloudError:
    """Return the error for an exception, by the first fault that matches it.

    Args:
        exception: What the vendor's library raised.
        where: The server, for the message.
        faults: The table; its last fault matches every exception that the library raises.
        code: The server's error code, "" if it sent none.

    >>> faults = [Fault("Busy", "it is busy: try again"), Fault(Exception, "see its log")]
    >>> print(error_for(ValueError(), "X at x:1", faults, "Busy"))
    X at x:1: it is busy: try again (Busy)
    """
    fault = next(fault for fault in faults if fault.matches(exception, code))
    return fault.kind(f"{where}: {fault.advice} ({code or type(exception).__name__})")
