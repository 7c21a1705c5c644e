"""`python -m bench.consul_access`: what a transaction of Consul takes by its socket and by TLS.

It starts the Consul of `picloud up`, which listens on both, and alternates between them.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from picloud_driver.consul.gateway import ConsulGateway, Step, Verb
from picloud_driver.stack.servers import consul
from picloud_driver.stack.servers.startup import StartupDeadline
from picloud_driver.stack.termination import terminate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_ROUNDS: Final = 30
_TIMES: Final = 10
_BYTES: Final = 1024
_READY_S: Final = 60.0
_WRITES: Final = [
    Step(Verb.SET, f"picloud/bench/{index}", os.urandom(_BYTES)) for index in range(64)
]
_TRANSACTIONS: Final = {
    "read 1 KB": [Step(Verb.GET, "picloud/bench/0")],
    "write 1 KB": _WRITES[:1],
    "write 64 times 1 KB": _WRITES,
}


@contextlib.contextmanager
def _gateways(data: Path) -> Iterator[dict[str, ConsulGateway]]:
    """Run Consul; yield a gateway for each way to reach it."""
    server = consul.Consul(data)
    server.renew_certificates()
    server.reserve()
    record = server.start(os.environ)
    process = record.process()
    assert process is not None
    with contextlib.closing(process), contextlib.ExitStack() as opened:
        opened.callback(terminate, process)
        deadline = StartupDeadline(server, process, time.monotonic() + _READY_S, threading.Event())
        by_socket = server.make_ready(server.address(record.ports), deadline)
        by_tls = server.tls_address(record.ports["http"], by_socket.token)
        addresses = {"socket": by_socket, "TLS": by_tls}
        gateways = {
            name: ConsulGateway(consul.access(address), connections=1)
            for name, address in addresses.items()
        }
        for gateway in gateways.values():
            opened.callback(gateway.close)
        yield gateways


def _medians(gateways: Mapping[str, ConsulGateway], steps: Sequence[Step]) -> dict[str, float]:
    """Return the median time of a transaction in milliseconds, by the way to Consul."""
    times: dict[str, list[float]] = {name: [] for name in gateways}
    for _ in range(_ROUNDS):
        for name, gateway in gateways.items():
            for _ in range(_TIMES):
                begun = time.perf_counter()
                gateway.transact(steps)
                times[name].append(1000 * (time.perf_counter() - begun))
    return {name: statistics.median(each) for name, each in times.items()}


def main() -> None:
    """Print a line for each transaction."""
    with tempfile.TemporaryDirectory() as data, _gateways(Path(data)) as gateways:
        gateways["socket"].transact(_WRITES)
        for name, steps in _TRANSACTIONS.items():
            medians = _medians(gateways, steps)
            print(f"{name:<20}", *(f"{way} {value:.2f} ms" for way, value in medians.items()))


if __name__ == "__main__":
    main()
