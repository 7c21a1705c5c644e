"""Info: what can be learned of a job beside its result: the closed list of keys."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from picloud_model.errors import RequestRefused

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_CHARACTERS: Final = 64 * 1024
"""How much of the end of a stream is kept."""


class InfoKey(StrEnum):
    """What `info` can be asked for."""

    STATUS = "status"
    """As `status` tells it."""
    STDOUT = "stdout"
    """Standard output: the last 64k characters."""
    STDERR = "stderr"
    """Standard error: the last 64k characters."""
    LOGGING = "logging"
    """Messages of Python's logging module: the last 64k characters."""
    PILOG = "pilog"
    """What the platform did with the job, a line an event."""
    WHY = "why"
    """What it waits for, in a sentence or two; "" when it runs or has ended."""
    SYSLOG = "syslog"
    """The system log of the job's machine: None, slots have none of their own."""
    EXCEPTION = "exception"
    """The remote traceback of a job that failed, else None."""
    RUNTIME = "runtime"
    """Seconds the job ran, so far if it still does; None if it never began."""
    CREATED = "created"
    """When it was made."""
    FINISHED = "finished"
    """When it ended, or None."""
    ENV = "env"
    """The environment it was asked to run in, or None."""
    VOL = "vol"
    """The volumes it was given."""
    FUNCTION = "function"
    """The name of its function."""
    LABEL = "label"
    """Its label, or None."""
    ARGS = "args"
    """The positional arguments of its function."""
    KWARGS = "kwargs"
    """The keyword arguments of its function."""
    FUNC_BODY = "func_body"
    """The function itself."""
    ATTRIBUTES = "attributes"
    """Every option it was made with."""
    PROFILE = "profile"
    """With `_profile`: where its time went, as text; else None."""
    CPU_USER = "cputime.user"
    """Seconds of CPU in user space."""
    CPU_SYSTEM = "cputime.system"
    """Seconds of CPU in the kernel."""
    CPU_PERCENTAGE = "cpu_percentage"
    """While processing: how much of one core it used of late."""
    MEMORY_USAGE = "memory.usage"
    """While processing: memory in bytes."""
    MEMORY_PEAK = "memory.max_usage"
    """Most memory at once, in bytes."""
    MEMORY_FAILURES = "memory.failcnt"
    """How often memory was refused; None where nothing counts that."""
    SWAP_USAGE = "swap.usage"
    """While processing: swap in bytes."""
    SWAP_PEAK = "swap.max_usage"
    """Most swap at once, in bytes; None where nothing measures that."""
    DISK_USAGE = "disk.usage"
    """While processing: disk in bytes; None where nothing measures that."""
    PORTS = "ports"
    """While processing: the ports it listens on, by protocol, and where to reach them."""
    SAMPLES = "samples"
    """CPU and memory over time: (seconds since it began, CPU percentage, bytes)."""


DEFAULT_KEYS: Final = (InfoKey.STATUS, InfoKey.STDOUT, InfoKey.STDERR, InfoKey.RUNTIME)
"""What is told when nothing is asked for."""
STREAMS: Final = (InfoKey.STDOUT, InfoKey.STDERR, InfoKey.LOGGING)
"""Keys whose values grow while a job runs."""
LIVE: Final = frozenset(
    (
        *STREAMS,
        InfoKey.CPU_USER,
        InfoKey.CPU_SYSTEM,
        InfoKey.CPU_PERCENTAGE,
        InfoKey.MEMORY_USAGE,
        InfoKey.MEMORY_PEAK,
        InfoKey.SWAP_USAGE,
        InfoKey.PORTS,
        InfoKey.SAMPLES,
    )
)
"""Keys that only its slot knows while a job runs."""
UNPICKLED: Final = frozenset((InfoKey.ARGS, InfoKey.KWARGS, InfoKey.FUNC_BODY))
"""Keys whose values only the client can read."""
ALL: Final = "all"
"""Stands for every key."""
GROUPS: Final = ("cputime", "memory", "swap", "disk")
"""Each stands for the keys that begin with it."""


def members(group: str) -> tuple[InfoKey, ...]:
    """The keys a group stands for.

    >>> [key.value for key in members("cputime")]
    ['cputime.user', 'cputime.system']
    """
    return tuple(key for key in InfoKey if key.startswith(f"{group}."))


def read_keys(asked: Iterable[str]) -> tuple[InfoKey, ...]:
    """The keys that names stand for, each once, in their order.

    Raises:
        RequestRefused: When a name is none of them; every one there is is named.

    >>> read_keys(["stdout", "disk"])
    (<InfoKey.STDOUT: 'stdout'>, <InfoKey.DISK_USAGE: 'disk.usage'>)
    """
    found: dict[InfoKey, None] = {}
    for name in asked:
        found |= dict.fromkeys(_named(name))
    return tuple(found)


def _named(name: str) -> tuple[InfoKey, ...]:
    if name == ALL:
        return tuple(InfoKey)
    if name in GROUPS:
        return members(name)
    try:
        return (InfoKey(name),)
    except ValueError:
        known = ", ".join((*InfoKey, *GROUPS, ALL))
        message = f"There is no info {name!r:.80}; there are {known}."
        raise RequestRefused(message, field="keys") from None
