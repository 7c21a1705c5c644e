"""Errors of the file system: each has a number that programs know."""

from __future__ import annotations

import errno

import pytest
from picloud_model.errors import (
    BucketFull,
    NotAllowed,
    ObjectChanged,
    ObjectNotFound,
    PiCloudError,
    RequestRefused,
    ServerFault,
    TokenRefused,
    TooLarge,
    Unavailable,
)
from picloud_worker.mount.errors import system_errors


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (ObjectNotFound(), errno.ENOENT),
        (ObjectChanged(), errno.ESTALE),
        (RequestRefused(), errno.EINVAL),
        (TooLarge(), errno.EFBIG),
        (BucketFull(), errno.EDQUOT),
        (NotAllowed(), errno.EACCES),
        (TokenRefused(), errno.EACCES),
        (Unavailable(), errno.EIO),
        (ServerFault(), errno.EIO),
        (PiCloudError(), errno.EIO),
        (OSError(errno.ENOSPC, "full"), errno.ENOSPC),
        (ConnectionResetError(), errno.EIO),
    ],
)
def test_an_error_has_a_number(error: Exception, number: int) -> None:
    """Errors of the platform by the table, those of the system by their own number."""
    with pytest.raises(OSError) as raised, system_errors():  # noqa: PT011
        raise error

    assert raised.value.errno == number
