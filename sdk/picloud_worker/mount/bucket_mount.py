"""The bucket as files, for the jobs of a slot: a process that mounts it when a job first asks."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from picloud_model.wire import BucketMounted

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

_DEVICE: Final = "/dev/fuse"
_LIBRARIES: Final = ("libfuse3.so.3", "libfuse3.so.4", "libfuse.so.2")
_END_S: Final = 5.0
_ROOT: Final = 0


class BucketMount:
    """Mounts the bucket of the slot's account once, and unmounts it when the slot ends.

    The mount is in no directory of the slot or of the server: these are removed with all that is
    in them, which in a mounted bucket are the user's objects.

    Args:
        url: Where the API listens.
        token: The token of the slot.
        copies: Where to keep copies of files that are open for writing.
    """

    def __init__(self, url: str, token: str, copies: Path) -> None:
        self._url = url
        self._token = token
        self._copies = copies
        self._at = ""
        self._process: subprocess.Popen[str] | None = None

    def reply(self) -> BucketMounted:
        """Return where the bucket is mounted, and begin to mount it if it is not. Never waits."""
        if self._process is None:
            reason = _obstacle()
            if reason:
                return BucketMounted(reason=f"The bucket cannot be mounted here: {reason}.")
            self._process = self._start()
        elif self._process.poll() is not None:
            code = self._process.returncode
            self.close()
            return BucketMounted(reason=f"The mount of the bucket ended with status {code}.")
        return BucketMounted(path=self._at, ready=self._at in set(_mounts()))

    def close(self) -> None:
        """Unmount, if it is mounted; programs that still use it get errors."""
        process, self._process = self._process, None
        if process is None:
            return
        import subprocess  # noqa: PLC0415 - few slots mount the bucket

        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._at in set(_mounts()):
            unmount = ["umount", "-l"] if os.geteuid() == _ROOT else ["fusermount3", "-uz"]
            subprocess.run([*unmount, self._at], check=False)  # noqa: S603
        with contextlib.suppress(OSError):
            Path(self._at).rmdir()

    def _start(self) -> subprocess.Popen[str]:
        import subprocess  # noqa: PLC0415 - few slots mount the bucket
        import tempfile  # noqa: PLC0415

        self._at = tempfile.mkdtemp(prefix="picloud-bucket-")
        # Two arenas: the memory that its threads free is used again by others.
        variables = ["env", f"FUSE_LIBRARY_PATH={_library()}", "MALLOC_ARENA_MAX=2"]
        python = [*variables, sys.executable, "-P", "-m", "picloud_worker.mount"]
        process = subprocess.Popen(  # noqa: S603
            [*python, "--url", self._url, "--at", self._at, "--copies", str(self._copies)],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        if process.stdin:
            with process.stdin:
                process.stdin.write(f"{self._token}\n")
        return process


def _obstacle() -> str:
    """Return why no file system can be mounted here, "" if one can."""
    import importlib.util  # noqa: PLC0415 - few slots mount the bucket
    import shutil  # noqa: PLC0415

    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return f"{_DEVICE} is missing, or this user may not use it"
    if importlib.util.find_spec("mfusepy") is None:
        return "the package mfusepy is not installed"
    if not _library():
        return "libfuse is not installed; install the package fuse3"
    if os.geteuid() != _ROOT and shutil.which("fusermount3") is None:
        return "fusermount3 is not installed; install the package fuse3"
    return ""


def _library() -> str:
    """Return the name of the library that mounts file systems, "" if there is none.

    `ctypes.util.find_library` and mfusepy start `ldconfig`, `gcc` and `ld` to find it, which takes
    longer than mounting.
    """
    import ctypes  # noqa: PLC0415 - few slots mount the bucket

    for name in _LIBRARIES:
        with contextlib.suppress(OSError):
            ctypes.CDLL(name)
            return name
    return ""


def _mounts() -> Iterator[str]:
    """Yield where file systems are mounted, without a look at any, which could block."""
    with Path("/proc/self/mountinfo").open(encoding="utf-8") as lines:
        for line in lines:
            yield line.split()[4]
