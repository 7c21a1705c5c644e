"""`_vol`: volumes in jobs, on every stack."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import cloud
import pytest
from cloud import CloudException, volume

from tests.current_client import current_client
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited
    from tests.e2e.stacks import Stack

WAIT_S = 60.0


@pytest.fixture
def data(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a volume with one file; the test runs in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PICLOUD_CONFIG_DIR", str(tmp_path / "config"))
    with current_client(client):
        name = f"data-{uuid4().hex[:12]}"
        volume.create(name, f"/{name}/deep")
        (tmp_path / "a.txt").write_text("one", encoding="utf-8")
        volume.sync("a.txt", f"{name}:sets/a.txt")
        yield name
        cloud.kill()
        until(lambda: deleted(name), "no job uses the volume", WAIT_S)


def deleted(name: str) -> bool:
    """Delete a volume, unless jobs use it."""
    try:
        volume.delete(name)
    except CloudException as error:
        if "in use" not in str(error):
            raise
        return False
    return True


def content(name: str, path: str) -> str:
    """Return the text of a file of a volume."""
    copy = Path(f"copy-{uuid4().hex[:8]}")
    volume.sync(f"{name}:{path}", copy)
    return copy.read_text(encoding="utf-8")


@pytest.mark.containers
def test_a_job_reads_and_writes_files_that_the_next_one_finds(data: str) -> None:
    """What a job wrote is a snapshot when it ends; nothing of it is left where it ran."""

    def work(name: str) -> tuple[str, str, str]:
        import subprocess

        folder = Path(volume.path(name))
        text = (folder / "sets" / "a.txt").read_text(encoding="utf-8")
        (folder / "sets" / "a.txt").write_text("two", encoding="utf-8")
        (folder / "new").mkdir()
        (folder / "new" / "b.txt").write_text("three", encoding="utf-8")
        variable = f"PICLOUD_VOLUME_{name.upper().replace('-', '_')}"
        listed = subprocess.run(
            ["/bin/sh", "-c", f"ls ${variable}"], capture_output=True, text=True, check=True
        )
        return text, listed.stdout, os.environ["PICLOUD_VOLUMES"]

    def look(name: str, before: str) -> tuple[str, bool]:
        folder = Path(volume.path(name))
        text = (folder / "sets" / "a.txt").read_text(encoding="utf-8")
        (folder / "sets" / "a.txt").unlink()
        return text, Path(before).exists()

    text, listed, folder = cloud.result(cloud.call(work, data, _vol=data), WAIT_S)
    assert (text, listed) == ("one", "new\nsets\n")
    assert content(data, "new/b.txt") == "three"
    assert cloud.result(cloud.call(look, data, folder, _vol=[data]), WAIT_S) == ("two", False)
    assert volume.ls(f"{data}:sets") == []


@pytest.mark.containers
def test_a_volume_is_at_its_mount_path_for_the_job_only(data: str, stack: Stack) -> None:
    """Neither this process nor a job without the volume sees it, nor is a directory left."""

    def work(name: str) -> tuple[str, bool]:
        path = volume.path(name)
        return path, (Path(path) / "sets" / "a.txt").exists()

    mounted = cloud.call(work, data, _vol=data)
    path = f"/{data}/deep"
    assert cloud.result(mounted, WAIT_S) == (path, True)
    assert cloud.result(cloud.call(os.path.exists, path), WAIT_S) is False
    assert not Path(f"/{data}").exists()


def test_a_job_sees_one_snapshot_and_commits_when_it_likes(data: str, stack: Stack) -> None:
    """It does not see what others do; of a file that both change, the last version is kept."""

    def work(name: str, shared: str) -> tuple[list[str], str]:
        folder = Path(volume.path(name))
        (folder / "mine").write_text("first", encoding="utf-8")
        volume.commit()
        Path(shared, f"{name}-committed").touch()
        until(Path(shared, f"{name}-changed").exists, "the test goes on", WAIT_S)
        seen = sorted(each.name for each in folder.iterdir())
        (folder / "mine").write_text("last", encoding="utf-8")
        return seen, (folder / "sets" / "a.txt").read_text(encoding="utf-8")

    job = cloud.call(work, data, str(stack.shared), _vol=data)
    until((stack.shared / f"{data}-committed").exists, "the job has committed", WAIT_S)
    assert content(data, "mine") == "first"
    Path("other").write_text("other", encoding="utf-8")
    for path in ("other", "mine", "sets/a.txt"):
        volume.sync("other", f"{data}:{path}")
    with pytest.raises(CloudException, match=f"{data}' is in use by job {job}:"):
        volume.delete(data)
    (stack.shared / f"{data}-changed").touch()

    assert cloud.result(job, WAIT_S) == (["mine", "sets"], "one")
    assert content(data, "mine") == "last"
    assert content(data, "sets/a.txt") == content(data, "other") == "other"


def test_a_commit_that_exceeds_the_quota_is_refused(begin: Callable[..., Stack]) -> None:
    """It says so and stores nothing; what was committed before stays, and the job may go on."""
    with current_client(begin(object_bytes=100_000).client()):
        volume.create("small", "/small")

        def work() -> str:
            folder = Path(volume.path("small"))
            (folder / "fits").write_bytes(b"x" * 1000)
            volume.commit()
            (folder / "large").write_bytes(os.urandom(200_000))
            try:
                volume.commit()
            except CloudException as error:
                (folder / "large").unlink()
                volume.commit()
                return str(error)
            return "it was committed"

        def leave() -> None:
            (Path(volume.path("small")) / "large").write_bytes(os.urandom(200_000))

        refusal = cloud.result(cloud.call(work, _vol="small"), WAIT_S)
        assert "1,000 of 100,000 bytes, so 200,000 more do not fit" in refusal
        with pytest.raises(CloudException, match="200,000 more do not fit"):
            cloud.result(cloud.call(leave, _vol="small"), WAIT_S)
        assert volume.ls("small:") == ["fits"]


def test_what_a_job_wrote_is_kept_if_it_raises_and_not_if_it_is_killed(
    data: str, stack: Stack
) -> None:
    """A job that is killed leaves what it committed before, and nothing where it ran."""

    def fail(name: str) -> None:
        (Path(volume.path(name)) / "failed").write_text("kept", encoding="utf-8")
        raise ValueError("after writing")

    def hang(name: str, shared: str) -> None:
        (Path(volume.path(name)) / "killed").write_text("lost", encoding="utf-8")
        Path(shared, f"{name}-folder").write_text(os.environ["PICLOUD_VOLUMES"], encoding="utf-8")
        Path(shared, f"{name}-hangs").touch()
        until(lambda: False, "it is killed", WAIT_S)

    failed = cloud.call(fail, data, _vol=data)
    hangs = cloud.call(hang, data, str(stack.shared), _vol=data)
    until((stack.shared / f"{data}-hangs").exists, "the job runs", WAIT_S)
    cloud.kill(hangs)
    with pytest.raises(CloudException, match="after writing"):
        cloud.result(failed, WAIT_S)
    cloud.join(hangs, WAIT_S, ignore_errors=True)

    assert content(data, "failed") == "kept"
    assert "killed" not in volume.ls(f"{data}:")
    folder = Path((stack.shared / f"{data}-folder").read_text(encoding="utf-8"))
    until(lambda: not folder.exists(), "its directory is removed", WAIT_S)
    assert str(folder) not in Path("/proc/self/mountinfo").read_text(encoding="utf-8")


@pytest.mark.containers
def test_jobs_of_a_map_and_of_the_shell_write_to_one_volume(
    data: str, picloud: Callable[..., Exited]
) -> None:
    """File by file, nothing is lost."""

    def write(number: int, name: str) -> None:
        (Path(volume.path(name)) / f"{number}.txt").write_text(str(number), encoding="utf-8")

    jids = cloud.map(write, range(4), [data] * 4, _vol=[data])
    cloud.join(jids, WAIT_S)
    ran = picloud("exec", "-v", data, f"cat /{data}/deep/3.txt")
    assert cloud.result(int(ran.out), WAIT_S) == "3"
    mapped = picloud(
        "mapexec", "-v", data, "--json", "-n", "x=5,6", f"touch /{data}/deep/{{x}}.txt"
    )
    cloud.join(json.loads(mapped.out)["jids"], WAIT_S)

    assert volume.ls(f"{data}:") == [*(f"{each}.txt" for each in range(7) if each != 4), "sets"]


def test_what_cannot_be_stored_is_an_error_of_the_job(data: str) -> None:
    """It names the volume and the reason, and tells the error of the function as well."""

    def work(name: str) -> None:
        (Path(volume.path(name)) / "\udcff").write_text("not UTF-8", encoding="utf-8")
        raise ValueError("of the function")

    with pytest.raises(CloudException, match="ValueError: of the function") as failed:
        cloud.result(cloud.call(work, data, _vol=data), WAIT_S)
    assert f"what the job wrote to the volume '{data}' cannot be stored" in str(failed.value)
    assert "is not UTF-8: rename it" in str(failed.value)


def test_a_job_with_volumes_sees_the_mounted_bucket_where_mounts_are_shared(data: str) -> None:
    """Where they are private, it sees one that was mounted before; else the error says why."""

    def look() -> tuple[bool, str]:
        mounts = Path("/proc/1/mountinfo").read_text(encoding="utf-8").splitlines()
        shared = any(line.split()[4] == "/" and "shared:" in line for line in mounts)
        try:
            return shared, str(os.path.ismount(cloud.bucket.mount_path()))
        except CloudException as error:
            return shared, str(error)

    shared, seen = cloud.result(cloud.call(look, _vol=data), WAIT_S)

    assert seen == "True" or (not shared and "mounts are private" in seen)


def test_what_cannot_be_is_refused_in_one_sentence(data: str, other: Client) -> None:
    """At submit, or by the function of the SDK that needs a job."""
    inside = f"inside-{data}"
    volume.create(inside, f"/{data}/deep/er")
    try:
        with pytest.raises(CloudException, match=f"'{data}' and '{inside}' cannot be in one job"):
            cloud.call(abs, 1, _vol=[data, inside])
    finally:
        volume.delete(inside)
    with pytest.raises(CloudException, match=f"no volume '{data}' in your account"):
        other.call(abs, 1, _vol=data)
    with pytest.raises(CloudException, match="not a job with volumes"):
        volume.commit()
    unnamed = cloud.call(volume.path, "unnamed", _vol=data)
    with pytest.raises(CloudException, match="'unnamed' is not a volume of this job"):
        cloud.result(unnamed, WAIT_S)
