"""The bucket as files, for the jobs of a slot: mounted when a job first asks."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from picloud_model.wire import BucketMounted

from picloud_worker.mount.mount_server import MountServer
from picloud_worker.mount.request import IN_CONTAINER, MountRequest
from picloud_worker.mount.start import obstacle, start

if TYPE_CHECKING:
    from collections.abc import Iterator

_END_S: Final = 5.0
_ROOT: Final = 0
_PREFIX: Final = "picloud-bucket-"
_IGNORED: Final = (
    "The bucket cannot be mounted here: no process of PiCloud on this machine mounts buckets in"
    " containers; run picloud up as root, with fuse3 installed."
)


class BucketMount:
    """Mounts the bucket of the slot's account once, and unmounts it when the slot ends.

    The mount is in no directory of the slot or of the server: these are removed with all that is
    in them, which in a mounted bucket are the user's objects.

    Args:
        url: Where the API listens.
        token: The token of the slot.
        copies: Where to keep copies of files that are open for writing.
        owner: The user and the group of the jobs.
        container: In a container a descriptor of a directory that the machine sees, too: a process
            outside then mounts the bucket. Else None: a process of this slot does.
    """

    def __init__(
        self,
        url: str,
        token: str,
        copies: Path,
        *,
        owner: tuple[int, int],
        container: int | None = None,
    ) -> None:
        self._url = url
        self._token = token
        self._copies = copies
        self._owner = owner
        self._container = container
        self._selector: selectors.BaseSelector = selectors.DefaultSelector()
        self._at = ""
        self.server: MountServer | None = None
        """What serves the latest mount; None before the first one."""

    def use(self, selector: selectors.BaseSelector) -> None:
        """Wait for answers of the mount here; the caller calls the `data` of what is ready."""
        self._selector = selector

    def reply(self) -> BucketMounted:
        """Return where the bucket is mounted, and begin to mount it if it is not. Never waits."""
        server = self.server
        if server is not None:
            server.receive()
            if server.is_ignored():
                self.close()
                return BucketMounted(reason=_IGNORED)
        if server is None or server.is_lost:
            self.close()
            reason = obstacle() if self._container is None else ""
            if reason:
                return BucketMounted(reason=f"The bucket cannot be mounted here: {reason}.")
            server = self._begin()
        return server.answer

    def close(self) -> None:
        """Unmount, if it is mounted; programs that still use it get errors."""
        server, self.server = self.server, None
        if server is None:
            return
        server.close(_END_S)
        if self._container is None:
            _unmount(self._at)

    def _begin(self) -> MountServer:
        if self._container is None:
            _remove_leftovers()
            self._at = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")
        else:
            self._at = IN_CONTAINER
        uid, gid = self._owner
        request = MountRequest(url=self._url, token=self._token, at=self._at, uid=uid, gid=gid)
        server = self.server = MountServer(request, self._copies, self._selector)
        if self._container is not None:
            server.listen(self._container)
            return server
        ours, theirs = socket.socketpair()
        with theirs:
            descriptor = theirs.fileno()
            process = start(descriptor, ("--parent", str(os.getpid())), (descriptor,))
        server.connect(ours, process)
        return server


def _remove_leftovers() -> None:
    """Unmount what supervisors have left that were killed together with their mounts.

    The name says whose it is: a look at a mount could block.
    """
    for place in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        pid = place.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and sys.platform == "linux" and not Path(f"/proc/{pid}").exists():
            _unmount(str(place))


def _unmount(at: str) -> None:
    if at in set(_mounts()):
        import subprocess  # noqa: PLC0415 - few slots mount the bucket

        unmount = ["umount", "-l"] if os.geteuid() == _ROOT else ["fusermount3", "-uz"]
        subprocess.run([*unmount, at], check=False)  # noqa: S603
    with contextlib.suppress(OSError):
        Path(at).rmdir()


def _mounts() -> Iterator[str]:
    """Yield where file systems are mounted, without a look at any, which could block."""
    with Path("/proc/self/mountinfo").open(encoding="utf-8") as lines:
        for line in lines:
            yield line.split()[4]
