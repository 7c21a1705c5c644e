"""Load: hundreds of clients in processes of their own, and the processor time that is spent."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import time
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Seen = TypeVar("Seen")


def until(moment: float) -> float:
    """End at a given time, or at once if that has passed; return when it ended."""
    time.sleep(max(0.0, moment - time.time()))
    return time.time()


def processor_s(pids: Iterable[int]) -> dict[int, float]:
    """Return the processor time that processes have spent so far, in seconds."""
    import psutil

    spent_s = {}
    for pid in pids:
        try:
            spent = psutil.Process(pid).cpu_times()
        except psutil.Error:
            continue
        spent_s[pid] = spent.user + spent.system
    return spent_s


def wake_ups(jids: Sequence[int], processes: int) -> list[float]:
    """Wait for each jid with a client of its own; return the seconds from each job's end, sorted.

    Jobs have to return the time of their end. Clients are plain sockets, because their processor
    time counts as well: they run on the same machine.
    """
    place = os.environ["PICLOUD_URL"], os.environ["PICLOUD_API_KEY"]
    parts = [(*place, list(jids[start::processes])) for start in range(processes)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        return sorted(second for part in pool.starmap(_waiters, parts) for second in part)


def _waiters(url: str, key: str, jids: list[int]) -> list[float]:
    async def all_of_them() -> list[float]:
        return await asyncio.gather(*[_waiter(url, key, jid) for jid in jids])

    return asyncio.run(all_of_them())


async def _waiter(url: str, key: str, jid: int) -> float:
    from picloud_model import wire
    from picloud_model.pack import unseal

    body = wire.encode(wire.WaitRequest(jids=[(jid, jid)], timeout_s=wire.LONGEST_POLL_S))
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(_head("/v1/jobs/wait", key, len(body)).encode() + body)
    answer = await _body(reader)
    arrived = time.time()
    writer.close()
    outcome = wire.decode(answer, wire.Outcomes).outcomes[0]
    assert outcome.payload is not None
    ended: float = pickle.loads(unseal(outcome.payload))
    return arrived - ended


def _head(path: str, key: str, length: int) -> str:
    media = "application/msgpack"
    return (
        f"POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\n"
        f"accept: {media}\r\ncontent-type: {media}\r\ncontent-length: {length}\r\n\r\n"
    )


async def _body(reader: asyncio.StreamReader) -> bytes:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    status, *lines = head.splitlines()
    headers = dict(line.split(": ", 1) for line in lines if ": " in line)
    body = await reader.readexactly(int(headers["content-length"]))
    if " 200" not in status:
        message = f"the server answered {status}: {body[:200]!r}"
        raise RuntimeError(message)
    return body


def between(
    clients: int, seconds: float, look: Callable[[], Seen]
) -> tuple[float, float, Seen, Seen]:
    """Let clients, each in a process, call one after the other, and take samples before and after.

    Returns:
        Calls a second in total, the seconds that they took, and both samples.
    """
    with multiprocessing.get_context("spawn").Pool(clients) as pool:
        pool.map(_calls, [0.5] * clients, chunksize=1)  # everything imported and connected
        before = look()
        start = time.monotonic()
        calls = sum(pool.map(_calls, [seconds] * clients, chunksize=1))
        took = time.monotonic() - start
        return calls / took, took, before, look()


def _calls(seconds: float) -> int:
    import cloud

    from bench.measures import identity

    end, done = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        any_value: Any = cloud.result(cloud.call(identity, done))
        assert any_value == done
        done += 1
    return done
