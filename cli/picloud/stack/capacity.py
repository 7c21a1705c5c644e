"""What `picloud admin capacity` does: it lets the number of machines follow the work."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final

import msgspec
from cloud import CloudException
from cloud._client.current import client as current_client
from cloud._config.settings import environment
from cloud._http.connections import Connections
from cloud._http.exchange import HttpRequest, NoAnswer
from picloud_driver.stack.addresses import nomad_of
from picloud_driver.stack.bootstrap.keys import KeyFile
from picloud_model.core import CORE_TYPES

from picloud import output
from picloud.stack.servers import needed_packages, stack_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from picloud_driver.capacity.sizes import Sizes

_METRIC: Final = 'picloud_wanted_cores{core_type="'
_ANSWER_S: Final = 30.0
_OK: Final = 200


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """How sizes follow: how often they are looked at, and how slowly they shrink, in seconds."""

    every_s: float | None
    calm_s: float
    drain_s: float


def names_of(groups: Sequence[str]) -> dict[str, str]:
    """Return the name of the group of each core type.

    Raises:
        CloudException: When one is not `CORE_TYPE=NAME`.

    >>> names_of(["c1=picloud-clients-c1"])
    {'c1': 'picloud-clients-c1'}
    """
    found = {}
    for each in groups:
        core_type, _, name = each.partition("=")
        if core_type not in CORE_TYPES or not name:
            known = ", ".join(CORE_TYPES)
            raise CloudException(
                f"{each!r} is not a core type and its group, such as c1=picloud-clients-c1; core "
                f"types are {known}."
            )
        found[core_type] = name
    return found


def run(names: Mapping[str, str], keys: Path, rules: Rules) -> None:
    """Show what groups have and should have, or change them again and again.

    Args:
        names: The name of the group of each core type.
        keys: The directory of the cluster's keys.
        rules: How sizes follow; without `every_s` nothing is changed.

    Raises:
        CloudException: When a server cannot be used at the first look.
    """
    with stack_errors(), _opened(names, keys, rules) as sizes:
        if rules.every_s is None:
            _show(sizes)
            return
        _change(sizes)
        while True:
            time.sleep(rules.every_s)
            # The command runs for days unattended, so a server that is away now is asked again.
            try:
                with stack_errors():
                    _change(sizes)
            except CloudException as error:
                output.hint(f"Nothing more is changed this time: {error}")


@contextlib.contextmanager
def _opened(names: Mapping[str, str], keys: Path, rules: Rules) -> Iterator[Sizes]:
    with needed_packages():
        from picloud_driver.capacity.aws import AwsGroups  # noqa: PLC0415 - an extra of its own
        from picloud_driver.capacity.plan import Planner  # noqa: PLC0415 - as above
        from picloud_driver.capacity.sizes import Sizes  # noqa: PLC0415 - as above
        from picloud_driver.nomad.administrator import (  # noqa: PLC0415 - as above
            NomadAdministrator,
        )
        from picloud_driver.stack.servers.nomad import access  # noqa: PLC0415 - as above

    server = nomad_of(environment())
    if server is None:
        raise CloudException("NOMAD_ADDR is not set; set it to the address of your Nomad.")
    token = server.token or KeyFile(keys).now.nomad_management
    managed = access(msgspec.structs.replace(server, token=token))
    planner = Planner(time.monotonic, rules.calm_s)
    with NomadAdministrator(managed) as nomad:
        yield Sizes(AwsGroups(), nomad, names, planner=planner, drain_s=rules.drain_s)


def _show(sizes: Sizes) -> None:
    for group, step in sizes.look(_wanted_cores()):
        now = f"{group.size} machines ({len(group.draining)} drained) of {group.cores} cores"
        bounds = f"{group.minimum} to {group.maximum}"
        output.text(f"{group.core_type:<4} {now}, {step.wanted} wanted, {bounds} allowed")


def _change(sizes: Sizes) -> None:
    for group, step in sizes.look(_wanted_cores()):
        for text in sizes.change(group, step):
            output.text(f"{group.core_type:<4} {text}")


def _wanted_cores() -> dict[str, int]:
    """Return how many cores the work of each core type could use, by the metrics of the server.

    Raises:
        CloudException: When it does not answer, or the key is not an administrator's.
    """
    address = current_client().address
    headers = {"Authorization": f"Bearer {address.key}"}
    request = HttpRequest(method="GET", url="/metrics", headers=headers, timeout_s=_ANSWER_S)
    with contextlib.closing(Connections(address.url)) as connections:
        try:
            reply = connections.exchange(request)
        except NoAnswer as error:
            raise CloudException(f"{address.url} does not answer: {error}") from error
    text = reply.body.decode(errors="replace")
    if reply.status != _OK:
        raise CloudException(
            f"{address.url} does not show its metrics (status {reply.status}): use a key of the "
            "first account, which picloud up or the API has made."
        )
    found = {}
    for line in text.splitlines():
        if line.startswith(_METRIC):
            core_type, _, number = line.removeprefix(_METRIC).partition('"} ')
            found[core_type] = int(float(number))
    if not found:
        raise CloudException(f"{address.url} is too old: it does not say how many cores it wants.")
    return found
