"""S3 is away while a volume is changed and read: one sentence, and the volume is as it was."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cloud
import pytest
from cloud import CloudException
from cloud._arguments.volume_path import VolumePath
from cloud._client.volume_sync import sync_from_volume, sync_to_volume, unseen
from cloud._config.configuration import Config
from cloud._http.transport import Backoff, ServerAddress, Transport
from cloud._resources.volume import VolumeClient

from tests.current_client import current_client
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.stack_hashicorp import HashiCorpStack

WAIT_S: Final = 90.0


@contextlib.contextmanager
def away(stack: HashiCorpStack) -> Iterator[None]:
    """S3 is away in the block, which raises an error of one sentence."""
    stack.kill_server("versitygw")
    with pytest.raises(CloudException) as caught:
        yield
    stack.revive()
    assert "\n" not in str(caught.value), caught.value


def synchronize(servers: HashiCorpStack, tmp_path: Path) -> None:
    """Neither the volume nor the directory has changed; then the same succeeds."""
    config = Config()
    config.retry_attempts = 1
    address = ServerAddress(servers.url, servers.key)
    volumes = VolumeClient(Transport(address, config, backoff=Backoff(sleep=lambda _: None)))
    volumes.create("data", "/data", "")
    files, copy, whole = (
        tmp_path / "files",
        tmp_path / "copy",
        VolumePath("data", "", contents=True),
    )
    files.mkdir()
    (files / "a").write_bytes(b"old")
    sync_to_volume(volumes, f"{files}/", whole, unseen, delete=False)
    before = volumes.load("data")
    (files / "a").write_bytes(b"new")
    (files / "b").write_bytes(b"added")

    with away(servers):
        sync_to_volume(volumes, f"{files}/", whole, unseen, delete=False)
    assert volumes.load("data") == before
    with away(servers):
        sync_from_volume(volumes, whole, f"{copy}/", unseen, delete=False)
    assert not list(copy.glob("*"))

    sync_to_volume(volumes, f"{files}/", whole, unseen, delete=False)
    sync_from_volume(volumes, whole, f"{copy}/", unseen, delete=False)
    assert [(copy / name).read_bytes() for name in ("a", "b")] == [b"new", b"added"]
    volumes.delete("data")


def write(name: str, shared: str) -> None:
    """Write to a volume, and end once S3 is away."""
    (Path(cloud.volume.path(name)) / "a").write_text("of the job", encoding="utf-8")
    Path(shared, "written").touch()
    until(Path(shared, "go").exists, "S3 is away", WAIT_S)


def commit(name: str, shared: str) -> str:
    """Commit once S3 is away, and again once it is back; return the error."""
    (Path(cloud.volume.path(name)) / "a").write_text("of the job", encoding="utf-8")
    Path(shared, "committing").touch()
    until(Path(shared, "gone").exists, "S3 is away", WAIT_S)
    error = ""
    try:
        cloud.volume.commit(name)
    except CloudException as refusal:
        error = str(refusal)
    Path(shared, "refused").touch()
    until(Path(shared, "back").exists, "S3 is back", WAIT_S)
    cloud.volume.commit(name)
    return error


def commit_again(servers: HashiCorpStack) -> None:
    """The job learns of it by one sentence and goes on; a later commit stores what it wrote."""
    shared = servers.shared
    with contextlib.closing(servers.client()) as client, current_client(client):
        cloud.volume.create("kept", "/kept")
        job = cloud.call(commit, "kept", str(shared), _vol="kept")
        until((shared / "committing").exists, "the job has written", WAIT_S)
        servers.kill_server("versitygw")
        (shared / "gone").touch()
        until((shared / "refused").exists, "the commit was refused", WAIT_S)
        servers.revive()
        assert cloud.volume.ls("kept:") == []

        (shared / "back").touch()

        error = cloud.result(job, WAIT_S)
        assert error
        assert "\n" not in error, error
        assert cloud.volume.ls("kept:") == ["a"]


def store(servers: HashiCorpStack) -> None:
    """The error of the job names the volume and the cause; the volume is as it was."""
    shared = servers.shared
    with contextlib.closing(servers.client()) as client, current_client(client):
        cloud.volume.create("data", "/data")
        job = cloud.call(write, "data", str(shared), _vol="data")
        until((shared / "written").exists, "the job has written", WAIT_S)
        servers.kill_server("versitygw")
        (shared / "go").touch()

        with pytest.raises(CloudException, match="to the volume 'data' cannot be stored"):
            cloud.result(job, WAIT_S)

        servers.revive()
        assert cloud.volume.ls("data:") == []
        cloud.result(cloud.call(write, "data", str(shared), _vol="data"), WAIT_S)
        assert cloud.volume.ls("data:") == ["a"]


def test_s3_is_away_when_a_volume_changes(
    servers: HashiCorpStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a client that synchronizes it, and by a job that ends or commits; it takes 20 s."""
    monkeypatch.setenv("PICLOUD_CONFIG_DIR", str(tmp_path / "config"))

    synchronize(servers, tmp_path)
    store(servers)
    commit_again(servers)
