"""Measures, each in a fresh process with a contender that has already started.

One measure may fill several rows of the table if they need the same work.
"""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench import clients, executors, memory, queues, services, work
from bench.timed import timed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench.contenders.contender import Contender

    Run = Callable[[Contender], dict[str, float]]


class Row(NamedTuple):
    """A row of the table: `better` says which direction is good, `goals` has one for each stack.

    `ahead` has how many times better than a peer each stack has to be, by stack, then by peer;
    "best" stands for the best of them.
    """

    name: str
    unit: str
    better: str
    goals: Mapping[str, float]
    ahead: Mapping[str, Mapping[str, float]] = {}


class Measure(NamedTuple):
    """What fills some rows; `ours` if peers have no equivalent.

    `needs` names what contenders have to have: one of `Contender.has`.
    """

    rows: Sequence[str]
    run: Run
    ours: bool = False
    needs: str = ""


def identity(argument: Any) -> Any:
    """Return the argument: a job that does nothing."""
    return argument


def length(argument: bytes) -> int:
    """Read a large argument."""
    return len(argument)


def call(contender: Contender) -> dict[str, float]:
    """500 warm no-op calls, one after the other, submit to result."""
    for number in range(50):
        contender.call(identity, number)
    times = []
    for number in range(500):
        start = time.perf_counter()
        contender.call(identity, number)
        times.append((time.perf_counter() - start) * 1000)
    return {"call": statistics.median(times), "call_p99": sorted(times)[494]}


def cold(contender: Contender) -> dict[str, float]:
    """Time from the first call to its result while no slot runs."""
    return {"cold": timed(lambda: contender.call(identity, 1))}


def map10k(contender: Contender) -> dict[str, float]:
    """Time a warm no-op map of 10,000."""
    return {"map10k": _mapped(contender, 10_000)}


def map100k(contender: Contender) -> dict[str, float]:
    """Time a warm no-op map of 100,000, with the peak memory of client and server."""
    rate = _mapped(contender, 100_000)
    pids = contender.server_pids()
    return {
        "map100k": rate,
        "client": memory_mb(os.getpid(), "VmHWM"),
        "server": max((memory_mb(pid, "VmHWM") for pid in pids), default=float("nan")),
    }


def map1m(contender: Contender) -> dict[str, float]:
    """Time a warm no-op map of 1,000,000: the largest map there is."""
    rate = _mapped(contender, 1_000_000)
    pids = contender.server_pids()
    return {
        "map1m": rate,
        "client1m": memory_mb(os.getpid(), "VmHWM"),
        "server1m": max((memory_mb(pid, "VmHWM") for pid in pids), default=float("nan")),
    }


def queued(contender: Any) -> dict[str, float]:
    """Memory of the API with 100,000 jobs queued behind some that sleep."""
    cloud = contender.cloud
    contender.map(identity, range(100))
    cloud.map(time.sleep, [60] * contender.slots)
    jids = cloud.map(identity, range(100_000))
    unfinished = set(cloud.status([jids[0], jids[-1]]))
    if unfinished != {"queued"}:
        message = f"jobs were to be queued, not {unfinished}"
        raise ValueError(message)
    peak_mb = max(memory_mb(pid, "VmHWM") for pid in contender.server_pids())
    cloud.kill()
    return {"queued": peak_mb}


def echo(contender: Contender) -> dict[str, float]:
    """Time a map of 10,000 arguments of 1 KiB each, echoed."""
    contender.map(identity, range(100))
    arguments = [os.urandom(1024) for _ in range(10_000)]
    took = timed(lambda: _check(contender.map(identity, arguments), arguments))
    return {"echo": len(arguments) / took}


def shared(contender: Contender) -> dict[str, float]:
    """64 jobs that share one argument of 8 MiB: passed 64 times, and by special means."""
    contender.map(identity, range(100))
    expected = [8 * 1024 * 1024] * 64
    plain, put = os.urandom(expected[0]), os.urandom(expected[0])
    return {
        "shared": timed(lambda: _check(contender.map(length, [plain] * 64), expected)),
        "put": timed(lambda: _check(contender.share(length, put, 64), expected)),
    }


def memory_mb(pid: int, field: str) -> float:
    """Return a field of a process's status that is in kB, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def _mapped(contender: Contender, jobs: int) -> float:
    contender.map(identity, range(100))
    arguments = range(jobs)
    return jobs / timed(lambda: _check(contender.map(identity, arguments), arguments))


def _check(results: list[Any], expected: Sequence[Any]) -> None:
    if len(results) != len(expected) or any(
        one != other for one, other in zip(results, expected, strict=True)
    ):
        message = "a contender returned wrong results: its time means nothing"
        raise ValueError(message)


def _goals(embedded: float, hashicorp: float) -> dict[str, float]:
    return {"embedded": embedded, "hashicorp": hashicorp}


def _ahead(**by_peer: tuple[float, float]) -> dict[str, dict[str, float]]:
    """Return how far ahead of peers each stack has to be, from pairs: embedded, HashiCorp."""
    return {
        stack: {peer: goals[at] for peer, goals in by_peer.items() if goals[at]}
        for at, stack in enumerate(("embedded", "hashicorp"))
    }


ROWS: dict[str, Row] = {
    "call": Row(
        "one no-op call, warm, p50", "ms", "lower", _goals(1.5, 5), ahead=_ahead(ray=(1 / 0.75, 0))
    ),
    "call_p99": Row("one no-op call, warm, p99", "ms", "lower", {}),
    "map10k": Row("no-op map of 10,000", "jobs/s", "higher", _goals(10_000, 7_500)),
    "map100k": Row("no-op map of 100,000", "jobs/s", "higher", _goals(10_000, 7_500)),
    "echo": Row("map of 10,000 x 1 KiB echoed", "jobs/s", "higher", _goals(8_500, 5_000)),
    "shared": Row("64 jobs sharing 8 MiB", "s", "lower", _goals(0.5, 0.8)),
    "put": Row("the same, by put or scatter", "s", "lower", {}),
    "cold": Row("first result with no slot up", "s", "lower", _goals(0.5, 1.5)),
    "client": Row("client memory, 100k map", "MB", "lower", _goals(150, 150)),
    "server": Row("API memory, 100k map", "MB", "lower", _goals(200, 300)),
    "queued": Row("API memory, 100k jobs queued", "MB", "lower", _goals(200, 300)),
    "messages": Row("100-byte messages, handled", "1/s", "higher", _goals(10_000, 10_000)),
    "message": Row("one message, pushed to handled", "ms", "lower", _goals(5, 5)),
    "pushes": Row("pushes of 800 messages", "1/s", "higher", _goals(60_000, 30_000)),
    "tickets": Row("pop_tickets(1000) and ack", "1/s", "higher", _goals(20_000, 20_000)),
    "queue_cold": Row("first message with no job", "s", "lower", _goals(1, 1)),
    "readers": Row("4 readers of a 50 ms handler", "x", "higher", _goals(3.8, 3.8)),
    "waiting": Row("API memory, 1M messages", "MB", "lower", _goals(50, 50)),
    "count": Row("count with 1M messages", "ms", "lower", _goals(20, 20)),
    "loop": Row("3,000 calls in a loop", "calls/s", "higher", {}, ahead=_ahead(ray=(2, 0.8))),
    "threads": Row("calls of 8 threads", "calls/s", "higher", {}, ahead=_ahead(ray=(1.5, 0))),
    "step": Row("a step of a chain of 200", "ms", "lower", {}, ahead=_ahead(ray=(1, 0))),
    "arguments": Row(
        "64 arguments of 4 MiB", "MB/s", "higher", {}, ahead=_ahead(ray=(1, 0.7), loky=(1.5, 0))
    ),
    "results": Row(
        "64 results of 4 MiB", "MB/s", "higher", {}, ahead=_ahead(ray=(1, 0.7), loky=(1.5, 0))
    ),
    "functions": Row("a function not seen before", "ms", "lower", {}, ahead=_ahead(ray=(2, 1))),
    "sleeps": Row("1,000 jobs of 10 ms, of the ideal", "x", "higher", {}),
    "nested": Row("64 jobs that each map 16", "s", "lower", {}, ahead=_ahead(ray=(2, 1))),
    "commands": Row("shell commands", "1/s", "higher", {}),
    "commands_xargs": Row("the same, times xargs -P2", "x", "higher", _goals(2, 1)),
    "fresh": Row("a program with one call, whole", "s", "lower", _goals(0.15, 0.2)),
    "stream": Row("values of a stream", "1/s", "higher", _goals(50_000, 50_000)),
    "stream_value": Row("one value, yielded to read", "ms", "lower", _goals(5, 5)),
    "stream_first": Row("the first one of a stream", "ms", "lower", _goals(5, 5)),
    "executor": Row("Executor, submit to result, in calls", "x", "lower", _goals(1.1, 1.1)),
    "executor_map": Row(
        "Executor.map of 10,000", "jobs/s", "higher", {}, ahead=_ahead(best=(10, 10))
    ),
    "executor_chunks": Row("the same, chunksize 100", "items/s", "higher", {}),
    "search": Row("GridSearchCV, 200 short fits", "s", "lower", {}, ahead=_ahead(best=(1, 1))),
    "completed": Row("as_completed over 100,000", "jobs/s", "higher", {}),
    "completed_share": Row("time a job, in that of 10,000", "x", "lower", _goals(1.5, 1.5)),
    "handles": Row("100,000 jobs in the client", "MB", "lower", _goals(20, 20)),
    "bar": Row("client of a map that shows its bar", "x", "lower", _goals(1.02, 1.02)),
    "invoke": Row("warm call of a published no-op, p50", "ms", "lower", {}),
    "invoke_calls": Row("the same, in plain calls", "x", "lower", _goals(1.3, 1.3)),
    "requests": Row(
        "8 connections to a published no-op", "1/s", "higher", {}, ahead=_ahead(best=(1.5, 1.5))
    ),
    "cron_share": Row("1,000 idle cron jobs, of a core", "%", "lower", _goals(2, 2)),
    "cron_late": Row("1,000 cron jobs due at once, p99", "s", "lower", _goals(1, 1)),
    "client_calls": Row("client memory, 100,000 calls", "MB", "lower", _goals(60, 60)),
    "server_calls": Row("API memory, 1M calls, from 100,000", "MB", "lower", _goals(200, 200)),
    "slot": Row("a slot, all its processes", "MB", "lower", _goals(30, 30)),
    "map1m": Row("no-op map of 1,000,000", "jobs/s", "higher", {}),
    "client1m": Row("client memory, 1M map", "MB", "lower", {}),
    "server1m": Row("API memory, 1M map", "MB", "lower", {}),
}
"""Every row by its key, in the order of the table."""

MEASURES: dict[str, Measure] = {
    "call": Measure(("call", "call_p99"), call),
    "map10k": Measure(("map10k",), map10k),
    "map100k": Measure(("map100k", "client", "server"), map100k),
    "echo": Measure(("echo",), echo),
    "shared": Measure(("shared", "put"), shared),
    "cold": Measure(("cold",), cold),
    "queued": Measure(("queued",), queued, ours=True),
    "messages": Measure(("messages", "message"), queues.messages, needs="queues"),
    "pushes": Measure(("pushes", "tickets"), queues.pushes, ours=True),
    "handlers": Measure(("queue_cold", "readers"), queues.handlers, ours=True),
    "waiting": Measure(("waiting", "count"), queues.waiting, ours=True),
    "loop": Measure(("loop",), work.loop, needs="calls"),
    "threads": Measure(("threads",), work.threads, needs="calls"),
    "chain": Measure(("step",), work.chain, needs="calls"),
    "large": Measure(("arguments", "results"), work.large, needs="calls"),
    "functions": Measure(("functions",), work.functions, needs="calls"),
    "sleeps": Measure(("sleeps",), work.sleeps, needs="calls"),
    "nested": Measure(("nested",), work.nested, needs="calls"),
    "commands": Measure(("commands", "commands_xargs"), work.commands, ours=True),
    "fresh": Measure(("fresh",), work.fresh, ours=True),
    "streams": Measure(("stream", "stream_value", "stream_first"), clients.streams, ours=True),
    "executor": Measure(("executor",), clients.executor, ours=True),
    "maps": Measure(("executor_map", "executor_chunks"), executors.maps, needs="executor"),
    "search": Measure(("search",), executors.search, needs="joblib"),
    "completed": Measure(
        ("completed", "completed_share", "handles"), executors.completed, ours=True
    ),
    "bar": Measure(("bar",), clients.bar, ours=True),
    "invoke": Measure(("invoke", "invoke_calls"), services.invoke, ours=True),
    "requests": Measure(("requests",), services.requests, needs="services"),
    "crons": Measure(("cron_share", "cron_late"), services.crons, ours=True),
    "memory": Measure(("client_calls", "server_calls", "slot"), memory.calls, ours=True),
    "map1m": Measure(("map1m", "client1m", "server1m"), map1m, ours=True),
}
"""Every measure by its key."""

USUAL = [key for key in MEASURES if key not in {"map1m", "crons", "memory"}]
"""The measures that run by default."""
