"""Functions of `cloud.bucket`: copies, public objects, the mount."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cloud import CloudException
from cloud._client.bucket_functions import (
    is_public,
    make_private,
    make_public,
    mount_path,
    mpsafe_get,
    sync_from_cloud,
    sync_to_cloud,
)

from tests.current_client import current_client
from tests.unit.sdk.fake_server import FakeServer, client_for

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_that_exists_is_not_read_again(tmp_path: Path) -> None:
    """Another process has written it: no request is made."""
    file = tmp_path / "copy.csv"
    file.write_text("as it was")
    server = FakeServer()

    with current_client(client_for(server)):
        mpsafe_get("results.csv", file)

    assert file.read_text() == "as it was"
    assert server.sent == []


@pytest.mark.parametrize("copy", [sync_to_cloud, sync_from_cloud])
def test_a_key_is_text(copy: object, tmp_path: Path) -> None:
    """What is wrong is said before anything is requested."""
    assert callable(copy)
    arguments = ("file", 5) if copy is sync_to_cloud else (5, str(tmp_path / "file"))

    with pytest.raises(CloudException, match="5"):
        copy(*arguments)


@pytest.mark.parametrize("function", [make_public, make_private, is_public])
def test_the_key_of_a_public_object_is_text(function: object) -> None:
    """What is wrong is said before anything is requested."""
    assert callable(function)

    with pytest.raises(CloudException, match="5"):
        function(5)


def test_outside_of_a_job_there_is_no_mount() -> None:
    """The message says what to use instead."""
    with pytest.raises(CloudException, match="in jobs only"):
        mount_path()
