"""Rendering: the jobspec of slots and its variables; Nomad itself parses the HCL.

Nomad replaces `${...}` in a job's values on the machine that runs it, and has no escape for it. So
every value of a jobspec must match a short pattern of its own.
"""

from __future__ import annotations

import re
from enum import StrEnum
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import msgspec
from picloud_model.core import CORE_TYPES
from picloud_model.errors import RequestRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

BURST_PREFIX: Final = "pc-"
"""The prefix of the names of all bursts, and of no other job in the cluster."""
TASK: Final = "slot"
"""The name of a slot's task."""
AUDIENCE: Final = "picloud-slot"
"""The audience of a slot's identity."""
MHZ_PER_UNIT: Final = 400
"""MHz of a current core that make a compute unit: 2.2 GHz make a core of type f2."""

_JOBSPEC: Final = "slot.nomad.hcl"
SUPERVISOR_MB: Final = 64
"""MB that a container has besides those of its core type, for the supervisor of its slot."""

_MOST: Final = 100_000


class Driver(StrEnum):
    """The Nomad driver that runs a slot."""

    RAW_EXEC = "raw_exec"
    """A process of the machine, neither isolated nor limited: for the operator's own code only."""
    DOCKER = "docker"
    """A container of an environment's image: isolated, and limited to its core type."""


class SlotSite(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that are equal for all slots of a server.

    Args:
        url: The URL of the API.
        worker: Program and first arguments of a slot.
        driver: The driver that runs it.
        user: The user that runs it; only this user can read the slot's proof. "" is for an agent
            that does not run as root: then all users who can read the agent's data can read it.
        container: The image of the containers; "" for another driver.
        network: The docker network of the containers.
    """

    url: str
    worker: tuple[str, ...] = ("python3", "-P", "-m", "picloud_worker")
    driver: Driver = Driver.RAW_EXEC
    user: str = "root"
    container: str = ""
    network: str = ""


class SlotJob(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that differ between bursts."""

    burst: str
    account: str
    core_type: str
    cores: int = 1
    image: str = ""
    count: int = 1


def jobspec() -> str:
    """Return the jobspec of a burst, in HCL."""
    return resources.files(__package__).joinpath(_JOBSPEC).read_text(encoding="utf-8")


def variables(site: SlotSite, job: SlotJob) -> str:
    """Return the variables of the jobspec, as a variable file.

    >>> job = SlotJob(burst="pc-1", account="a0000001", core_type="c1")
    >>> print(variables(SlotSite(url="http://127.0.0.1:8000"), job).splitlines()[0])
    burst = "pc-1"

    Raises:
        RequestRefused: When a value is more than an opaque id or a number.
    """
    values = msgspec.to_builtins(job) | msgspec.to_builtins(site)
    _check(values)
    values["cpu"] = mhz(job.core_type, job.cores)
    values["memory"] = memory_mb(job.core_type, job.cores) + overhead_mb(site.driver)
    return variable_file(values)


def variable_file(values: Mapping[str, object]) -> str:
    r"""Return values that were checked, as a file of variables.

    >>> variable_file({"name": "pc-1", "count": 2})
    'name = "pc-1"\ncount = 2\n'
    """
    # JSON strings, numbers and lists are valid HCL if they contain no `${` and no `%{`.
    return "".join(
        f"{name} = {msgspec.json.encode(value).decode()}\n" for name, value in values.items()
    )


def fill(template: Mapping[str, Any], job: SlotJob) -> dict[str, Any]:
    """Return the job of a burst, from the parsed job of a burst of the same core type and size.

    The result is what Nomad would parse from the jobspec with the variables of `job`, as only name,
    account and count differ.

    Raises:
        RequestRefused: When a value is more than an opaque id or a number.
    """
    _check(msgspec.to_builtins(job))
    (group,) = template["TaskGroups"]
    meta = {"account": job.account, "slots": str(job.count)}
    return {
        **template,
        "ID": job.burst,
        "Name": job.burst,
        "Meta": {**template["Meta"], **meta},
        "UI": {**template["UI"], "Description": _described(template, job.account)},
        "TaskGroups": [{**group, "Count": job.count}],
    }


def _described(template: Mapping[str, Any], account: str) -> str:
    description: str = template["UI"]["Description"]
    return description.replace(template["Meta"]["account"], account)


def is_burst(name: str) -> bool:
    """Whether a name is that of a burst.

    >>> is_burst("pc-a0000001-000000000001-0badcafe"), is_burst("pc-${node.id}"), is_burst("api")
    (True, False, False)
    """
    return _PATTERNS["burst"].fullmatch(name) is not None


def mhz(core_type: str, cores: int = 1) -> int:
    """Return the MHz that a slot reserves.

    >>> mhz("c2"), mhz("c2", 4)
    (1000, 4000)
    """
    return round(CORE_TYPES[core_type].compute_units * MHZ_PER_UNIT * cores)


def memory_mb(core_type: str, cores: int = 1) -> int:
    """Return the MB of memory that a slot reserves.

    >>> memory_mb("c2", 2)
    1600
    """
    return CORE_TYPES[core_type].memory_mb * cores


def overhead_mb(driver: str) -> int:
    """Return the MB that a slot reserves besides those of its core type.

    >>> overhead_mb("docker"), overhead_mb("raw_exec")
    (64, 0)
    """
    return SUPERVISOR_MB if driver == Driver.DOCKER else 0


_PATTERNS: Final = {
    "burst": re.compile(rf"{BURST_PREFIX}[A-Za-z0-9_-]{{1,125}}"),
    "account": re.compile(r"[A-Za-z0-9_-]{1,64}"),
    "core_type": re.compile("|".join(CORE_TYPES)),
    "image": re.compile(r"(sha256:[0-9a-f]{64})?"),
    "url": re.compile(r"https?://[A-Za-z0-9.:\[\]_-]{1,255}(/[A-Za-z0-9._~/-]{0,255})?"),
    "driver": re.compile("|".join(Driver)),
    "container": re.compile(
        r"(([a-z0-9][a-z0-9.-]{0,127}:[0-9]{1,5}/)?[a-z0-9][a-z0-9._/-]{0,255}"
        r"(:[A-Za-z0-9._-]{1,64}|@sha256:[0-9a-f]{64}))?"
    ),
    "network": re.compile(r"([a-z0-9][a-z0-9_-]{0,63})?"),
    "user": re.compile(r"([a-z_][a-z0-9_-]{0,31})?"),
    "worker": re.compile(r"[A-Za-z0-9._/+=:@,-]{1,1024}"),
}


def _check(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        pattern = _PATTERNS.get(name)
        if pattern is None:
            is_valid = type(value) is int and 0 < value <= _MOST
        else:
            parts = value if name == "worker" else [value]
            is_valid = bool(parts) and all(pattern.fullmatch(part) for part in parts)
        if not is_valid:
            message = f"{str(value)[:60]!r} cannot be the {name} in a jobspec."
            raise RequestRefused(message, field=name)
