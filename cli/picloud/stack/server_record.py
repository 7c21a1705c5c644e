"""What runs on a data directory, as a file there tells: found again, watched and ended."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final

import msgspec
import urllib3
from cloud import CloudException
from cloud._config.settings import environment
from picloud_driver.process import birth_of
from picloud_driver.stack import embedded, records, termination
from picloud_driver.stack.faults import StackFault
from picloud_model.errors import PiCloudError
from picloud_model.wire import Health

from picloud import output
from picloud.stack.data_dir import StackName

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from picloud_driver.stack.hashicorp import Stack, StackEvent

_FILE: Final = "up.json"
_HEALTHY_S: Final = 30.0
_POLL_S: Final = 0.1


class ServerRecord(msgspec.Struct, frozen=True):
    """A server that was started: its process and how it is reached. The key is in no `repr`."""

    stack: StackName
    pid: int
    birth: str
    url: str
    key: str

    def __repr__(self) -> str:
        return f"ServerRecord({self.stack.value!r}, {self.pid}, {self.url!r})"

    @property
    def process(self) -> records.ProcessRecord:
        """Its first process."""
        return records.ProcessRecord(self.pid, self.birth)


def read(data: Path) -> ServerRecord | None:
    """The server that was started last on a data directory; None after it was ended.

    Raises:
        StackFault: When the file that tells cannot be read.
    """
    advice = "end the server that it told of, if it still runs, and remove it"
    return records.read(data / _FILE, ServerRecord, advice)


def remember(data: Path, stack: StackName, pid: int, url: str, key: str) -> ServerRecord:
    """Note that a server was started."""
    up = ServerRecord(stack, pid, birth_of(pid) or "", url, key)
    records.write(data / _FILE, up)
    return up


def forget(data: Path) -> None:
    """Note that it was ended."""
    (data / _FILE).unlink(missing_ok=True)


def end(up: ServerRecord) -> bool:
    """End a server and its workers; False when it did not run any more."""
    process = up.process.process()
    if process is None:
        return False
    with contextlib.closing(process):
        termination.terminate(process)
    return True


def end_slots(data: Path) -> int:
    """End slots that a killed server of the embedded stack has left; how many there were."""
    return embedded.end_slots(data)


def await_health(up: ServerRecord) -> None:
    """Wait until everything that a server needs answers it.

    Raises:
        CloudException: When that takes too long; says what is missing.
    """
    deadline = time.monotonic() + _HEALTHY_S
    while True:
        try:
            answer = urllib3.request("GET", f"{up.url}/v1/health", timeout=10.0, retries=False)
            told = msgspec.json.decode(answer.data, type=Health)
        except (urllib3.exceptions.HTTPError, msgspec.DecodeError) as error:
            trouble = f"it does not answer: {error}"
        else:
            if told.healthy:
                return
            ports = (f"{port.adapter}: {port.detail}" for port in told.ports if not port.healthy)
            trouble = "; ".join(ports)
        if time.monotonic() > deadline:
            raise CloudException(f"PiCloud at {up.url} is not healthy: {trouble}")
        time.sleep(_POLL_S)


def hashicorp(data: Path, workers: int = 1) -> Stack:
    """The servers of the HashiCorp stack on a data directory.

    Raises:
        CloudException: When the packages that speak to them are not installed.
    """
    try:
        from picloud_driver.stack.hashicorp import Stack  # noqa: PLC0415 - an extra of its own
    except ModuleNotFoundError as error:
        raise CloudException(
            f"The hashicorp stack's packages are not installed ({error.name} is missing); get them "
            "with: pip install 'picloud[server,hashicorp]'."
        ) from error
    return Stack(data, environment(), slots=workers, progress=_tell)


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turn what goes wrong with a stack into an error of the command line."""
    try:
        yield
    except StackFault as fault:
        if fault.tail:
            output.hint(fault.tail)
        raise CloudException(fault.message) from fault
    except PiCloudError as error:
        raise CloudException(error.message) from error


def _tell(name: str, event: StackEvent) -> None:
    with contextlib.suppress(OSError):  # a terminal that was closed stops nothing
        output.text(f"  {name:<7}  {told(event)}")


def told(event: StackEvent) -> str:
    """What became of a server, in words.

    >>> from picloud_driver.stack.hashicorp import StackEvent, StackEventKind
    >>> told(StackEvent(StackEventKind.STARTED, "http://127.0.0.1:8500", 2.13))
    'http://127.0.0.1:8500  started in 2.1 s'
    """
    words = {"given": "used as it is", "found": "ran already"}
    said = words.get(event.kind, f"{event.kind.value} in {event.seconds:.1f} s")
    return f"{event.address}  {said}" if event.address else said
