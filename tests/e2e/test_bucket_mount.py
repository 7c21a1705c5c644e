"""The bucket as files: any program reads, writes, appends, renames and removes objects."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import selectors
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import cloud
import psutil
import pytest
from cloud import CloudException, bucket
from picloud_worker.mount.bucket_mount import BucketMount

from tests.current_client import current_client
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloud._client.client import Client

    from tests.e2e.stacks import Stack

WAIT_S = 60.0


@pytest.fixture
def mounted(client: Client, stack: Stack, tmp_path: Path) -> Iterator[Path]:
    """A folder of this test's objects in a mounted bucket."""
    owner = (os.getuid(), os.getgid())
    mount = BucketMount(stack.url, client.transport.address.key, tmp_path, owner=owner)
    mount.use(selectors.DefaultSelector())
    until(lambda: mount.reply().ready, "the bucket is mounted")
    at = Path(mount.reply().path)
    with current_client(client):
        name = uuid4().hex
        yield at / name
        bucket.remove_prefix(name)
    mount.close()
    assert not at.exists()


def sh(command: str, cwd: Path) -> str:
    """The output of a shell command."""
    return subprocess.run(
        ["sh", "-ec", command], cwd=cwd, check=True, capture_output=True, text=True, timeout=60
    ).stdout


def names(folder: Path) -> list[str]:
    """The names in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_files_are_objects(mounted: Path) -> None:
    """What a program writes is an object once it is closed, and the other way round."""
    mounted.mkdir()
    name = mounted.name

    sh("echo one > a.txt; echo two >> a.txt; (echo x; echo y) > b.txt", mounted)
    sh("mkdir sub; echo z > sub/c", mounted)

    assert bucket.getf("a.txt", prefix=name).read() == b"one\ntwo\n"
    assert bucket.getf("b.txt", prefix=name).read() == b"x\ny\n"
    bucket.putf(io.BytesIO(b"three, longer\n"), "a.txt", prefix=name)
    bucket.putf(io.BytesIO(b"new"), "d", prefix=name)
    assert sh("cat a.txt; ls", mounted) == "three, longer\na.txt\nb.txt\nd\nsub\n"
    assert sh("ls -R sub; wc -c < d", mounted) == "sub:\nc\n3\n"
    sh("rm d; mv sub moved; mv a.txt b.txt", mounted)
    keys = [f"{name}/{key}" for key in ("", "b.txt", "moved/", "moved/c")]
    assert sorted(bucket.list(name)) == keys
    assert sh("cat moved/c b.txt; rm -r moved; ls", mounted) == "z\nthree, longer\nb.txt\n"


def test_any_program_works(mounted: Path) -> None:
    """Seeks, truncation, several writers and large files."""
    mounted.mkdir()
    data = os.urandom(20_000_000)
    (mounted / "large").write_bytes(data)

    with (mounted / "large").open("r+b") as file:
        file.seek(10_000_000)
        assert file.read(3) == data[10_000_000:10_000_003]
        file.write(b"changed")
    os.truncate(mounted / "large", 15_000_000)

    expected = data[:10_000_003] + b"changed" + data[10_000_010:15_000_000]
    assert (mounted / "large").read_bytes() == expected
    assert bucket.getf("large", prefix=mounted.name).read() == expected
    assert sh("tar cf t.tar large; tar tf t.tar", mounted) == "large\n"
    assert sh("cp t.tar u.tar; cmp t.tar u.tar; stat -c %s large", mounted) == "15000000\n"


def test_errors_are_those_of_a_file_system(mounted: Path) -> None:
    """A missing file, a folder that is not empty, a name that is too long."""
    mounted.mkdir()
    (mounted / "a").write_bytes(b"")
    with pytest.raises(FileNotFoundError):
        (mounted / "missing").read_bytes()
    with pytest.raises(FileNotFoundError):
        (mounted / "missing").rename(mounted / "b")
    with pytest.raises(OSError, match="not empty"):
        mounted.rmdir()
    with pytest.raises(OSError, match="too long"):
        (mounted / ("x" * 300)).write_bytes(b"")


def test_keys_that_are_no_paths_are_left_out(mounted: Path) -> None:
    """Where a key is also a folder, the folder is shown."""
    for key in ("a", "a/b", "c//d", "e/", "f/../g", "h"):
        bucket.putf(io.BytesIO(key.encode()), f"{mounted.name}/{key}")

    assert names(mounted) == ["a", "c", "e", "f", "h"]
    assert (mounted / "a" / "b").read_bytes() == b"a/b"
    assert names(mounted / "c") == names(mounted / "f") == []


def test_the_newest_version_is_opened(mounted: Path) -> None:
    """What was put or removed a moment ago is so at the next open, however fast that follows."""
    for size in [*range(1, 40), 5, 1]:
        bucket.putf(io.BytesIO(b"x" * size), "a/b", prefix=mounted.name)
        assert (mounted / "a" / "b").read_bytes() == b"x" * size
        assert (mounted / "a" / "b").stat().st_size == size
    bucket.remove("a/b", prefix=mounted.name)

    with pytest.raises(FileNotFoundError):
        (mounted / "a" / "b").read_bytes()


def test_folders_of_keys_are_removed_like_others(mounted: Path) -> None:
    """`rm -r` removes folders that exist by their objects only."""
    for key in ("a/b/c", "a/b/d", "a/e"):
        bucket.putf(io.BytesIO(b""), key, prefix=mounted.name)

    sh(f"rm -r {mounted}/a", mounted.parent)

    assert list(bucket.list(mounted.name)) == []


def test_a_version_that_is_replaced_is_not_mixed_with_another(mounted: Path) -> None:
    """A reader of a replaced object gets an error rather than bytes of both versions."""
    name = mounted.name
    bucket.putf(io.BytesIO(b"a" * 20_000_000), "x", prefix=name)

    with (mounted / "x").open("rb", buffering=0) as file:
        file.read(1000)
        bucket.putf(io.BytesIO(b"b" * 20_000_000), "x", prefix=name)
        file.seek(15_000_000)
        with pytest.raises(OSError, match="Stale"):
            file.read(1000)
    assert (mounted / "x").read_bytes() == b"b" * 20_000_000


def test_a_path_is_at_most_1024_bytes(mounted: Path) -> None:
    """A longer one is refused before anything is written."""
    folder = mounted / "/".join(["d" * 200] * 4)
    folder.mkdir(parents=True)

    with pytest.raises(OSError, match="Invalid argument"):
        (folder / ("f" * 200)).write_bytes(b"x")


def count_lines(name: str) -> str:
    """Sort objects as files, and store the result next to them."""
    at = f"{cloud.bucket.mount_path()}/{name}"
    command = f"cd {at} && sort in/* > sorted.txt && wc -l < sorted.txt"
    return subprocess.run(
        command, shell=True, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.mark.containers
def test_a_job_has_the_bucket_as_files(client: Client) -> None:
    """It is mounted when a job first asks, for all jobs of the slot; not outside of jobs."""
    with current_client(client):
        name = uuid4().hex
        for at in range(3):
            bucket.putf(io.BytesIO(b"b\na\n"), f"{name}/in/{at}")

        results = [cloud.result(cloud.call(count_lines, name)) for _ in range(2)]

        assert results == ["6", "6"]
        assert bucket.getf("sorted.txt", prefix=name).read() == b"a\n" * 3 + b"b\n" * 3
        bucket.remove_prefix(name)
        with pytest.raises(CloudException, match="in jobs only"):
            bucket.mount_path()


def copy_by_path(name: str) -> str:
    """Copy an object by the path of the bucket, without asking for that; return what it has."""
    source = Path("/bucket") / name / "in"
    (source.parent / "out").write_text(source.read_text().upper())
    return str(cloud.bucket.mount_path())


@pytest.mark.containers
def test_every_job_has_the_bucket_at_its_path(client: Client) -> None:
    """Functions, shell commands and jobs with volumes open it without `mount_path()`."""
    with current_client(client):
        name = uuid4().hex
        bucket.putf(b"a\n", "in", prefix=name)
        cloud.volume.create(name, f"/{name}")

        path = cloud.result(cloud.call(copy_by_path, name), timeout=WAIT_S)
        shell = cloud.shell.execute(
            f"ls /bucket/{name} && cat /bucket/{name}/* > /bucket/{name}/all"
        )
        assert cloud.result(shell, timeout=WAIT_S) == "in\nout\n"
        assert cloud.result(cloud.call(copy_by_path, name, _vol=name), timeout=WAIT_S) == path

        assert path == "/bucket"
        assert bucket.getf("all", prefix=name).read() == b"a\nA\n"
        assert not os.path.ismount("/bucket")
        cloud.volume.delete(name)
        bucket.remove_prefix(name)


@pytest.mark.containers
def test_a_session_with_files_of_the_bucket(begin: Callable[..., Stack], tmp_path: Path) -> None:
    """Each job runs one command of the article that introduced mounted buckets, as it is there."""
    stack = begin()

    def run(command: str) -> str:
        return cloud.result(cloud.shell.execute(command), timeout=WAIT_S)

    def crunch_data() -> str:
        with open("/bucket/dataset.txt", "r+") as dataset:  # noqa: PTH123 - as in the article
            text = dataset.read()
            dataset.write("more\n")
        return text

    with current_client(stack.client()):
        bucket.putf("It Works!\n", "it_works.txt")
        for name in ("a.txt", "sub/b.txt"):
            bucket.putf(name, f"folder1/{name}")
        bucket.putf("data\n", "dataset.txt")

        listed = run("ls -lF /bucket").splitlines()
        assert [line.split()[-1] for line in listed[1:]] == [
            "dataset.txt",
            "folder1/",
            "it_works.txt",
        ]
        assert run("cat /bucket/it_works.txt") == "It Works!\n"
        run("echo 'Hooray for Bucket Mounts!' > /bucket/hooray.txt")
        assert run("cat /bucket/hooray.txt") == "Hooray for Bucket Mounts!\n"
        run("mv /bucket/folder1 /bucket/files")
        assert bucket.list() == [
            "dataset.txt",
            "files/a.txt",
            "files/sub/b.txt",
            "hooray.txt",
            "it_works.txt",
        ]
        run("rm -rf /bucket/files")
        assert bucket.list() == ["dataset.txt", "hooray.txt", "it_works.txt"]
        assert cloud.result(cloud.call(crunch_data), timeout=WAIT_S) == "data\n"
        assert bucket.getf("dataset.txt").read() == b"data\nmore\n"


def store_by_path(name: str, size: int) -> str:
    """Write a file of the bucket; return the error of closing it."""
    file = os.open(f"/bucket/{name}", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.write(file, b"x" * size)
    try:
        os.close(file)
    except OSError as error:
        return os.strerror(error.errno or 0)
    return ""


def test_a_full_bucket_is_an_error_of_closing_the_file(begin: Callable[..., Stack]) -> None:
    """Bytes that do not fit are refused, also by a path, and the object stays."""
    with current_client(begin(object_bytes=100_000).client()):
        bucket.putf(b"old", "a")
        full = "Your bucket and volumes have 3 of 100,000 bytes, so 200,000 more do not fit"

        for put in (
            lambda: bucket.putf(b"x" * 200_000, "a"),
            lambda: bucket.putf(io.BytesIO(b"x" * 200_000), "b"),
            lambda: cloud.files.putf(b"x" * 200_000, "a"),
        ):
            with pytest.raises(CloudException, match=full):
                put()
        result = cloud.result(cloud.call(store_by_path, "a", 200_000), timeout=WAIT_S)

        assert result == os.strerror(errno.EDQUOT)
        assert (bucket.list(), bucket.getf("a").read()) == (["a"], b"old")
        assert cloud.result(cloud.call(store_by_path, "a", 90_000), timeout=WAIT_S) == ""
        assert bucket.info("a")["size"] == 90_000


def use_until_it_ends(started: str) -> None:
    """Have the bucket open, and look at it again and again."""
    os.open("/bucket", os.O_RDONLY)
    Path(started).touch()
    while True:
        with contextlib.suppress(OSError):
            Path("/bucket/missing").stat()
        time.sleep(0.1)


def servers(stack: Stack) -> list[psutil.Process]:
    """The processes that serve mounts for slots of a stack."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            # Started by the supervisor of the slot, or by the machine for slots in containers.
            starter = " ".join(psutil.Process(process.ppid()).cmdline())
            is_of_stack = stack.url in starter or str(stack.data) in starter
            if "picloud_worker.mount" in process.cmdline() and is_of_stack:
                found.append(process)
    return found


@pytest.mark.containers
@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_lost_mount_ends_its_jobs(client: Client, stack: Stack, *, is_stopped: bool) -> None:
    """A job that has it open says what was lost; one that waits for a stopped process can be
    killed. The next job has the bucket.
    """
    with current_client(client):
        started = stack.shared / uuid4().hex
        jid = cloud.call(use_until_it_ends, str(started))
        until(started.exists, "the job uses the bucket")
        serving = servers(stack)
        assert serving
        for process in serving:
            process.suspend() if is_stopped else process.kill()

        if is_stopped:
            cloud.kill(jid)
            cloud.join(jid, ignore_errors=True, timeout=WAIT_S)
            assert cloud.status(jid) == "killed"
            for process in serving:
                process.resume()
        else:
            with pytest.raises(CloudException, match="/bucket was lost"):
                cloud.result(jid, timeout=WAIT_S)
        assert cloud.result(cloud.call(is_mounted), timeout=WAIT_S)


def is_mounted() -> bool:
    """Whether a job has a bucket that works."""
    return Path(cloud.bucket.mount_path()).is_dir()


def mount_point() -> tuple[str, bool]:
    """Where a job has the bucket, and whether a file system is mounted there."""
    at = cloud.bucket.mount_path()
    return at, os.path.ismount(at)


def test_nothing_is_left_of_the_mount_of_a_slot(begin: Callable[..., Stack]) -> None:
    """It is unmounted when the slot ends; killed processes leave no mounted bucket either."""
    stack = begin()
    client = stack.client()
    with current_client(client):
        at, is_mount = cloud.result(cloud.call(mount_point))
        assert is_mount
        serving = servers(stack)
        assert serving

        stack.stop()

    until(lambda: not os.path.ismount(at), "it is unmounted")
    until(lambda: not any(each.is_running() for each in serving), "its process has ended")
