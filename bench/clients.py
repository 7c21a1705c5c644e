"""What is measured of clients: streams of values, `cloud.Executor`, and the bar of a map."""

from __future__ import annotations

import contextlib
import os
import statistics
import threading
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_VALUES: Final = 300_000
_MOMENTS: Final = 100
_STREAMS: Final = 20
_REST_S: Final = 0.02
_CALLS: Final = 300
_MAPPED: Final = 200_000
_MAPS: Final = 5


def numbers(count: int) -> Iterator[int]:
    """Yield small values as fast as they are taken."""
    yield from range(count)


def moments(count: int) -> Iterator[float]:
    """Yield the present time, again and again after a rest."""
    for _ in range(count):
        time.sleep(_REST_S)
        yield time.time()


def streams(contender: Any) -> dict[str, float]:
    """Small values of a generator job, by rate, and how long it takes until one is read.

    That is one that comes after a rest, and the first one of a stream.
    """
    stream = contender.cloud.stream
    _count(stream(numbers, 1000), 1000)
    start = time.perf_counter()
    _count(stream(numbers, _VALUES), _VALUES)
    rate = _VALUES / (time.perf_counter() - start)
    took = [time.time() - yielded for yielded in stream(moments, _MOMENTS)]
    first = []
    for _ in range(_STREAMS):
        yielded = next(stream(moments, 1))
        first.append(time.time() - yielded)
    return {
        "stream": rate,
        "stream_value": statistics.median(took) * 1000,
        "stream_first": statistics.median(first) * 1000,
    }


def executor(contender: Any) -> dict[str, float]:
    """How many times longer submit and result of an executor take than a call; taking turns."""
    from bench.measures import identity

    cloud = contender.cloud
    called: list[float] = []
    submitted: list[float] = []
    with cloud.Executor() as pool:
        for number in range(_CALLS + 50):
            start = time.perf_counter()
            cloud.result(cloud.call(identity, number))
            middle = time.perf_counter()
            pool.submit(identity, number).result()
            called.append(middle - start)
            submitted.append(time.perf_counter() - middle)
    return {"executor": statistics.median(submitted[50:]) / statistics.median(called[50:])}


def bar(contender: Any) -> dict[str, float]:
    """How much more processor time a client takes if a map shows its bar; taking turns."""
    from bench.measures import identity

    cloud = contender.cloud
    spent: dict[bool, list[float]] = {False: [], True: []}
    with _terminal():
        for _ in range(_MAPS):
            for shown, times in spent.items():
                cloud.config.progress = shown
                start = time.process_time()
                cloud.result(cloud.map(identity, range(_MAPPED)))
                times.append(time.process_time() - start)
    return {"bar": statistics.median(spent[True]) / statistics.median(spent[False])}


@contextlib.contextmanager
def _terminal() -> Iterator[None]:
    """Let standard error be a terminal, and read what is written there."""
    before = os.dup(2)
    reading, writing = os.openpty()
    os.dup2(writing, 2)
    os.close(writing)

    def read() -> None:
        with contextlib.suppress(OSError):
            while os.read(reading, 65536):
                pass

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield
    finally:
        os.dup2(before, 2)
        reader.join()
        os.close(reading)
        os.close(before)


def _count(values: Iterator[Any], expected: int) -> None:
    count = sum(1 for _ in values)
    if count != expected:
        message = f"{count} values of {expected} came: their time means nothing"
        raise ValueError(message)
