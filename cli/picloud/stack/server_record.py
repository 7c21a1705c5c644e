"""The record of the server that runs on a data directory, in a file there."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec
from cloud import CloudException
from cloud._config.profile import Profile
from cloud._http.connections import Connections
from cloud._http.exchange import HttpRequest, NoAnswer
from picloud_driver.process import birth_of
from picloud_driver.stack import records, termination
from picloud_model.wire import Health

from picloud.stack.data_dir import StackName
from picloud.stack.profile import PreviousProfile

if TYPE_CHECKING:
    from pathlib import Path

_FILE: Final = "up.json"
_PORT_FILE: Final = "port.json"
_HEALTHY_S: Final = 30.0
_ANSWER_S: Final = 2.0
_POLL_S: Final = 0.1


class ServerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A server that was started: its process, its URL and a key. The key is not in the `repr`.

    `slots` is how many it was started with, or 0 if an earlier version started it. `before` is what
    the profile named that names the server.
    """

    stack: StackName
    pid: int
    birth: str = ""
    url: str
    key: str
    slots: int = 0
    before: PreviousProfile = PreviousProfile()

    def __repr__(self) -> str:
        return f"ServerRecord({self.stack.value!r}, {self.pid}, {self.url!r})"

    @property
    def profile(self) -> Profile:
        """The profile of the server."""
        return Profile(self.url, self.key)

    @property
    def process(self) -> records.ProcessRecord:
        """The server's first process."""
        return records.ProcessRecord(self.pid, self.birth)


class UsedPort(msgspec.Struct, frozen=True):
    """The port of the last server on a data directory."""

    port: int


def read(data: Path) -> ServerRecord | None:
    """Return the server that was started last on a data directory; None after it was stopped.

    Raises:
        StackFault: When the file cannot be read.
    """
    advice = "end the server that it described, if that still runs, and remove the file"
    return records.read(data / _FILE, ServerRecord, advice)


def write(data: Path, record: ServerRecord) -> ServerRecord:
    """Record that a server was started; return the record with the birth of its process."""
    record = msgspec.structs.replace(record, birth=birth_of(record.pid) or "")
    records.write(data / _FILE, record)
    if port := urlsplit(record.url).port:
        records.write(data / _PORT_FILE, UsedPort(port))
    return record


def last_port(data: Path) -> int | None:
    """Return the port of the server that was started last on a data directory.

    It is known even after that server was stopped: clients and slots may still look for it there.

    Raises:
        StackFault: When the file cannot be read.
    """
    used = records.read(data / _PORT_FILE, UsedPort, "remove the file")
    return used.port if used else None


def remove(data: Path) -> None:
    """Record that the server was stopped."""
    (data / _FILE).unlink(missing_ok=True)


def terminate(record: ServerRecord) -> bool:
    """Terminate a server and its workers; return False if it was not running."""
    process = record.process.process()
    if process is None:
        return False
    with contextlib.closing(process):
        termination.terminate(process)
    return True


def await_health(record: ServerRecord) -> None:
    """Wait until a server and everything that it needs is healthy.

    Raises:
        CloudException: When that takes too long; the message names what is not healthy.
    """
    deadline = time.monotonic() + _HEALTHY_S
    with contextlib.closing(Connections(record.url)) as connections:
        while problem := _problem(connections):
            if time.monotonic() > deadline:
                raise CloudException(f"PiCloud at {record.url} is not healthy: {problem}")
            time.sleep(_POLL_S)


def answers(url: str) -> bool:
    """Return whether a server answers at a URL."""
    request = HttpRequest(method="GET", url="/v1/health", headers={}, timeout_s=_ANSWER_S)
    with contextlib.closing(Connections(url)) as connections:
        try:
            connections.exchange(request)
        except NoAnswer:
            return False
    return True


def read_health(connections: Connections) -> Health:
    """Return the health of a server.

    Raises:
        CloudException: When no server of PiCloud answers.
    """
    request = HttpRequest(method="GET", url="/v1/health", headers={}, timeout_s=10.0)
    try:
        return msgspec.json.decode(connections.exchange(request).body, type=Health)
    except (NoAnswer, msgspec.DecodeError) as error:
        raise CloudException(f"it does not answer: {error}") from error


def _problem(connections: Connections) -> str:
    """Return what is not healthy; "" if all is."""
    try:
        health = read_health(connections)
    except CloudException as error:
        return str(error)
    if health.healthy:
        return ""
    ports = (f"{port.adapter}: {port.detail}" for port in health.ports if not port.healthy)
    return "; ".join(ports) or "it does not say what is missing"
