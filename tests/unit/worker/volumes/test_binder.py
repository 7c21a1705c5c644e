"""Volumes in a container, mounted from outside: at paths where they hide nothing."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from picloud_model.wire import MAX_VOLUMES
from picloud_worker.system import namespace
from picloud_worker.volumes.binder import Binder
from picloud_worker.volumes.request import VolumesRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can enter a mount namespace")

JOB = 1234
CONTAINER = f"""
set -e
mount -t tmpfs none /mnt
cd /mnt
mkdir disk home srv usr tmp tmp/job tmp/other
mount -t ramfs none disk
mkdir disk/job
chown {JOB} disk/job
echo one > tmp/job/file
echo two > usr/file
chown {JOB} tmp/job
ln -s /usr tmp/link
mount -o remount,bind,ro /mnt
mount --move /mnt /
echo ready
exec sleep 60
"""
"""A mount namespace whose root directory is read-only."""
EVERYTHING = ["disk", "home", "srv", "tmp", "usr"]


@pytest.fixture
def container() -> Iterator[int]:
    """A descriptor of the mount namespace."""
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", CONTAINER]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        opened = os.open(f"/proc/{process.pid}/ns/mnt", os.O_RDONLY)
        yield opened
        os.close(opened)
        process.kill()


@pytest.fixture
def binder(container: int) -> Iterator[Binder]:
    """What mounts there."""
    made = Binder(os.dup(container))
    yield made
    made.close()


def names(container: int, path: str) -> list[str]:
    """The names in a directory there."""
    reader, writer = os.pipe()

    def write() -> None:
        os.write(writer, "\n".join(sorted(os.listdir(path))).encode())  # noqa: PTH208

    namespace.call_in(container, write)
    os.close(writer)
    with os.fdopen(reader) as read:
        return read.read().split()


def test_a_directory_is_mounted_and_nothing_is_left_of_it(container: int, binder: Binder) -> None:
    """Mount points are made in a root directory that the container cannot write to."""
    binder.handle(VolumesRequest(uid=JOB, mount={"/data/a": "/tmp/job", "/data/b": "/tmp/job"}))
    binder.handle(VolumesRequest(uid=JOB, mount={"/srv/c": "/tmp/job", "/home/d": "/tmp/job"}))

    for path in ("/data/a", "/data/b", "/srv/c", "/home/d"):
        assert names(container, path) == ["file"]
    binder.handle(VolumesRequest(uid=JOB, unmount=["/data/a", "/srv/c", "/home/d", "/usr"]))
    assert names(container, "/data") == ["b"]
    assert names(container, "/srv") == []
    binder.handle(VolumesRequest(uid=JOB, unmount=["/data/b"]))
    assert names(container, "/") == EVERYTHING
    assert names(container, "/usr") == names(container, "/tmp/job") == ["file"]


@pytest.mark.parametrize(
    ("path", "directory"),
    [
        ("/usr", "/tmp/job"),
        ("/usr/new", "/tmp/job"),
        ("/tmp", "/tmp/job"),
        ("/tmp/job", "/tmp/job"),
        ("/tmp/link", "/tmp/job"),
        ("/tmp/link/new", "/tmp/job"),
        ("/", "/tmp/job"),
        ("/data/../usr/new", "/tmp/job"),
        ("data", "/tmp/job"),
        ("/first", "/tmp/job"),
        ("/first/below", "/tmp/job"),
        ("/data", "/tmp/other"),
        ("/data", "/tmp/link"),
        ("/data", "/usr"),
        ("/data", "/missing"),
        ("/data", "/tmp/job/file"),
        ("/data", "/disk/job"),
    ],
)
def test_what_would_hide_files_or_is_not_the_jobs_is_refused(
    container: int, binder: Binder, path: str, directory: str
) -> None:
    """Neither does a link lead elsewhere; nothing of the request stays mounted."""
    binder.handle(VolumesRequest(uid=JOB, mount={"/first": "/tmp/job"}))

    with pytest.raises(OSError, match=r"\[Errno"):
        binder.handle(VolumesRequest(uid=JOB, mount={"/second": "/tmp/job", path: directory}))

    assert names(container, "/") == sorted([*EVERYTHING, "first"])
    assert names(container, "/usr") == names(container, "/first") == ["file"]


@pytest.mark.parametrize("uid", [0, -1, 2**40])
def test_directories_of_root_are_not_mounted(container: int, binder: Binder, uid: int) -> None:
    """Another mount of `/proc` would show what docker hides from root in a container."""
    with pytest.raises(PermissionError):
        binder.handle(VolumesRequest(uid=uid, mount={"/data": "/usr"}))

    assert names(container, "/") == EVERYTHING


def test_the_number_of_mounts_is_bounded(container: int, binder: Binder) -> None:
    """A request has at most the volumes of one job."""
    many = {f"/tmp/{number}": "/tmp/job" for number in range(MAX_VOLUMES + 1)}

    with pytest.raises(OSError, match="No space left"):
        binder.handle(VolumesRequest(uid=JOB, mount=many))

    assert names(container, "/tmp") == ["job", "link", "other"]
