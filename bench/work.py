"""What is measured of other work than maps: single calls, chains, large data, jobs in jobs."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from bench.timed import timed

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.contenders.contender import Contender

_CALLS: Final = 3000
_THREADS: Final = 8
_THREAD_CALLS: Final = 100
_STEPS: Final = 200
_LARGE: Final = 4 * 1024 * 1024
_LARGE_JOBS: Final = 64
_FUNCTIONS: Final = 200
_SLEEPS: Final = 1000
_SLEEP_S: Final = 0.01
_SLOTS: Final = 2
_OUTER: Final = 64
_INNER: Final = 16
_COMMANDS: Final = 500
_STARTS: Final = 7
_PROGRAM: Final = "import cloud; print(cloud.result(cloud.call(abs, -1)))"


def increased(number: int) -> int:
    """Return a number that is larger by one: a step of a chain."""
    return number + 1


def size(content: bytes) -> int:
    """Read a large argument."""
    return len(content)


def block(number: int) -> bytes:
    """Return a large result, different for each job."""
    return number.to_bytes(8, "big") * (_LARGE // 8)


def sleep(seconds: float) -> float:
    """Sleep: a short job that does not need the processor."""
    time.sleep(seconds)
    return seconds


def new_function(number: int) -> Callable[[int], int]:
    """Return a function that no slot has seen: it is sent whole."""

    def add(argument: int) -> int:
        return argument + number

    return add


def loop(contender: Contender) -> dict[str, float]:
    """3,000 calls in a loop, then all their results."""
    contender.gather([contender.submit(increased, number) for number in range(100)])

    def work() -> None:
        results = contender.gather([contender.submit(increased, each) for each in range(_CALLS)])
        _check(results == list(range(1, _CALLS + 1)))

    return {"loop": _CALLS / timed(work)}


def threads(contender: Contender) -> dict[str, float]:
    """Eight threads of one client, each of which calls and waits, again and again."""

    def calls(count: int) -> None:
        for number in range(count):
            _check(contender.call(increased, number) == number + 1)

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(calls, [10] * _THREADS))
        took = timed(lambda: list(pool.map(calls, [_THREAD_CALLS] * _THREADS)))
    return {"threads": _THREADS * _THREAD_CALLS / took}


def chain(contender: Contender) -> dict[str, float]:
    """200 calls, each of which depends on the one before and has its result as argument."""
    contender.chain(increased, 10)
    took = timed(lambda: _check(contender.chain(increased, _STEPS) == _STEPS))
    return {"step": took / _STEPS * 1000}


def large(contender: Contender) -> dict[str, float]:
    """64 arguments of 4 MiB, all different; then 64 results of 4 MiB."""
    contender.map(size, [b"warm", b"slots"])
    contents = [os.urandom(_LARGE) for _ in range(_LARGE_JOBS)]
    megabytes = _LARGE_JOBS * _LARGE / 1e6
    sent_s = timed(lambda: _check(set(contender.map(size, contents)) == {_LARGE}))

    def received() -> None:
        results = contender.map(block, range(_LARGE_JOBS))
        _check(all(each == block(number) for number, each in enumerate(results)))

    return {"arguments": megabytes / sent_s, "results": megabytes / timed(received)}


def functions(contender: Contender) -> dict[str, float]:
    """200 functions that no slot has seen, each called once."""
    contender.call(increased, 0)
    times = []
    for number in range(_FUNCTIONS):
        function = new_function(number)
        times.append(timed(lambda: contender.call(function, 1)))  # noqa: B023 - called at once
    return {"functions": statistics.median(times) * 1000}


def sleeps(contender: Contender) -> dict[str, float]:
    """How much of the time of 1,000 short jobs is their own."""
    contender.map(sleep, [0.0, 0.0])
    took = timed(lambda: contender.map(sleep, [_SLEEP_S] * _SLEEPS))
    return {"sleeps": _SLEEPS * _SLEEP_S / _SLOTS / took}


def nested(contender: Contender) -> dict[str, float]:
    """64 jobs, each of which maps 16 and waits for them."""
    contender.nest(2, 2)
    return {"nested": timed(lambda: _check(contender.nest(_OUTER, _INNER) == _OUTER * _INNER))}


def commands(contender: Any) -> dict[str, float]:
    """500 shell commands that do nothing, compared with xargs with two processes."""
    cloud = contender.cloud

    def ours(count: int) -> None:
        cloud.result(cloud.shell.execute_map("true {number}", None, {"number": range(count)}))

    ours(10)
    rate = _COMMANDS / timed(lambda: ours(_COMMANDS))
    lines = "\n".join(["x"] * _COMMANDS)

    def xargs() -> None:
        command = ["xargs", "-P", "2", "-n", "1", "sh", "-c", "true"]
        subprocess.run(command, input=lines, text=True, check=True)

    return {"commands": rate, "commands_xargs": rate / (_COMMANDS / timed(xargs))}


def fresh(contender: Contender) -> dict[str, float]:
    """A program that calls a function and prints the result, from its start to its end."""
    contender.call(increased, 0)
    environment = {**os.environ}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def program() -> None:
        command = [sys.executable, "-c", _PROGRAM]
        done = subprocess.run(command, capture_output=True, check=True, env=environment)
        _check(done.stdout == b"1\n")

    program()
    return {"fresh": statistics.median(timed(program) for _ in range(_STARTS))}


def _check(right: bool) -> None:
    if not right:
        raise RuntimeError("wrong results")
