"""The bucket as files, for the jobs of a slot: served when a job first uses it."""

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

from picloud_worker.ipc import machine_socket
from picloud_worker.mount.idle_mount import IdleMount
from picloud_worker.mount.mount_server import MountServer
from picloud_worker.mount.request import MOUNT_POINT, MountRequest
from picloud_worker.mount.start import obstacle, start
from picloud_worker.system import procfs, user

if TYPE_CHECKING:
    from collections.abc import Iterator

    from picloud_worker.system.procfs import MountId
    from picloud_worker.volumes.mounts import VolumeMounts

_END_S: Final = 5.0
_LOSS_S: Final = 0.2
"""How much later than a program the supervisor may learn that a mount was lost."""
_ROOT: Final = 0
_PREFIX: Final = "picloud-bucket-"
_IGNORED: Final = (
    "The bucket cannot be mounted here: no process of PiCloud on this machine mounts buckets in"
    " containers; run picloud up as root, with fuse3 installed."
)


class BucketMount:
    """Mounts the bucket of the slot's account once, and unmounts it when the slot ends.

    The mount is in no directory of the slot or of the server: these are removed with all that is
    in them, which in a mounted bucket are the user's objects. A slot with an idle mount has the
    bucket at `MOUNT_POINT`, also for programs that open it without a question before.

    Args:
        url: Where the API listens.
        token: The token of the slot.
        copies: Where to keep copies of files that are open for writing.
        owner: The user and the group of the jobs.
        container: In a container a descriptor of a directory that the machine sees, too: a process
            outside then mounts the bucket. Else None: a process of this slot does.
        idle: What is mounted for the slot already; None if nothing is.
    """

    def __init__(
        self,
        url: str,
        token: str,
        copies: Path,
        *,
        owner: tuple[int, int],
        container: int | None = None,
        idle: IdleMount | None = None,
    ) -> None:
        self._url = url
        self._token = token
        self._copies = copies
        self._owner = owner
        self._container = container
        self._idle = idle
        self._is_own = idle is not None
        """Whether the mount is in a namespace of this slot, with which it ends."""
        self._has_directory = container is None and not self._is_own
        """Whether the bucket is in a directory that is made for it, and not at `MOUNT_POINT`."""
        self._selector: selectors.BaseSelector = selectors.DefaultSelector()
        self._at = ""
        self.server: MountServer | None = None
        """What serves the latest mount; None before the first one."""
        self._volumes: VolumeMounts | None = None
        self.losses: list[MountId | None] = []
        """The mounts that were lost after programs may have used them."""

    def use(self, selector: selectors.BaseSelector) -> None:
        """Wait for answers of the mount here; the caller calls the `data` of what is ready."""
        self._selector = selector
        if self._idle is not None:
            selector.register(self._idle.device, selectors.EVENT_READ, self.reply)
        elif self._container is not None:
            with contextlib.suppress(OSError):  # `reply` says why
                self._begin()

    def reply(self) -> BucketMounted:
        """Return where the bucket is mounted, and begin to mount it if it is not. Never waits."""
        if self.server is not None:
            self.server.receive()
        server = self.server
        if server is not None and server.is_ignored():
            self._end_server()
            return BucketMounted(reason=_IGNORED)
        if server is None or server.is_lost:
            self._end_server()
            reason = obstacle() if self._has_directory else ""
            if reason:
                return BucketMounted(reason=f"The bucket cannot be mounted here: {reason}.")
            server = self._begin()
        return server.answer

    def notice(self) -> None:
        """Notice whether what serves the mount has ended, while nothing waited for its answers.

        In a container, wait until the machine has mounted, if it does: the next job has the bucket.
        """
        if self.server is not None:
            self.server.receive()
        server, machine = self.server, self._container
        if server is None or server.answer.ready or machine is None:
            return
        if machine_socket.is_served(machine):
            server.await_answer()

    def has_lost_files(self, pid: int, since: int) -> bool:
        """Whether a process or a descendant has files open that were lost, after so many losses."""
        with user.acting_as(*self._owner):
            return any(mount and procfs.has_open(pid, mount) for mount in self.losses[since:])

    def losses_noticed(self) -> int:
        """Return how many mounts were lost; one that may just have been is waited for a moment."""
        if self.server is not None and self.server.is_used:
            self.server.await_end(_LOSS_S)
        return len(self.losses)

    @property
    def is_used(self) -> bool:
        """Whether programs may have used a mount of this slot."""
        return bool(self.losses) or (self.server is not None and self.server.is_used)

    def volumes(self) -> VolumeMounts:
        """Return what mounts the volumes of the slot's jobs, in a container."""
        from picloud_worker.volumes.mounts import VolumeMounts  # noqa: PLC0415 - few jobs have some

        if self._volumes is None:
            self._volumes = VolumeMounts(self._container, self._copies / "home", self._owner[0])
        return self._volumes

    def close(self) -> None:
        """Unmount, if it is mounted; programs that still use it get errors."""
        self._end_server()
        if self._volumes is not None:
            self._volumes.close()
        if (idle := self._take_idle()) is not None:
            idle.close()

    def _end_server(self) -> None:
        server, self.server = self.server, None
        if server is None:
            return
        server.close(_END_S)
        if self._has_directory:
            _unmount(self._at)

    def _take_idle(self) -> IdleMount | None:
        idle, self._idle = self._idle, None
        if idle is not None:
            self._selector.unregister(idle.device)
        return idle

    def _lose(self) -> None:
        """Mount again what was lost, for the jobs that follow; open files stay lost."""
        server = self.server
        if server is not None and server.is_used:
            self.losses.append(server.mount)
        if self._has_directory:
            return  # `reply` mounts it in another one
        with contextlib.suppress(OSError):
            if self._is_own:
                self._idle = IdleMount.mount(self._owner)
            elif server is None or not server.answer.ready:
                return  # it was refused, or never mounted
            self.use(self._selector)

    def _begin(self) -> MountServer:
        if self._has_directory:
            _remove_leftovers()
            self._at = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")
        else:
            self._at = MOUNT_POINT
        uid, gid = self._owner
        request = MountRequest(url=self._url, token=self._token, at=self._at, uid=uid, gid=gid)
        server = self.server = MountServer(request, self._copies, self._selector)
        server.on_loss = self._lose
        if self._container is not None:
            server.listen(self._container)
            return server
        ours, theirs = socket.socketpair()
        with theirs:
            descriptors, options = [theirs.fileno()], ["--parent", str(os.getpid())]
            if (idle := self._take_idle()) is not None:
                descriptors.append(idle.device)
                options += ["--device", str(idle.device), "--first", idle.first.hex()]
            process = start(descriptors[0], options, descriptors)
            if idle is not None:
                idle.close()  # the mount now ends with that process
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
