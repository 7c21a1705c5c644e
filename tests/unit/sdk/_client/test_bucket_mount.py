"""The bucket as files: in jobs only."""

from __future__ import annotations

import pytest
from cloud._client.bucket_mount import mount_path
from cloud.errors import CloudException


def test_outside_of_a_job_there_is_no_mount() -> None:
    """The message says what to use instead."""
    with pytest.raises(CloudException, match="in jobs only"):
        mount_path()
