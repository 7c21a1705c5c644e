"""Sealing: how fast finished calls move from Consul to S3, and what that costs."""

from __future__ import annotations

import contextlib
import shlex
import time
from typing import TYPE_CHECKING, Any, Final

from bench import load

if TYPE_CHECKING:
    from bench.contenders.picloud import PiCloud

_MARKERS: Final = "picloud/state/finished/"
_LOOK_S: Final = 0.5
_LONGEST_S: Final = 300.0


def sealed(contender: PiCloud) -> dict[str, Any]:
    """Wait until every finished batch is sealed; time from the first one that is.

    Raises:
        TimeoutError: When that takes more than five minutes.
    """
    until = time.monotonic() + _LONGEST_S
    whole = unsealed = _waiting(contender)
    pids = contender.server_pids()
    before, start = load.processor_s(pids), time.monotonic()
    while unsealed:
        if time.monotonic() > until:
            message = f"{unsealed} of {whole} batches are not sealed"
            raise TimeoutError(message)
        time.sleep(_LOOK_S)
        if unsealed == whole:
            before, start = load.processor_s(pids), time.monotonic()
        unsealed = _waiting(contender)
    spent = load.processor_s(pids)
    return {
        "sealed, calls/s": whole / (time.monotonic() - start),
        "sealing: processor time a call, API, ms": 1000
        * sum(spent.get(pid, 0) - before.get(pid, 0) for pid in pids)
        / whole,
    }


def _waiting(contender: PiCloud) -> int:
    """Return how many batches are finished and not sealed yet, according to Consul."""
    from picloud_driver.consul.gateway import ConsulGateway
    from picloud_driver.stack.addresses import consul_of
    from picloud_driver.stack.servers import consul

    named = {}
    for line in (contender.home / "data" / "stack" / "environment").read_text().splitlines():
        name, _, value = shlex.split(line)[1].partition("=")
        named[name] = value
    server = consul_of(named)
    assert server is not None
    with contextlib.closing(ConsulGateway(consul.access(server), connections=1)) as gateway:
        return len(gateway.keys(_MARKERS))
