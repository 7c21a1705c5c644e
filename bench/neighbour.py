"""`python -m bench.neighbour`: what one account can do to the calls of another.

A neighbour calls a function again and again, first alone, then while another account attacks:

waits      800 requests wait for the same 5,000 jobs, which all end at once
scattered  the same with 800 different requests
maps       122 maps of a million jobs each, submitted as fast as the server takes them
kill       a kill of five million jobs
status     the statuses of a million jobs, 8 requests at a time
lists      waits that name 100,000 single jobs, 32 at a time
listings   listings of a million jobs, and infos of 20,000, 24 at a time

For each it prints the 95th percentile of the neighbour's calls, as a ratio to that of the quiet
time right before, and the most memory of the API's processes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

from bench.contenders.picloud import PiCloud
from bench.measures import identity
from bench.registry import OURS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from multiprocessing.synchronize import Event

RATIO: Final = 3.0
"""How much longer a neighbour's call may take."""
MEMORY_MB: Final = 600.0
"""How much memory the API may take."""
QUIET_S: Final = 5.0
_JOBS: Final = 1_000_000


class Place(NamedTuple):
    """Where an account finds its server."""

    url: str
    key: str


async def send(place: Place, path: str, body: Any) -> tuple[int, bytes]:
    """Post a body on a connection of its own; return the status and the reply's body."""
    where = urlsplit(place.url)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    reader, writer = await asyncio.open_connection(where.hostname, where.port, limit=2**20)
    try:
        head = (
            f"POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {place.key}\r\n"
            f"content-type: application/json\r\nconnection: close\r\ncontent-length: {len(data)}"
        )
        writer.write(head.encode() + b"\r\n\r\n" + data)
        reply = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        size = 0
        kept = b""
        while piece := await reader.read(2**18):
            size += len(piece)
            kept = (kept + piece)[:4096]
        return int(reply.split()[1]), kept
    finally:
        writer.close()


async def post(place: Place, path: str, body: Any) -> Any:
    """Post a body again until the server takes it; return the reply, or a part of a long one."""
    while True:
        status, reply = await send(place, path, body)
        if status == 200:
            try:
                return json.loads(reply)
            except ValueError:
                return None
        if status not in (429, 503):
            message = f"{path} was refused with {status}: {reply[:300]!r}"
            raise RuntimeError(message)
        await asyncio.sleep(1)


class Attacker:
    """An account with a job that sleeps, which all others wait for, so that none of them runs."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.blocker = 0
        self.pack = ""

    async def prepare(self) -> None:
        """Make the blocker, and store the arguments of 1,000 jobs."""
        import base64
        import pickle
        from hashlib import sha256

        from picloud_model.pack import seal, write

        arguments = seal(pickle.dumps(((3600.0,), {})))
        pack = write([arguments] * 1000)
        self.pack = sha256(pack).hexdigest()
        await post(self.place, "/v1/blobs", {"blobs": [base64.b64encode(pack).decode()]})
        self.function = base64.b64encode(seal(pickle.dumps(time.sleep))).decode()
        one = base64.b64encode(write([arguments])).decode()
        made = await post(self.place, "/v1/jobs", self._submit(1, [[0, 1, ["", 0, one]]], []))
        self.blocker = made["first"]

    def _submit(self, count: int, parts: list[Any], depends_on: list[Any]) -> dict[str, Any]:
        return {
            "submit_id": uuid4().hex,
            "kind": "map",
            "count": count,
            "envelope": [f"{sys.version_info.major}.{sys.version_info.minor}", "3.1.1"],
            "function": ["", len(self.function), self.function],
            "function_name": "attack",
            "options": {"core_type": "c1"},
            "parts": parts,
            "depends_on": depends_on,
            "depends_on_errors": "ignore",
        }

    def map_of(self, jobs: int, after: int) -> dict[str, Any]:
        """Return the body of a map whose jobs wait for another job."""
        parts = [[n, min(1000, jobs - n), [self.pack, 20_000]] for n in range(0, jobs, 1000)]
        return self._submit(jobs, parts, [[after, after]])

    async def map(self, jobs: int) -> tuple[int, int]:
        """Submit a map whose jobs do not run; return its jids."""
        made = await post(self.place, "/v1/jobs", self.map_of(jobs, self.blocker))
        return made["first"], made["first"] + made["count"] - 1

    async def kill(self) -> None:
        """Kill all jobs."""
        await post(self.place, "/v1/jobs/kill", {})


async def waits(attacker: Attacker, begun: Callable[[], None], *, scattered: bool = False) -> None:
    """800 waits end at once."""
    first, last = await attacker.map(5000)
    starts = [first + (number if scattered else 0) for number in range(800)]
    bodies = [{"jids": [[start, last]], "timeout_s": 30} for start in starts]
    pending = [asyncio.create_task(post(attacker.place, "/v1/jobs/wait", b)) for b in bodies]
    await asyncio.sleep(4)
    begun()
    await post(attacker.place, "/v1/jobs/kill", {"jids": [[first, last]]})
    await asyncio.gather(*pending)


async def scattered(attacker: Attacker, begun: Callable[[], None]) -> None:
    """800 different waits end at once."""
    await waits(attacker, begun, scattered=True)


async def maps(attacker: Attacker, begun: Callable[[], None]) -> None:
    """122 maps of a million jobs."""
    bodies = [json.dumps(attacker.map_of(_JOBS, attacker.blocker)).encode() for _ in range(122)]
    begun()
    replies = await asyncio.gather(*[send(attacker.place, "/v1/jobs", body) for body in bodies])
    print("  maps:", {status: sum(each[0] == status for each in replies) for status, _ in replies})


async def kill(attacker: Attacker, begun: Callable[[], None]) -> None:
    """Kill five million jobs."""
    await attacker.kill()
    await attacker.prepare()
    for _ in range(5):
        await attacker.map(_JOBS)
    begun()
    await attacker.kill()


async def status(attacker: Attacker, begun: Callable[[], None]) -> None:
    """Statuses of a million jobs."""
    first, last = await attacker.map(_JOBS)
    begun()
    for _ in range(3):
        body = {"jids": [[first, last]]}
        await asyncio.gather(*[post(attacker.place, "/v1/jobs/status", body) for _ in range(8)])


async def lists(attacker: Attacker, begun: Callable[[], None]) -> None:
    """Send waits that name 100,000 single jobs."""
    first, last = await attacker.map(200_000)
    single = [[jid, jid] for jid in range(first, last, 2)]
    body = json.dumps({"jids": single, "timeout_s": 5}).encode()
    begun()
    await asyncio.gather(*[post(attacker.place, "/v1/jobs/wait", body) for _ in range(32)])


async def listings(attacker: Attacker, begun: Callable[[], None]) -> None:
    """Send listings of a million jobs, and infos of 20,000."""
    first, _ = await attacker.map(_JOBS)
    requests: list[tuple[str, Any]] = [
        ("/v1/jobs/batches", {}),
        ("/v1/jobs/list", {"statuses": ["done"]}),
        ("/v1/jobs/info", {"jids": [[first, first + 19_999]]}),
    ]
    begun()
    for _ in range(3):
        await asyncio.gather(*[post(attacker.place, *each) for each in requests for _ in range(8)])


ATTACKS: Final[dict[str, Callable[[Attacker, Callable[[], None]], Awaitable[None]]]] = {
    "waits": waits,
    "scattered": scattered,
    "maps": maps,
    "kill": kill,
    "status": status,
    "lists": lists,
    "listings": listings,
}


def attack(place: Place, name: str, begun: Event, ended: Event) -> None:
    """Attack in a process of its own."""

    async def run() -> None:
        attacker = Attacker(place)
        await attacker.prepare()
        await ATTACKS[name](attacker, begun.set)
        ended.set()
        await attacker.kill()

    try:
        asyncio.run(run())
    finally:
        begun.set()
        ended.set()


def call_until(ended: Callable[[], bool]) -> list[float]:
    """Call again and again; return the seconds of each call, sorted."""
    import cloud

    taken_s: list[float] = []
    while not ended():
        begun = time.monotonic()
        if cloud.result(cloud.call(identity, len(taken_s))) != len(taken_s):
            message = "a call returned a wrong result"
            raise ValueError(message)
        taken_s.append(time.monotonic() - begun)
    return sorted(taken_s)


def percentile(seconds: Sequence[float], part: float) -> float:
    """Return a percentile of sorted values.

    >>> percentile([1.0, 2.0, 3.0, 4.0], 0.95)
    4.0
    """
    return seconds[min(len(seconds) - 1, int(part * len(seconds)))]


class MemoryWatch:
    """Samples the memory of processes until it is stopped."""

    def __init__(self, pids: Callable[[], list[int]]) -> None:
        self._pids = pids()
        self.most_mb = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        import psutil

        while not self._stop.wait(0.1):
            for pid in self._pids:
                # The check before the start is a process of its own, which may just have ended.
                with contextlib.suppress(psutil.NoSuchProcess):
                    self.most_mb = max(self.most_mb, psutil.Process(pid).memory_info().rss / 1e6)

    def stop(self) -> float:
        """Return the most memory that one of the processes had, in MB."""
        self._stop.set()
        self._thread.join()
        return self.most_mb


def measure(contender: PiCloud, name: str) -> bool:
    """Measure one attack on a server of its own; return whether the neighbour can live with it."""
    from cloud._client.current import client

    made = client().keys.create_account("attacker-" + name)
    place = Place(os.environ["PICLOUD_URL"], made.key)
    call_until(_after(2.0))
    quiet = call_until(_after(QUIET_S))
    context = multiprocessing.get_context("spawn")
    begun, ended = context.Event(), context.Event()
    process = context.Process(target=attack, args=(place, name, begun, ended))
    watch = MemoryWatch(contender.server_pids)
    process.start()
    call_until(begun.is_set)
    at = time.monotonic()
    under = call_until(ended.is_set)
    took_s = time.monotonic() - at
    memory_mb = watch.stop()
    process.join()
    before, during = percentile(quiet, 0.95), percentile(under, 0.95)
    holds = during <= RATIO * before and memory_mb <= MEMORY_MB and process.exitcode == 0
    print(
        f"{name:10} {took_s:6.1f} s   p95 {1000 * before:6.1f} -> {1000 * during:7.1f} ms "
        f"({during / before:4.1f} times), slowest {1000 * under[-1]:7.0f} ms of {len(under):5}   "
        f"API {memory_mb:5.0f} MB{'' if holds else '   MISSED'}",
        flush=True,
    )
    return holds


def _after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.neighbour",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("attacks", nargs="*", default=list(ATTACKS), metavar="ATTACK")
    parser.add_argument("--contender", choices=OURS, default="embedded")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    missed = 0
    for name in chosen.attacks:
        contender = OURS[chosen.contender]()
        assert isinstance(contender, PiCloud)
        contender.start()
        try:
            missed += not measure(contender, name)
        finally:
            contender.stop()
    sys.exit(missed > 0)


if __name__ == "__main__":
    main()
