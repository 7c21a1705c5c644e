"""Mounts the bucket in the mount namespace of a container, from outside of it.

The container gets neither a capability nor the device, which stays open outside. The file system
is mounted in no other place, and ends with the container.
"""

from __future__ import annotations

import os
from functools import partial
from typing import Final

from picloud_worker.mount.idle_mount import IdleMount
from picloud_worker.mount.request import MOUNT_POINT, REQUEST_BYTES
from picloud_worker.system import namespace, read_ahead

_DEVICE: Final = "/dev/fuse"


def mount(target: int, owner: tuple[int, int]) -> IdleMount:
    """Mount a file system that only one user can use; return it, not served yet.

    Args:
        target: A descriptor of the mount namespace of the container.
        owner: The user and the group.

    Raises:
        OSError: When the system refuses.
    """
    uid, gid = owner
    device = os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC)
    # Without `allow_other` the kernel refuses every other user, also the root of the container.
    options = f"fd={device},rootmode=40000,user_id={uid},group_id={gid},max_read={REQUEST_BYTES}"
    try:
        with read_ahead.devices() as devices:
            namespace.call_in(target, partial(_mount, options, devices))
    except OSError:
        os.close(device)
        raise
    return IdleMount.of(device)


def _mount(options: str, devices: int) -> None:
    namespace.mount_fuse("picloud", MOUNT_POINT, "fuse.bucket", options)
    read_ahead.set_read_ahead(MOUNT_POINT, REQUEST_BYTES, devices)
