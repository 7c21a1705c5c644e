"""What `picloud admin doctor` examines on this machine, and the server of the profile."""

from __future__ import annotations

import contextlib
import os
import shlex
from importlib.metadata import version
from typing import TYPE_CHECKING

from cloud import CloudConnectionError, CloudException
from cloud._client.client import Client
from cloud._client.current import client as current_client
from cloud._config.configuration import Config
from cloud._config.settings import environment
from cloud._http.connections import Connections
from cloud._http.transport import ServerAddress
from picloud_driver.stack import records
from picloud_driver.stack.doctor import data_directory
from picloud_driver.stack.doctor.finding import Finding
from picloud_driver.stack.faults import StackFault

from picloud.stack import server_record
from picloud.stack.data_dir import StackName
from picloud.stack.servers import needed_packages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from picloud.server_choice import ServerChoice
    from picloud.stack.server_record import ServerRecord

_FILES = ("up.json", "port.json", "stack", *data_directory.DATABASES.values())
"""Each of them marks a directory as one of PiCloud's."""
_JOB_S = 60.0
"""How long a job may take, which includes the start of a slot."""


def is_used(data: Path) -> bool:
    """Whether a directory has the data of a stack, as far as it can be read."""
    try:
        return any((data / name).exists() for name in _FILES)
    except PermissionError:
        return True


def examine(data: Path, *, job: bool) -> Iterator[Finding]:
    """Examine a data directory, and the servers that use it.

    Args:
        data: The directory.
        job: Whether to run a job, too, which is deleted afterwards.
    """
    if not is_used(data):
        yield _problem("data", "no data of PiCloud: name the directory that picloud up uses")
        return
    try:
        yield from _all(data, job=job)
    except StackFault as fault:
        yield Finding("server", fault.message, ok=False)


def _all(data: Path, *, job: bool) -> Iterator[Finding]:
    record = server_record.read(data) if os.access(data, os.X_OK) else None
    running = record if record and record.process.is_running() else None
    with contextlib.nullcontext() if running else records.exclusive(data):
        found = list(data_directory.examine(data, running=running is not None))
    yield from found
    if not found[0].ok:
        return
    is_hashicorp = (data / "stack").is_dir()
    if is_hashicorp:
        yield from _servers(data)
    if not running:
        stack = f" --stack {StackName.HASHICORP.value}" if is_hashicorp else ""
        start = f"picloud up{stack} --data {shlex.quote(str(data))}"
        yield Finding("server", f"not running; this starts it: {start}", ok=False)
        return
    yield from _server(running)
    if job:
        yield _job(running)


def examine_client(choice: ServerChoice) -> Finding:
    """Check that the server that `import cloud` and commands use answers and accepts their key.

    Args:
        choice: The options in front of the command.
    """
    url = ""
    try:
        choice.apply()
        used = current_client()
        url = used.address.url
        used.check_key()
    except CloudConnectionError:
        start = "start it, or choose another one: picloud profile use NAME"
        return Finding("profile", f"no server answers at {url}: {start}", ok=False)
    except CloudException as error:
        return Finding("profile", str(error), ok=False)
    return Finding("profile", f"{url} accepts the key of this user")


def _servers(data: Path) -> Iterator[Finding]:
    """Examine the servers of the HashiCorp stack."""
    try:
        with needed_packages():
            from picloud_driver.stack.doctor import servers  # noqa: PLC0415 - an extra of its own
    except CloudException as error:
        yield Finding("packages", str(error), ok=False)
        return
    yield from servers.examine(data, environment())


def _server(record: ServerRecord) -> Iterator[Finding]:
    """Examine a server that is running."""
    with contextlib.closing(Connections(record.url)) as connections:
        try:
            health = server_record.read_health(connections)
        except CloudException as error:
            problem = f"{record.url}: {error}; run picloud down, then picloud up"
            yield _problem("server", problem)
            return
    yield Finding("server", f"{record.url} answers, process {record.pid}")
    yield version_finding(health.version, version("picloud"))
    for port in health.ports:
        took = f"{port.adapter} responded in {port.seconds * 1000:.1f} ms"
        yield Finding(port.port, took if port.healthy else port.detail, port.healthy)


def version_finding(served: str, installed: str) -> Finding:
    """Compare the version of a server that is running with the installed one.

    >>> version_finding("0.1.0", "0.1.0").ok
    True
    """
    if served == installed:
        return Finding("version", installed)
    problem = f"the server runs {served}, but {installed} is installed"
    return _problem("version", f"{problem}: run picloud down, then picloud up")


def _job(record: ServerRecord) -> Finding:
    """Run a job, and delete it."""
    try:
        with _client(ServerAddress(record.url, record.key)) as client:
            jid = client.call(abs, -1)
            client.result(jid, timeout=_JOB_S)
            client.delete(jid)
    except CloudException as error:
        return Finding("job", str(error), ok=False)
    return Finding("job", "a job ran, and was deleted")


@contextlib.contextmanager
def _client(address: ServerAddress) -> Iterator[Client]:
    client = Client(address, Config())
    try:
        yield client
    finally:
        client.close()


def _problem(check: str, problem: str) -> Finding:
    return Finding(check, f"{problem}.", ok=False)
