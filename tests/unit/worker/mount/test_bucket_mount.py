"""The mount of a slot: begun when a job asks, ended with the slot."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from picloud_worker.mount.bucket_mount import BucketMount

from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from picloud_worker.mount.mount_server import MountServer

URL = "http://127.0.0.1:9"
OWNER = (os.getuid(), os.getgid())


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[BucketMount]:
    """A mount that is not requested yet."""
    opened = BucketMount(URL, "token", tmp_path, owner=OWNER)
    opened.use(selectors.DefaultSelector())
    yield opened
    opened.close()


def ready(mount: BucketMount) -> tuple[Path, MountServer]:
    """Where a bucket is mounted, and what serves it."""
    until(lambda: mount.reply().ready, "the bucket is mounted")
    server = mount.server
    assert server is not None
    return Path(mount.reply().path), server


def test_a_mount_that_nobody_asked_for_does_not_exist(mount: BucketMount, tmp_path: Path) -> None:
    """Closing it does nothing."""
    mount.close()

    assert list(tmp_path.iterdir()) == []


def test_a_mount_begins_with_the_first_question(mount: BucketMount, tmp_path: Path) -> None:
    """The answer says when it is ready; its directory is outside of the slot's and goes with it."""
    first = mount.reply()
    at, _ = ready(mount)

    assert (first.reason, at.is_mount(), at.is_relative_to(tmp_path)) == ("", True, False)
    assert mount.reply().path == first.path
    mount.close()
    assert not at.exists()


def test_a_mount_that_is_lost_is_noticed_and_made_anew(mount: BucketMount) -> None:
    """Its process was killed: it is unmounted, and the next question begins another one."""
    before, server = ready(mount)

    server.abort()
    after, another = ready(mount)

    assert server.is_lost
    assert not another.is_lost
    assert after.is_mount()
    assert not before.exists()


def test_the_end_of_its_process_is_an_event(tmp_path: Path) -> None:
    """So the jobs that use the bucket learn of it at once."""
    selector = selectors.DefaultSelector()
    mount = BucketMount(URL, "token", tmp_path, owner=OWNER)
    mount.use(selector)
    at, server = ready(mount)

    for process in psutil.Process().children():
        with contextlib.suppress(psutil.ZombieProcess):
            if "picloud_worker.mount" in process.cmdline():
                process.kill()
    for key, _ in selector.select(10.0):
        key.data()

    assert server.is_lost
    mount.close()
    assert not at.exists()


def test_what_a_killed_slot_has_left_is_removed(mount: BucketMount, tmp_path: Path) -> None:
    """A slot that was killed together with its mount has left a dead one; the next slot unmounts
    it.
    """
    program = (
        "import os, selectors, sys, time; from pathlib import Path\n"
        "from picloud_worker.mount.bucket_mount import BucketMount\n"
        "mount = BucketMount(sys.argv[1], 't', Path(sys.argv[2]), owner=(0, 0))\n"
        "mount.use(selectors.DefaultSelector())\n"
        "while not mount.reply().ready: time.sleep(0.01)\n"
        "mount.server._process.kill()\n"
        "print(mount._at, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program, URL, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    at = killed.stdout.strip()
    assert at in Path("/proc/self/mountinfo").read_text()

    ready(mount)

    assert at not in Path("/proc/self/mountinfo").read_text()
    assert not Path(at).exists()
