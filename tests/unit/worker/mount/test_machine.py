"""The process that mounts buckets in containers: at once, for whom, and again after a loss."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from picloud_worker.mount.bucket_mount import BucketMount

from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


SUPERVISOR = """
import os, selectors, sys
from pathlib import Path
import psutil
from picloud_worker.mount.bucket_mount import BucketMount
from picloud_worker.system import namespace

def until(condition):
    while not condition():
        for key, _ in selector.select(0.01):
            key.data()

def servers():
    for process in psutil.Process(int(sys.argv[1])).children():
        if "picloud_worker.mount" in process.cmdline():
            yield process

directory = Path(sys.argv[2])
Path("/bucket").mkdir(exist_ok=True)
assert namespace.enter()
selector = selectors.DefaultSelector()
container = os.open(directory, os.O_RDONLY)
mount = BucketMount("http://127.0.0.1:9", "t", directory, owner=(0, 0), container=container)
until((directory / "mounts").exists)
mount.use(selector)
mount.notice()
print(mount.server.answer.ready, mount.server.is_used, [*servers()])
print(os.path.ismount("/bucket"))
until(lambda: mount.server.is_used)
kept = os.open("/bucket", os.O_RDONLY)
for process in servers():
    process.kill()
until(lambda: mount.losses)
print(mount.has_lost_files(os.getpid(), 0), mount.has_lost_files(os.getpid(), 1))
os.close(kept)
print(mount.has_lost_files(os.getpid(), 0))
mount.notice()
print(mount.reply().ready, mount.server.is_used, os.path.ismount("/bucket"))
at = f"{directory}/at"
print(mount.volumes().mount({at: sys.argv[3]}).ready, os.listdir(at))
print(mount.volumes().mount({at: sys.argv[3]}).reason)
mount.volumes().unmount([at])
print(os.listdir(at))
mount.close()
"""
"""A slot in a mount namespace of its own, as one in a container is."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there are no containers")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that handles the requests of slots."""
    (tmp_path / "slots").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "picloud_worker.mount.machine", "--slots", str(tmp_path / "slots")],
        stdin=subprocess.PIPE,
    )
    yield process
    assert process.stdin
    process.stdin.close()
    assert process.wait(10) == 0


@pytest.fixture
def directory(machine: subprocess.Popen[bytes], tmp_path: Path) -> Path:
    """The directory of a slot for its requests."""
    made = tmp_path / "slots" / "a" / "alloc" / "bucket"
    made.mkdir(parents=True)
    return made


def test_only_containers_get_a_mount(directory: Path, tmp_path: Path) -> None:
    """A process that shares the machine's mounts could hide files of others."""
    descriptor = os.open(directory, os.O_RDONLY)
    mount = BucketMount("http://127.0.0.1:9", "token", tmp_path, owner=(1, 1), container=descriptor)
    mount.use(selectors.DefaultSelector())

    refused = until(lambda: mount.reply().reason, "it is refused")

    assert "does not come from the supervisor of a container" in refused
    mount.close()
    os.close(descriptor)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a mount namespace without users")
def test_a_slot_has_its_mount_before_its_first_job_and_again_after_a_loss(
    machine: subprocess.Popen[bytes], directory: Path, tmp_path: Path
) -> None:
    """Nothing serves it until it is used; whose files were lost is known.

    A volume is where the job expects it until it ends.
    """
    (tmp_path / "volume" / "file").mkdir(parents=True)
    ended = subprocess.run(
        [sys.executable, "-c", SUPERVISOR, str(machine.pid), str(directory), f"{tmp_path}/volume"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )

    assert ended.stdout.splitlines() == [
        "True False []",
        "True",
        "True False",
        "False",
        "True False True",
        "True ['file']",
        "[Errno 16] Device or resource busy",
        "[]",
    ]
    assert not os.path.ismount("/bucket")
