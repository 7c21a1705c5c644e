"""Info keys: the closed list of what is known of a job besides its result."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from picloud_model.errors import RequestRefused, nearest_name

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_CHARACTERS: Final = 64 * 1024
"""How many characters of the end of a stream are kept."""


class InfoKey(StrEnum):
    """The keys of `info`."""

    STATUS = "status"
    """The status, as `status` returns it."""
    STDOUT = "stdout"
    """Standard output: the last 64k characters."""
    STDERR = "stderr"
    """Standard error: the last 64k characters."""
    LOGGING = "logging"
    """Messages of Python's logging module: the last 64k characters."""
    PILOG = "pilog"
    """What the platform did with the job, one line per event."""
    WHY = "why"
    """Why it is waiting, or its result is, in a sentence or two; "" when it runs or has ended."""
    CAUSE = "cause"
    """Why it did not end `done`, as one of a closed list: "out of memory", ...; else None."""
    SYSLOG = "syslog"
    """What the system said of its end, such as why the kernel killed it; "" for nothing."""
    EXCEPTION = "exception"
    """The remote traceback if the job failed, else None."""
    RUNTIME = "runtime"
    """Seconds the job ran, or has run so far; None if it never began."""
    COST = "cost"
    """What the runtime costs, in dollars; None if there is no price for its core type."""
    CREATED = "created"
    """When it was created."""
    FINISHED = "finished"
    """When it ended, or None."""
    ENV = "env"
    """The environment that it was to run in, or None."""
    VOL = "vol"
    """The volumes it was given."""
    FUNCTION = "function"
    """The name of its function."""
    LABEL = "label"
    """Its label, or None."""
    PARENT = "parent"
    """What made it: the jid of a job, `cron LABEL` or `rest LABEL`; None for a program of yours."""
    DEPENDS_ON = "depends_on"
    """The jobs that it waited for, as ranges (first, last): the first 50 of them."""
    ARGS = "args"
    """The positional arguments of its function."""
    KWARGS = "kwargs"
    """The keyword arguments of its function."""
    FUNC_BODY = "func_body"
    """The function itself."""
    ATTRIBUTES = "attributes"
    """Every option it was created with."""
    PROFILE = "profile"
    """The profile as text if the job ran with `_profile`, else None."""
    PROFILE_CALLS = "profile.calls"
    """Which functions called which: (caller, function, calls, own seconds, seconds)."""
    CPU_USER = "cputime.user"
    """Seconds of CPU in user space."""
    CPU_SYSTEM = "cputime.system"
    """Seconds of CPU in the kernel."""
    CPU_PERCENTAGE = "cpu_percentage"
    """While processing: its recent use of one core, in percent."""
    MEMORY_USAGE = "memory.usage"
    """While processing: memory in bytes."""
    MEMORY_PEAK = "memory.max_usage"
    """Peak memory, in bytes."""
    MEMORY_FAILURES = "memory.failcnt"
    """How often it wanted more memory than its slot may have; None if the slot has no limit."""
    SWAP_USAGE = "swap.usage"
    """While processing: swap in bytes."""
    SWAP_PEAK = "swap.max_usage"
    """Peak swap of a job that ran for at least a second, in bytes."""
    DISK_USAGE = "disk.usage"
    """Disk in bytes at its end, or now; None where slots have no file system of their own."""
    NETWORK_RECEIVED = "network.received"
    """Bytes that its slot received while it ran; None where slots have no network of their own."""
    NETWORK_SENT = "network.sent"
    """Bytes that its slot sent while it ran."""
    PORTS = "ports"
    """While processing: the ports it listens on, by protocol, and where public ones are reached."""
    WEBHOOK = "webhook"
    """Whether the server has posted that it ended (`_on_done`), and why not; None without that."""
    PROGRESS = "progress"
    """What it said last with `cloud.progress`: (done, total); None if it said nothing."""
    SAMPLES = "samples"
    """CPU and memory over time: (seconds since it began, CPU percentage, bytes)."""


DEFAULT_KEYS: Final = (InfoKey.STATUS, InfoKey.STDOUT, InfoKey.STDERR, InfoKey.RUNTIME)
"""The keys of a request without keys."""
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
        InfoKey.MEMORY_FAILURES,
        InfoKey.SWAP_USAGE,
        InfoKey.SWAP_PEAK,
        InfoKey.DISK_USAGE,
        InfoKey.NETWORK_RECEIVED,
        InfoKey.NETWORK_SENT,
        InfoKey.PORTS,
        InfoKey.PROGRESS,
        InfoKey.SAMPLES,
    )
)
"""Keys that only its slot knows while a job runs."""
UNPICKLED: Final = frozenset((InfoKey.ARGS, InfoKey.KWARGS, InfoKey.FUNC_BODY))
"""Keys whose values only the client can unpickle."""
ALL: Final = "all"
"""Stands for every key."""
GROUPS: Final = ("cputime", "memory", "swap", "disk", "network")
"""Each stands for the keys that begin with it."""


KEYS: Final = (*(key.value for key in InfoKey), *GROUPS, ALL)
"""Every name in a request."""


def members(group: str) -> tuple[InfoKey, ...]:
    """Return the keys of a group.

    >>> [key.value for key in members("cputime")]
    ['cputime.user', 'cputime.system']
    """
    return tuple(key for key in InfoKey if key.startswith(f"{group}."))


def read_keys(names: Iterable[str]) -> tuple[InfoKey, ...]:
    """Return the keys that some names stand for, each once, in their order.

    Raises:
        RequestRefused: When a name is unknown; the message lists all names.

    >>> read_keys(["stdout", "disk"])
    (<InfoKey.STDOUT: 'stdout'>, <InfoKey.DISK_USAGE: 'disk.usage'>)
    """
    keys: dict[InfoKey, None] = {}
    for name in names:
        keys |= dict.fromkeys(_named(name))
    return tuple(keys)


def _named(name: str) -> tuple[InfoKey, ...]:
    if name == ALL:
        return tuple(InfoKey)
    if name in GROUPS:
        return members(name)
    try:
        return (InfoKey(name),)
    except ValueError:
        near = nearest_name(name, KEYS)
        cure = f"did you mean {near}?" if near else f"there are {', '.join(KEYS)}."
        message = f"There is no info key {name!r:.80}; {cure}"
        raise RequestRefused(message, field="keys") from None
