"""The servers below PiCloud's own: Consul, Vault, S3, Nomad and NATS with the HashiCorp stack."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final

from cloud import CloudException
from cloud._config.settings import environment
from picloud_driver.stack.faults import StackFault
from picloud_model.errors import PiCloudError

from picloud import output
from picloud.stack.data_dir import StackName

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from picloud_driver.stack.addresses import Addresses
    from picloud_driver.stack.hashicorp import Stack, StackEvent

_KEPT: Final = "a running server keeps its slots until it is stopped"
_RESTART_S: Final = 60.0
"""A server that ends again within this time has a problem that a restart does not solve."""


class StackServers:
    """The servers below PiCloud's own; the embedded stack has none.

    Args:
        stack: Which stack it is.
        data: The data directory.
        slots: How many jobs are to run at the same time.
        running_slots: How many slots a server that is running was started with; 0 if that is
            not known, or none is running.
    """

    def __init__(self, stack: StackName, data: Path, slots: int, running_slots: int = 0) -> None:
        self._slots = slots
        self._running_slots = running_slots
        self._stack = hashicorp(data, slots) if stack is StackName.HASHICORP else None
        self._restarted_at: dict[str, float] = {}
        self._url = ""

    def must_restart(self) -> bool:
        """Whether running servers have to be restarted, as their certificates are not accepted.

        That is so after an upgrade from a version that had none.
        """
        outdated = self._stack.renew_certificates() if self._stack else []
        if outdated:
            names = ", ".join(outdated)
            output.text(f"Restarting everything, as {names} need new certificates:")
        return bool(outdated)

    def start(self) -> Addresses | None:
        """Start the servers that are not running; return the addresses of all."""
        if self._stack is None:
            return None
        output.text("Starting Consul, Vault, S3, Nomad and NATS:")
        return self._stack.start()

    @contextlib.contextmanager
    def undone_on_error(self) -> Iterator[None]:
        """Stop the servers that `start` has started if the `with` block raises."""
        try:
            yield
        except BaseException:
            if self._stack:
                self._stack.undo()
            raise

    def restrict_slots(self, url: str) -> None:
        """Let isolated slots reach PiCloud's server at this URL, and little else."""
        self._url = url
        if self._stack:
            self._stack.restrict_slots(url)

    def summary(self) -> list[str]:
        """Describe how many jobs run at the same time and how they are isolated."""
        if self._stack is None:
            count = self._running_slots or self._slots
            return slot_lines(self._slots, count, _KEPT if count != self._slots else "")
        return [
            *slot_lines(self._slots, self._stack.capacity, self._stack.shortage),
            "",
            *isolation_lines(self._stack.not_isolated, self._stack.firewall_missing),
        ]

    def restart_ended(self) -> None:
        """Start servers again that have ended.

        Raises:
            CloudException: When a server has ended a short time after it was started again.
        """
        ended = self._stack.ended() if self._stack else []
        if not self._stack or not ended:
            return
        now = time.monotonic()
        for name in ended:
            if now - self._restarted_at.get(name, -_RESTART_S) < _RESTART_S:
                raise CloudException(f"{name} ends again and again; look at its log.")
            self._restarted_at[name] = now
        output.hint(f"{', '.join(ended)} ended; starting it again:")
        self._stack.start()
        self._stack.restrict_slots(self._url)


@contextlib.contextmanager
def needed_packages() -> Iterator[None]:
    """Say how to get the packages of the HashiCorp stack if one cannot be imported in the block."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise CloudException(
            f"The hashicorp stack's packages are not installed ({error.name} is missing); get them "
            "with: pip install 'picloud[server,hashicorp]'."
        ) from error


def hashicorp(data: Path, slots: int = 1) -> Stack:
    """Return the servers of the HashiCorp stack for a data directory.

    Raises:
        CloudException: When the packages for these servers are not installed.
    """
    with needed_packages():
        from picloud_driver.stack.hashicorp import Stack  # noqa: PLC0415 - an extra of its own
    return Stack(data, environment(), slots=slots, progress=_print_event)


@contextlib.contextmanager
def stack_errors() -> Iterator[None]:
    """Raise errors of a stack as errors of the command line, with the end of the server's log."""
    try:
        yield
    except StackFault as fault:
        if fault.tail:
            output.hint(fault.tail)
        raise CloudException(fault.message) from fault
    except PiCloudError as error:
        raise CloudException(error.message) from error


def slot_lines(requested: int, capacity: int | None, shortage: str) -> list[str]:
    """Describe how many jobs Nomad runs at the same time.

    Args:
        requested: How many were requested.
        capacity: How many there are; None if Nomad's own machines determine that.
        shortage: Why there are fewer; "" if there are not.

    >>> slot_lines(64, 64, ""), slot_lines(64, 40, "this machine has no memory for more")
    (['  slots    64'], ['  slots    40, not 64: this machine has no memory for more'])
    """
    if capacity is None:
        return []
    if shortage:
        return [f"  slots    {capacity}, not {requested}: {shortage}"]
    return [f"  slots    {capacity}"]


def isolation_lines(not_isolated: str, firewall_missing: str) -> list[str]:
    """Describe how jobs are isolated.

    Args:
        not_isolated: Why they are not isolated; "" if they are.
        firewall_missing: Why they reach more ports than they need; "" if they do not.
    """
    if not_isolated:
        return [
            "Nomad runs jobs with its raw_exec driver, which does not isolate them: they may do",
            "whatever Nomad's user may do on this machine. Run your own code only.",
            f"Not isolated, as {not_isolated}.",
        ]
    lines = ["Nomad runs jobs with its docker driver: isolated, and limited to their core type."]
    if firewall_missing:
        lines += [
            "They reach every port that this machine opens to its networks,",
            f"as {firewall_missing}:",
            "run picloud up as root, with iptables installed, to close all but the API and S3.",
        ]
    return lines


def describe(event: StackEvent) -> str:
    """Describe what happened to a server.

    >>> from picloud_driver.stack.hashicorp import StackEvent, StackEventKind
    >>> describe(StackEvent(StackEventKind.STARTED, "http://127.0.0.1:8500", 2.13))
    'http://127.0.0.1:8500  started in 2.1 s'
    """
    fixed = {"given": "used as it is", "found": "ran already"}
    text = fixed.get(event.kind, f"{event.kind.value} in {event.seconds:.1f} s")
    return f"{event.address}  {text}" if event.address else text


def _print_event(name: str, event: StackEvent) -> None:
    with contextlib.suppress(OSError):  # a closed terminal must not interrupt the start
        output.text(f"  {name:<7}  {describe(event)}")
