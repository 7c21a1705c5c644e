"""One server process of a test: clean environment, own directory, free ports, a certain end."""

import contextlib
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mirakuru import HTTPExecutor
from mirakuru.base import ENV_UUID
from mirakuru.exceptions import ExecutorError

from tests import guard
from tests.servers.build import locate

HOST = "127.0.0.1"
START_TIMEOUT_S = 60.0
POLL_S = 0.02
LOG_TAIL = 4_000
#: Below the range the kernel takes outgoing ports from, and below Nomad's dynamic ports.
PORTS = range(10_000, 20_000)


class MissingServerError(Exception):
    """A server is neither on PATH nor in the cache."""


class ServerProcess(HTTPExecutor):
    """A server that sees nothing of the caller's environment.

    `kill()` ends it as a crash would, and `start()` brings it back on the same ports and data.
    """

    @property
    def envvars(self) -> dict[str, str]:
        """Replace the inherited environment: a CA bundle or a token in it changes the server."""
        # The mark by which mirakuru finds what the server has started has to stay.
        mark = {ENV_UUID: super().envvars[ENV_UUID]}
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"} | (
            self._envvars | mark
        )


def binary(name: str) -> str:
    """Find the server's program.

    Raises:
        MissingServerError: It has not been obtained; building takes minutes, so no test does it.
    """
    found = locate(name)
    if found is None:
        raise MissingServerError(
            f"{name} is neither on PATH nor in the cache; run `make servers` once"
        )
    return str(found)


def free_ports(count: int) -> list[int]:
    """Pick ports on which nothing listens, neither TCP nor UDP."""
    chosen: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        if _is_free(port):
            chosen.append(port)
        if len(chosen) == count:
            return chosen
    raise OSError(f"no {count} free ports in {PORTS}")


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                return False
    return True


@contextlib.contextmanager
def scratch(name: str) -> Iterator[Path]:
    """Make a directory of its own for one server and remove it afterwards."""
    path = Path(tempfile.mkdtemp(prefix=f"picloud-{name}-"))
    guard.watch(path)
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextlib.contextmanager
def server(
    command: Sequence[str],
    *,
    directory: Path,
    url: str,
    status: str = r"^200$",
    environment: dict[str, str] | None = None,
) -> Iterator[ServerProcess]:
    """Run a server until the block ends; its output goes to `server.log` in its directory.

    Args:
        command: Program and arguments.
        directory: Where it runs and logs; its HOME as well.
        url: What it answers when it has started.
        status: Pattern of the HTTP status of that answer.
        environment: What it sees besides PATH, HOME and TMPDIR.
    """
    with (directory / "server.log").open("ab") as log:
        process = ServerProcess(
            list(command),
            url,
            status=status,
            method="GET",
            timeout=START_TIMEOUT_S,
            sleep=POLL_S,
            cwd=str(directory),
            # Sockets that a killed server has left among its temporary files go with the directory.
            envvars={"HOME": str(directory), "TMPDIR": str(directory)} | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _start(process, directory / "server.log")
            yield process
        finally:
            end(process)


def _start(process: ServerProcess, log: Path) -> None:
    try:
        process.start()
    except ExecutorError as error:
        # The directory is removed before anybody can look into it.
        error.add_note(log.read_text(errors="replace")[-LOG_TAIL:])
        raise


def end(process: ServerProcess, grace_s: float = 10.0) -> None:
    """Ask the server to end, then kill what is left of it and of what it has started.

    Its exit code does not matter here, so mirakuru's own `stop()`, which judges it, is not used.
    """
    running = process.process
    if running is not None:
        running.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(timeout=grace_s)
    process.kill()


def wait_until(ready: Callable[[], bool], what: str, timeout_s: float = START_TIMEOUT_S) -> None:
    """Wait for something outside this process.

    Raises:
        TimeoutError: It did not happen in time.
    """
    deadline = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_s:.0f} s: {what}")
        time.sleep(POLL_S)
