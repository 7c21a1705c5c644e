"""Measures: what is measured, each in a fresh process with a contender already started."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.contenders import Contender


class Measure(msgspec.Struct, frozen=True):
    """A row of the table. `better` says which way is good; `goals` are each stack's own."""

    name: str
    unit: str
    better: str
    goals: dict[str, float]
    run: Any


def identity(argument: Any) -> Any:
    """The no-op."""
    return argument


def length(argument: bytes) -> int:
    """Touch a large argument."""
    return len(argument)


def call(contender: Contender) -> float:
    """Median of 500 warm no-op calls, submit to result, in milliseconds."""
    for number in range(50):
        contender.call(identity, number)
    times = []
    for number in range(500):
        start = time.perf_counter()
        contender.call(identity, number)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def cold(contender: Contender) -> float:
    """Seconds from the first call to its result while no slot runs."""
    return _timed(lambda: contender.call(identity, 1))


def no_op_map(jobs: int) -> Callable[[Contender], float]:
    """Jobs a second of a warm no-op map."""

    def run(contender: Contender) -> float:
        contender.map(identity, range(100))
        arguments = range(jobs)
        took = _timed(lambda: _check(contender.map(identity, arguments), list(arguments)))
        return jobs / took

    return run


def echo(contender: Contender) -> float:
    """Jobs a second of a map of 10,000 arguments of 1 KiB each, echoed."""
    contender.map(identity, range(100))
    arguments = [os.urandom(1024) for _ in range(10_000)]
    return len(arguments) / _timed(lambda: _check(contender.map(identity, arguments), arguments))


def shared(contender: Contender) -> float:
    """Seconds for 64 jobs that share one argument of 8 MiB."""
    contender.map(identity, range(100))
    argument = os.urandom(8 * 1024 * 1024)
    return _timed(lambda: _check(contender.map(length, [argument] * 64), [len(argument)] * 64))


def client_memory(contender: Contender) -> float:
    """Peak memory of the client in MB after a map of 100,000 no-ops."""
    contender.map(identity, range(100_000))
    return _status(os.getpid(), "VmHWM")


def server_memory(contender: Contender) -> float:
    """Memory of the largest server process in MB after a map of 100,000 no-ops."""
    contender.map(identity, range(100_000))
    return max((_status(pid, "VmHWM") for pid in contender.server_pids()), default=float("nan"))


def _timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _check(found: list[Any], expected: list[Any]) -> None:
    if found != expected:
        message = "a contender returned wrong results: its time means nothing"
        raise ValueError(message)


def _status(pid: int, field: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


MEASURES: dict[str, Measure] = {
    key: Measure(name, unit, better, {"embedded": embedded, "hashicorp": hashicorp}, run)
    for key, name, unit, better, embedded, hashicorp, run in (
        ("call", "one no-op call, warm, p50", "ms", "lower", 1.5, 5, call),
        ("map10k", "no-op map of 10,000", "jobs/s", "higher", 10_000, 7_500, no_op_map(10_000)),
        ("map100k", "no-op map of 100,000", "jobs/s", "higher", 10_000, 7_500, no_op_map(100_000)),
        ("echo", "map of 10,000 x 1 KiB echoed", "jobs/s", "higher", 8_500, 5_000, echo),
        ("shared", "64 jobs sharing 8 MiB", "s", "lower", 0.5, 0.8, shared),
        ("cold", "first result with no slot up", "s", "lower", 0.5, 1.5, cold),
        ("client", "client memory, 100k map", "MB", "lower", 150, 150, client_memory),
        ("server", "API memory, 100k map", "MB", "lower", 200, 300, server_memory),
    )
}
"""Every measure by its key."""
