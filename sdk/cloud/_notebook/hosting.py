"""What jobs have in common that browsers open: a volume, a private port, and a program to run."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, Protocol

from cloud._client.current_job import CurrentJob
from cloud._config.configuration import config
from cloud._config.settings import ClientSettings, environment
from cloud._http.transport import Transport
from cloud._resources.job_volume import JobVolumes
from cloud._resources.notebook import NotebookClient
from cloud._resources.volume import VolumeClient
from cloud.errors import CloudException

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from picloud_model.wire.notebook import MachineKind, Notebook

HOST: Final = "127.0.0.1"
COMMIT_EVERY_S: Final = 60.0
"""Time between two commits of the files while a machine runs."""
_START_S: Final = 120.0
_LOOK_EVERY_S: Final = 0.1
_END_S: Final = 20.0
_SHORT_TMP: Final = "/tmp"  # noqa: S108 - a directory of mode 0700 is made in it


class HostedProgram(Protocol):
    """What a machine runs for browsers; the machine ends with its process."""

    title: str
    """The name that messages have."""

    def check(self) -> None:
        """Check that all it needs is installed.

        Raises:
            CloudException: When something is missing; it says what to do.
        """

    def started(
        self, machine: Notebook, folder: Path, private: Path, ports: list[int]
    ) -> AbstractContextManager[tuple[subprocess.Popen[bytes], int]]:
        """Start it, and yield its process, and the port on which it will listen.

        Args:
            machine: The token that lets in.
            folder: The files that are kept.
            private: A directory that is removed at the end, with a short path.
            ports: Ports to listen on, those of them that are free on this machine.
        """


def volume_of(name: str, kind: MachineKind = "notebook") -> str:
    """Return the volume that keeps the files of a machine.

    >>> volume_of("sales"), volume_of("sales", "desktop")
    ('notebook-sales', 'desktop-sales')
    """
    return f"{kind}-{name}"


def host(name: str, kind: MachineKind, ports: list[int], program: HostedProgram) -> None:
    """Run a program until it is shut down or idle; the volume is committed when the job ends.

    Raises:
        CloudException: When another job runs the machine, or the program is not installed or fails.
    """
    jid = ClientSettings.read().jid
    if jid is None:
        raise CloudException(f"Only a job can run a {kind}.")
    machine = NotebookClient(_transport(), kind).run(name, jid)
    program.check()
    folder = Path(_volumes().path(volume_of(name, kind)))
    # The paths of sockets are in it, and must not be longer than 107 bytes.
    with (
        TemporaryDirectory(prefix="picloud-", dir=_SHORT_TMP) as private,
        program.started(machine, folder, Path(private), ports) as (process, port),
    ):
        try:
            _await_listening(process, port, program.title)
            NotebookClient(_transport(), kind).run(name, jid, port)
            _keep_files(process)
        finally:
            end(process)
    if process.returncode:
        raise CloudException(
            f"{program.title} ended with status {process.returncode}: picloud logs {jid} shows why."
        )


def free_ports(ports: list[int], count: int) -> list[int]:
    """Return the first ports that are free on this machine.

    Raises:
        CloudException: When there are fewer.
    """
    free: list[int] = []
    for port in ports:
        with socket.socket() as candidate:
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                candidate.bind((HOST, port))
                free.append(port)
        if len(free) == count:
            return free
    tried = ", ".join(map(str, ports))
    raise CloudException(f"Too many of the ports {tried} are in use: start it again.")


def program_path() -> str:
    """Return the PATH of programs that run there: `picloud` is that of this interpreter."""
    return os.pathsep.join([str(Path(sys.executable).parent), environment()["PATH"]])


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process, if it still runs."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()


def _transport() -> Transport:
    """Return a transport with a token of this job, which is requested anew each time."""
    job = CurrentJob.here()
    if job is None:
        raise CloudException("Only a job can run a notebook or desktop.")
    return Transport(job.address(), config)


def _volumes() -> JobVolumes:
    return JobVolumes(ClientSettings.read().volumes or "", VolumeClient(_transport()))


def _await_listening(process: subprocess.Popen[bytes], port: int, title: str) -> None:
    """Wait until a program accepts connections, or has ended."""
    deadline = time.monotonic() + _START_S
    while process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
            return
        if time.monotonic() > deadline:
            raise CloudException(f"{title} did not listen within {_START_S:.0f} s.")
        time.sleep(_LOOK_EVERY_S)


def _keep_files(process: subprocess.Popen[bytes]) -> None:
    """Commit the volumes of this job at intervals, until the process has ended."""
    while True:
        try:
            process.wait(COMMIT_EVERY_S)
        except subprocess.TimeoutExpired:
            try:
                volumes = _volumes()
                for name in volumes.names():
                    volumes.commit(name)
            except CloudException as error:  # a file that changes while it is read, for example
                sys.stderr.write(f"The files are not stored yet: {error}\n")
        else:
            return
