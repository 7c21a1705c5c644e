"""Mounts the bucket in the mount namespace of a container, from outside of it.

The container gets neither a capability nor the device, which stays open outside. The file system
is mounted in no other place, and ends with the container.
"""

from __future__ import annotations

import os
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
    with read_ahead.devices() as devices:
        pid = os.fork()
        if pid == 0:
            number = 1
            try:
                namespace.join(target)
                namespace.mount_fuse("picloud", MOUNT_POINT, "fuse.bucket", options)
                read_ahead.set_read_ahead(MOUNT_POINT, REQUEST_BYTES, devices)
                number = 0
            except OSError as error:
                number = error.errno or 1
            finally:
                os._exit(number)
        _, status = os.waitpid(pid, 0)
    number = os.waitstatus_to_exitcode(status)
    if number:
        os.close(device)
        raise OSError(number, os.strerror(number) if number > 0 else "it was killed")
    return IdleMount.of(device)
