"""`python -m bench.ports`: ports of a job and shells in it, compared with OpenSSH on loopback.

from, to   1 GiB from a job and to it, through its public port; `ssh -L` to the same port
byte       one byte there and back, on an open connection
shell      `picloud ssh JID true`; `ssh localhost true`, with the same client
streams    200 connections at once, whose bytes the job does not read: memory of the gateway for
           each, and beyond that, once they have ended

Both take turns within a run, so that a machine that slows down slows both. Each ratio is the median
of the ratios of all runs. The server of OpenSSH is that of Debian, if none is installed.

    python -m bench.ports                    # 2 minutes
    python -m bench.ports --mib 256 --runs 1
    python -m bench.ports --json ports.json
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bench import openssh
from bench.contenders.picloud import Embedded
from bench.measures import memory_mb
from bench.port_server import PIECE_BYTES, REQUEST, receive, send, serve
from bench.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    Runs = dict[str, list[tuple[float, float]]]

_STREAMS: Final = 200
_ROUNDS: Final = 2000
_STREAM_PIECES: Final = 8
"""What each of the streams is sent, which is more than all buffers between hold."""
_WAIT_S: Final = 60.0


class RateGoal(NamedTuple):
    """A row of rates: that of OpenSSH times `least`, or `enough` MB/s."""

    name: str
    least: float
    enough: float

    def line(self, runs: list[tuple[float, float]]) -> str:
        """Return the row, with the goal if it was missed."""
        ours, theirs = (statistics.median(side) for side in zip(*runs, strict=True))
        ratio = statistics.median(own / other for own, other in runs)
        missed = "" if ratio >= self.least or ours >= self.enough else "  MISSED"
        values = f"{ours:>7.0f} MB/s{theirs:>7.0f} MB/s{ratio:>8.2f}"
        return f"{self.name:<26}{values}  >= {self.least}, or {self.enough:.0f} MB/s{missed}"


class TimeGoal(NamedTuple):
    """A row of times: `most` is the longest that ours may take."""

    name: str
    unit: str
    most: float

    def line(self, runs: list[tuple[float, float]]) -> str:
        """Return the row, with the goal if it was missed."""
        ours, theirs = (statistics.median(side) for side in zip(*runs, strict=True))
        ratio = statistics.median(other / own for own, other in runs)
        missed = "" if ours <= self.most else "  MISSED"
        values = f"{ours:>7.3f} {self.unit:<4}{theirs:>7.3f} {self.unit:<4}{ratio:>8.2f}"
        return f"{self.name:<26}{values}  <= {self.most} {self.unit}{missed}"


GOALS: Final[dict[str, RateGoal | TimeGoal]] = {
    "from": RateGoal("from a job", 0.5, 300.0),
    "to": RateGoal("to a job", 0.5, 300.0),
    "byte": TimeGoal("one byte there and back", "ms", 1.5),
    "shell": TimeGoal("ssh ... true", "s", 0.6),
}
STREAM_KIB: Final = 64.0
"""The most memory of the gateway for one stream."""


class Ways:
    """The two ways to the port of one job: our own, and `ssh -L`."""

    def __init__(self, contender: Embedded, configuration: Path, jid: int, inner: int) -> None:
        self._contender = contender
        self._configuration = configuration
        self.jid = jid
        self.inner = inner

    def ports(self) -> Iterator[int]:
        """Yield the local port of each way, for as long as it is used."""
        reached = self._contender.cloud.wait_for.port(self.jid, self.inner, timeout=_WAIT_S)
        yield reached["port"]
        with openssh.forwarded(self._configuration, self.inner) as port:
            yield port

    def shells(self) -> tuple[list[Any], list[Any]]:
        """Return a command that does nothing, by each way."""
        picloud = Path(sys.executable).with_name("picloud")
        ours = [picloud, "ssh", str(self.jid), "true"]
        return ours, ["ssh", "-F", self._configuration, openssh.HOST, "true"]


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.ports",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--mib", type=int, default=1024, help="what is carried in each direction")
    parser.add_argument("--runs", type=int, default=5, help="runs of each measure")
    parser.add_argument("--json", type=Path, default=Path("bench/results/ports.json"))
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    contender = Embedded(slots=1)
    contender.start()
    try:
        with openssh.server(contender.home) as configuration:
            runs, memory_kib = _measure(contender, configuration, chosen)
    finally:
        contender.stop()
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps({"runs": runs, "memory_kib": memory_kib}, indent=1))
    print(f"{_table(runs, memory_kib)}\n\nEvery run: {chosen.json}")


def _measure(
    contender: Embedded, configuration: Path, chosen: argparse.Namespace
) -> tuple[Runs, tuple[float, float]]:
    """Return the values of each run, ours and those of OpenSSH, and the memory of the gateway."""
    cloud, progress = contender.cloud, Progress()
    jid = cloud.call(serve)
    cloud.wait_for.status(jid, "processing", timeout=_WAIT_S)
    ways = Ways(contender, configuration, jid, _inner_port(cloud, jid))
    runs: Runs = {name: [] for name in GOALS}
    for run in range(chosen.runs):
        progress.tell(f"ports, run {run + 1} of {chosen.runs}")
        for name, values in _both(ways, chosen.mib).items():
            runs[name].append(values)
    progress.tell(f"{_STREAMS} streams")
    memory_kib = _memory_kib(contender, ways)
    progress.end()
    cloud.kill(jid)
    return runs, memory_kib


def _inner_port(cloud: Any, jid: int) -> int:
    deadline = time.monotonic() + _WAIT_S
    while not (ports := (cloud.info(jid, "ports")[jid]["ports"] or {}).get("tcp")):
        if time.monotonic() > deadline:
            raise RuntimeError("The job does not listen.")
        time.sleep(0.1)
    return int(next(iter(ports)))


def _both(ways: Ways, mib: int) -> dict[str, tuple[float, float]]:
    """Measure both ways once."""
    byte_count = mib * 1024 * 1024
    sides = []
    for port in ways.ports():
        rates = (_rate(port, b"g", byte_count), _rate(port, b"s", byte_count))
        sides.append((*rates, _round_trip_ms(port)))
    ours, theirs = sides
    own, other = (_seconds(command) for command in ways.shells())
    return {
        "from": (ours[0], theirs[0]),
        "to": (ours[1], theirs[1]),
        "byte": (ours[2], theirs[2]),
        "shell": (own, other),
    }


def _connected(port: int, what: bytes, count: int = 0) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), _WAIT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(REQUEST.pack(what, count))
    return connection


def _rate(port: int, what: bytes, count: int) -> float:
    """Return the MB/s at which bytes arrive, from the request on."""
    start = time.perf_counter()
    with _connected(port, what, count) as connection:
        if what == b"g":
            receive(connection, count)
        else:
            send(connection, count)
            receive(connection, 1)
    return count / 1e6 / (time.perf_counter() - start)


def _round_trip_ms(port: int) -> float:
    took = []
    with _connected(port, b"e") as connection:
        for _ in range(_ROUNDS):
            start = time.perf_counter()
            connection.sendall(b"x")
            connection.recv(1)
            took.append(time.perf_counter() - start)
    return statistics.median(took) * 1000


def _seconds(command: list[Any]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return time.perf_counter() - start


def _memory_kib(contender: Embedded, ways: Ways) -> tuple[float, float]:
    """Return what the gateway takes for each of many streams, and what of that it keeps."""
    import psutil

    (gateway,) = {
        each.pid
        for server in contender.server_pids()
        for each in psutil.Process(server).children(recursive=True)
        if "picloud_gateway" in each.cmdline()
    }
    port = next(ways.ports())
    before = memory_mb(gateway, "VmRSS")
    streams = [_connected(port, b"h") for _ in range(_STREAMS)]
    for each in streams:
        each.settimeout(0.02)
        try:
            for _ in range(_STREAM_PIECES):
                each.sendall(bytes(PIECE_BYTES))
        except TimeoutError:
            continue
    during = memory_mb(gateway, "VmRSS")
    for each in streams:
        each.close()
    time.sleep(1)
    after = memory_mb(gateway, "VmRSS")
    return ((during - before) * 1024 / _STREAMS, (after - before) * 1024 / _STREAMS)


def _table(runs: Runs, memory_kib: tuple[float, float]) -> str:
    lines = [f"{'median of the runs':<26}{'ours':>12}{'OpenSSH':>12}{'rate':>8}  goal"]
    lines += [goal.line(runs[name]) for name, goal in GOALS.items()]
    during, after = memory_kib
    missed = "  MISSED" if during > STREAM_KIB else ""
    lines.append(
        f"{f'memory of {_STREAMS} streams, each':<31}{during:.0f} KiB; {after:.0f} KiB once they "
        f"have ended  <= {STREAM_KIB:.0f} KiB{missed}"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
