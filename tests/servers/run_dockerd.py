"""A dockerd of a test's own: its data, socket and networks; ended by its process id."""

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests import guard

START_S = 60.0
STOP_S = 30.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class MissingDockerError(Exception):
    """Docker is not installed, or its daemon does not start here."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dockerd:
    """A running dockerd."""

    host: str
    """As DOCKER_HOST has it."""

    def docker(self, *arguments: str, **options: object) -> "subprocess.CompletedProcess[str]":
        """Run a command of the docker client's."""
        return subprocess.run(  # type: ignore[call-overload,no-any-return]
            [program("docker"), *arguments],
            env={"PATH": _PATH, "HOME": "/nonexistent", "DOCKER_HOST": self.host},
            check=True,
            text=True,
            capture_output=True,
            **options,
        )


def program(name: str) -> str:
    """Return the path of a program, also of those for the administrator.

    Raises:
        MissingDockerError: When it is nowhere.
    """
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), _PATH)))
    if found is None:
        raise MissingDockerError(f"{name} is missing; run `make images` once.")
    return found


@contextlib.contextmanager
def dockerd(runtime: Path | None = None) -> Iterator[Dockerd]:
    """Run a dockerd until the block ends; it has only the networks that are created.

    Args:
        runtime: What it starts containers with in place of runc.

    Raises:
        MissingDockerError: When it cannot be had; one sentence says why.
    """
    if os.geteuid():
        raise MissingDockerError("A dockerd of the tests' own needs root; run them as root.")
    binary = program("dockerd")
    forwarding = _forwarding()
    # The path of a socket may have 108 bytes, so not in a test's own directory.
    folder = Path(tempfile.mkdtemp(prefix="picloud-dockerd-"))
    try:
        with (folder / "dockerd.log").open("wb") as log:
            process = subprocess.Popen(
                [binary, *_arguments(folder), *_chosen(runtime)],
                env={"PATH": _PATH, "HOME": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            running = Dockerd(host=f"unix://{folder}/docker.sock")
            _await(running, process, folder / "dockerd.log")
            yield running
        finally:
            _end(process)
            _restore(forwarding)
    finally:
        guard.unmount(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _arguments(folder: Path) -> list[str]:
    return [
        f"--data-root={folder}/data",
        f"--exec-root={folder}/exec",
        f"--host=unix://{folder}/docker.sock",
        f"--pidfile={folder}/docker.pid",
        "--bridge=none",
        "--log-level=warn",
    ]


def _chosen(runtime: Path | None) -> list[str]:
    if runtime is None:
        return []
    return [f"--add-runtime=chosen={runtime}", "--default-runtime=chosen"]


def _await(running: Dockerd, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        with contextlib.suppress(subprocess.CalledProcessError):
            running.docker("version")
            return
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-2000:]
            raise MissingDockerError(f"dockerd does not start here; the end of its log:\n{tail}")
        time.sleep(0.1)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _forwarding() -> str:
    """What this machine does with what it forwards; dockerd changes that to DROP for good."""
    asked = ["iptables", "--wait", "-S", "FORWARD"]
    told = subprocess.run(asked, env={"PATH": _PATH}, capture_output=True, text=True, check=False)
    return "ACCEPT" if "-P FORWARD ACCEPT" in told.stdout else "DROP"


def _restore(forwarding: str) -> None:
    command = ["iptables", "--wait", "-P", "FORWARD", forwarding]
    subprocess.run(command, env={"PATH": _PATH}, check=False)
