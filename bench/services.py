"""What is measured of services: published functions, and functions on a schedule."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.contenders.contender import Contender, Service

_CALLS: Final = 300
_CONNECTIONS: Final = 8
_LOAD_S: Final = 5.0
_CRONS: Final = 1000
_IDLE_S: Final = 30.0
"""As long as the leader takes to read all cron jobs again."""
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def nothing() -> None:
    """Do nothing: a function that is published, or on a schedule."""


def invoke(contender: Any) -> dict[str, float]:
    """How long a warm call of a published no-op takes, also in plain calls; taking turns."""
    cloud = contender.cloud
    cloud.rest.publish(nothing, "nothing", warm=1)
    calls: dict[str, Callable[[], Any]] = {
        "invoke": lambda: cloud.rest.invoke("nothing", _wait=60),
        "call": lambda: cloud.result(cloud.call(nothing)),
    }
    took: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(_CALLS + 50):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            took[name].append((time.perf_counter() - start) * 1000)
    medians = {name: statistics.median(times[50:]) for name, times in took.items()}
    return {"invoke": medians["invoke"], "invoke_calls": medians["invoke"] / medians["call"]}


def requests(contender: Contender) -> dict[str, float]:
    """Requests a second to a no-op behind a URL, over eight connections."""
    service = contender.publish(nothing)
    asyncio.run(_load(service, 1.0))
    start = time.perf_counter()
    done = asyncio.run(_load(service, _LOAD_S))
    return {"requests": done / (time.perf_counter() - start)}


def crons(contender: Any) -> dict[str, float]:
    """What 1,000 cron jobs cost while none is due, and how late they are if all are at once."""
    cloud = contender.cloud
    contender.map(nothing_of, range(100))
    before = _processor_share(contender.server_pids())
    for number in range(_CRONS):
        cloud.cron.register(nothing, f"job-{number}", "0 0 29 2 *")
    registered = _processor_share(contender.server_pids())
    begun = time.time()
    due_at = (begun // 60 + (2 if begun % 60 > 30 else 1)) * 60
    schedule = time.strftime("%M %H * * *", time.gmtime(due_at))
    for number in range(_CRONS):
        cloud.cron.register(nothing, f"job-{number}", schedule)
    if time.time() >= due_at:
        message = "not all cron jobs were registered in time"
        raise ValueError(message)
    time.sleep(due_at + 10 - time.time())  # what looks at them would take their processor
    jids = [each["last_jid"] for each in cloud.cron.infos()]
    if None in jids or len(jids) != _CRONS:
        message = "not all cron jobs had run 10 s after they were due"
        raise ValueError(message)
    created = [each["created"].timestamp() for each in cloud.info(jids, "created").values()]
    late = sorted(at - due_at for at in created)
    return {"cron_share": registered - before, "cron_late": late[_CRONS * 99 // 100]}


def nothing_of(argument: Any) -> None:
    """Do nothing with an argument."""
    del argument


def _processor_share(pids: Sequence[int]) -> float:
    """Return how much of a processor some processes take while nothing is asked, in percent."""
    time.sleep(2)
    start, before = time.perf_counter(), _processor_s(pids)
    time.sleep(_IDLE_S)
    return 100 * (_processor_s(pids) - before) / (time.perf_counter() - start)


def _processor_s(pids: Sequence[int]) -> float:
    """Return the seconds of a processor that some processes have taken."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


async def _load(service: Service, seconds: float) -> int:
    """Send requests over all connections for some time; return how many were answered."""
    place = urlsplit(service.url)
    lines = [
        f"POST {place.path or '/'} HTTP/1.1",
        f"Host: {place.netloc}",
        "Content-Length: 0",
        "Prefer: wait=30",
    ]
    if service.login:
        lines.append(f"Authorization: Basic {b64encode(service.login.encode()).decode()}")
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()
    deadline = time.perf_counter() + seconds

    async def one() -> int:
        done = 0
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        while time.perf_counter() < deadline:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if b" 200 " not in head.partition(b"\r\n")[0]:
                raise ValueError(head.decode("latin-1"))
            await _skip_body(reader, head)
            done += 1
        writer.close()
        return done

    return sum(await asyncio.gather(*(one() for _ in range(_CONNECTIONS))))


async def _skip_body(reader: asyncio.StreamReader, head: bytes) -> None:
    """Read what follows the head of an answer, by its length or in chunks."""
    _, _, length = head.partition(b"content-length:")
    if length:
        await reader.readexactly(int(length.split(b"\r\n")[0]))
        return
    while size := int((await reader.readline()).strip(), 16):
        await reader.readexactly(size + 2)
    await reader.readline()
