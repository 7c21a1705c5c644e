"""Mounting in a container: what is wrong there is the error of the caller.

What works is tried in real containers: tests/e2e/test_isolation.py.
"""

from __future__ import annotations

import os
import subprocess

import psutil
import pytest
from picloud_worker.mount import container

EMPTY = "mount -t tmpfs none /mnt && mount --move /mnt / && echo ready && exec sleep 60"
"""Gives a mount namespace an empty root directory."""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can enter a mount namespace")
def test_a_container_without_the_mount_point_is_refused() -> None:
    """The error is that of the container, and no device stays open."""
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", EMPTY]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        namespace = os.open(f"/proc/{process.pid}/ns/mnt", os.O_RDONLY)
        before = psutil.Process().num_fds()

        with pytest.raises(FileNotFoundError):
            container.mount(namespace, (20001, 20001))

        assert psutil.Process().num_fds() == before
        os.close(namespace)
        process.kill()
