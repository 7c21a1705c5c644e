"""`python -m bench.mixed`: many clients that do everything at once, for a while: `make load`.

Each client calls, maps, joins, kills, and reads statuses and infos, one operation after the other.
It prints the median and the 99th percentile of each operation, their ratio, what failed, and the
memory of the API before and after.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
import threading
import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bench.measures import identity
from bench.registry import OURS

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.contenders.picloud import PiCloud

RATIO: Final = 10.0
"""How many times the median the 99th percentile may be."""
PROCESSES: Final = 4
"""Processes that the clients are spread over."""


class Seen(NamedTuple):
    """What the clients of one process have seen: seconds by operation, and errors."""

    seconds: dict[str, list[float]]
    errors: Counter[str]


class User:
    """One client: it does one operation after the other until the time is over."""

    def __init__(self, seed: int, until: float) -> None:
        import cloud
        from cloud._client.client import Client
        from cloud._http.transport import ServerAddress

        address = ServerAddress(os.environ["PICLOUD_URL"], os.environ["PICLOUD_API_KEY"])
        self._client = Client(address, cloud.config)
        self._chance = random.Random(seed)
        self._until = until
        self._jids: list[Any] = []
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.errors: Counter[str] = Counter()

    def run(self) -> None:
        """Do operations."""
        operations: dict[str, Callable[[], object]] = {
            "call": self._call,
            "map": lambda: self._client.map(identity, range(20)),
            "result": lambda: self._client.result(self._jid(), 600),
            "status": lambda: self._client.status(self._jid()),
            "info": lambda: self._client.info(self._jid(), "runtime"),
            "kill": lambda: self._client.kill(self._client.call(time.sleep, 60)),
        }
        self._call()
        names = [name for name in operations for _ in range(1 if name in ("map", "kill") else 4)]
        while time.monotonic() < self._until:
            name = self._chance.choice(names)
            began = time.monotonic()
            try:
                operations[name]()
            except Exception as error:  # noqa: BLE001 - it is counted
                self.errors[f"{name}: {type(error).__name__}: {str(error)[:80]}"] += 1
            else:
                self.seconds[name].append(time.monotonic() - began)
        self._client.close()

    def _call(self) -> None:
        self._jids = [*self._jids[-9:], self._client.call(identity, 1)]

    def _jid(self) -> Any:
        return self._chance.choice(self._jids)


def clients(first: int, count: int, until: float, results: Any) -> None:
    """Run clients in threads of this process; put what they have seen into a queue."""
    users = [User(first + number, until) for number in range(count)]
    threads = [threading.Thread(target=user.run) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds: dict[str, list[float]] = defaultdict(list)
    for user in users:
        for name, each in user.seconds.items():
            seconds[name] += each
    results.put(Seen(dict(seconds), sum((user.errors for user in users), Counter())))


def megabytes(ours: PiCloud) -> float:
    """Return the memory of the API's processes."""
    import psutil

    return sum(psutil.Process(pid).memory_info().rss for pid in ours.server_pids()) / 1e6


def main() -> int:
    """Measure one stack; return 1 if an operation failed or was too slow for some."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--contender", choices=OURS, default="embedded")
    parser.add_argument("--clients", type=int, default=2000)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=1200.0)
    options = parser.parse_args()
    ours = OURS[options.contender](slots=options.slots)
    ours.start()
    try:
        ours.call(identity, 1)
        before = megabytes(ours)
        context = multiprocessing.get_context("spawn")
        results = context.Queue()
        until = time.monotonic() + options.seconds
        share = -(-options.clients // PROCESSES)
        running = [
            context.Process(target=clients, args=(number * share, share, until, results))
            for number in range(PROCESSES)
        ]
        for process in running:
            process.start()
        seen = [results.get() for _ in running]
        for process in running:
            process.join()
        after = megabytes(ours)
    finally:
        ours.stop()
    return report(seen, before, after)


def report(seen: list[Seen], before: float, after: float) -> int:
    """Print what the clients have seen; return the exit code."""
    errors = sum((each.errors for each in seen), Counter[str]())
    is_bad = bool(errors)
    print("operation     count    p50 ms    p99 ms   ratio")
    for name in sorted({name for each in seen for name in each.seconds}):
        times = sorted(second for each in seen for second in each.seconds.get(name, []))
        p50, p99 = times[len(times) // 2], times[int(0.99 * len(times))]
        is_bad |= p99 > RATIO * p50
        print(f"{name:9} {len(times):9,} {p50 * 1e3:9.1f} {p99 * 1e3:9.1f} {p99 / p50:7.1f}")
    print(f"memory of the API: {before:.0f} MB before, {after:.0f} MB after")
    for error, count in errors.most_common(10):
        print(f"{count:6} x {error}")
    return int(is_bad)


if __name__ == "__main__":
    sys.exit(main())
