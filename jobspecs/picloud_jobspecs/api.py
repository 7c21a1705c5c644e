"""The jobspec of the API as a service of Nomad, with an operator's settings as its defaults."""

from __future__ import annotations

import re
from importlib import resources
from typing import Final

import msgspec
from picloud_model.errors import RequestRefused

JOB: Final = "picloud-api"
"""The name of the job."""
TASK: Final = "api"
"""The name of its task."""
AUDIENCE: Final = "picloud-vault"
"""The audience of the identity by which the task signs in to Vault."""
CONSUL_AUDIENCE: Final = "picloud-consul"
"""The audience of that by which it signs in to Consul."""
_FILE: Final = "api.nomad.hcl"
_BLOCK: Final = r'(variable "{name}" {{.*?default     = )[^\n]*'
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_ARGUMENT: Final = re.compile(r"[A-Za-z0-9._/+=:@,-]{1,1024}")
"""Nothing that Nomad would replace, as `${...}`."""
_RANGES: Final = {
    "count": (1, 100),
    "canaries": (0, 100),
    "port": (1024, 65_535),
    "cpu": (1, 1_000_000),
    "memory": (1, 1_000_000),
    "healthy_s": (10, 3600),
}
_SAID: Final = {"healthy_s": "healthy deadline in seconds"}
"""Settings whose names are not words."""


class ApiService(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of the API as a service of Nomad.

    Args:
        count: Number of machines that run it.
        canaries: Number of machines that run a new version first; 0 to upgrade in place.
        command: Program that starts it on a machine, and arguments.
        port: Its port.
        pool: Node pool of the machines.
        namespace: Namespace of the job.
        cpu: MHz that it reserves on each machine.
        memory: MB of memory that it reserves on each machine.
        healthy_s: Seconds in which a new version has to be healthy.
    """

    count: int = 1
    canaries: int = 1
    command: tuple[str, ...] = ("/opt/picloud/boot/run", "api")
    port: int = 8787
    pool: str = "picloud-api"
    namespace: str = "default"
    cpu: int = 1000
    memory: int = 1000
    healthy_s: int = 120


def api_jobspec(service: ApiService) -> str:
    """Return the jobspec, in HCL; each setting is the default of a variable.

    >>> print(api_jobspec(ApiService(count=3)).partition('variable "count"')[2].splitlines()[3])
      default     = 3

    Raises:
        RequestRefused: When a setting is out of range, or not a plain word.
    """
    text = resources.files(__package__).joinpath(_FILE).read_text(encoding="utf-8")
    for name, value in msgspec.to_builtins(service).items():
        _check(name, value)
        # JSON strings, numbers and lists are valid HCL if they contain no `${` and no `%{`.
        default = msgspec.json.encode(value).decode()
        text = re.sub(_BLOCK.format(name=name), rf"\g<1>{default}", text, count=1, flags=re.DOTALL)
    return text


def _check(name: str, value: object) -> None:
    if isinstance(value, int):
        least, most = _RANGES[name]
        is_valid, wanted = least <= value <= most, f"{least} to {most}"
    elif isinstance(value, str):
        is_valid, wanted = bool(_WORD.fullmatch(value)), "letters, digits, - and _"
    else:
        parts = [str(each) for each in value] if isinstance(value, list | tuple) else []
        is_valid = bool(parts) and all(map(_ARGUMENT.fullmatch, parts))
        wanted = "words of letters, digits and . _ / + = : @ , -"
    if not is_valid:
        shown = " ".join(map(str, value)) if isinstance(value, list | tuple) else value
        said = _SAID.get(name, name)
        message = f"{shown!r:.80} cannot be the {said} of the API; give {wanted}."
        raise RequestRefused(message, field=name)
