"""Errors at the border of the file system: one table maps the error tree to `errno`."""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING, Final

from mfusepy import FuseOSError
from picloud_model.errors import (
    BucketFull,
    NotAllowed,
    NotFound,
    ObjectChanged,
    PiCloudError,
    RequestRefused,
    TooLarge,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ERRNO: Final[dict[type[PiCloudError], int]] = {
    PiCloudError: errno.EIO,
    Unavailable: errno.EIO,
    NotFound: errno.ENOENT,
    NotAllowed: errno.EACCES,
    RequestRefused: errno.EINVAL,
    TooLarge: errno.EFBIG,
    BucketFull: errno.EDQUOT,
    ObjectChanged: errno.ESTALE,
}
"""The error of the system for each error; a class that is not listed has that of its parent."""


def errno_of(error: PiCloudError) -> int:
    """Return the error of the system for an error.

    >>> errno_of(Unavailable()) == errno.EIO
    True
    """
    return next(ERRNO[kind] for kind in type(error).__mro__ if kind in ERRNO)


@contextlib.contextmanager
def system_errors() -> Iterator[None]:
    """Turn every error inside the block into one that the caller's program receives."""
    try:
        yield
    except PiCloudError as error:
        raise FuseOSError(errno_of(error)) from error
    except OSError as error:
        # The library makes EINVAL of other exceptions, and of an `OSError` without a number.
        raise FuseOSError(error.errno or errno.EIO) from error
