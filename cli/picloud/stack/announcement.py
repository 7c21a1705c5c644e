"""What `picloud up` prints about a server that is running."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec
from cloud import CloudException
from cloud._client.client import Client
from cloud._config.configuration import Config
from cloud._http.transport import ServerAddress
from picloud_model.job import State
from picloud_model.ranges import format_jids
from picloud_model.wire import BatchesRequest, ListedBatch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from picloud_driver.stack.addresses import Addresses
    from picloud_model.wire import BatchesListed

    from picloud.stack.server_record import ServerRecord

_UNFINISHED: Final = sorted({state.shown.value for state in State if not state.final})
_KEPT: Final = "a running server keeps its port until it is stopped"
_SHOWN_BATCHES: Final = 5
_MOST_PAGES: Final = 20


def server_lines(record: ServerRecord, data: Path, *, was_running: bool) -> list[str]:
    """Describe a server and the directory of its data."""
    already = "already " if was_running else ""
    return [
        f"PiCloud is {already}running at {record.url}",
        f"  stack    {record.stack.value}",
        f"  data     {data}",
    ]


def port_lines(running: ServerRecord, requested: int | None) -> list[str]:
    """Describe that a running server does not move to the port that was requested, if any was."""
    port = urlsplit(running.url).port
    if not requested or requested == port:
        return []
    return [f"  port     {port}, not {requested}: {_KEPT}"]


def price_lines(requested: Path | None) -> list[str]:
    """Describe that a running server does not read the prices that were requested, if any were."""
    if requested is None:
        return []
    return [f"  prices   {requested} was not read: a running server keeps its prices until it ends"]


def address_lines(data: Path, addresses: Addresses) -> list[str]:
    """Describe where the servers below PiCloud's own have pages, and how to get their tokens."""
    file = data / "stack" / "environment"
    # The file is empty if all servers are external.
    tokens = [f"  tokens   . {shlex.quote(str(file))}"] if file.stat().st_size else []
    return [
        f"  Nomad    {addresses.nomad.page}",
        f"  Consul   {addresses.consul.page}",
        *tokens,
    ]


def job_lines(record: ServerRecord) -> list[str]:
    """Describe which jobs of an earlier time go on; nothing if there are none."""
    client = Client(ServerAddress(record.url, record.key), Config())
    try:
        listed = unfinished(client.batches)
    except CloudException:
        return []  # the server runs: that it cannot list jobs yet is not a failure of `up`
    finally:
        client.close()
    return unfinished_lines(listed)


def unfinished(fetch: Callable[[BatchesRequest], BatchesListed]) -> BatchesListed:
    """Return the newest batches with unfinished jobs, from several pages.

    A page may have none of them although older ones follow: behind many jobs that have ended.

    Args:
        fetch: Returns a page of the list.
    """
    request, batches = BatchesRequest(statuses=_UNFINISHED), list[ListedBatch]()
    for _ in range(_MOST_PAGES):
        page = fetch(request)
        batches += page.batches
        if page.more is None or len(batches) >= request.limit:
            break
        request = msgspec.structs.replace(request, before=page.more)
    return msgspec.structs.replace(page, batches=batches)


def unfinished_lines(listed: BatchesListed) -> list[str]:
    """Describe unfinished jobs.

    Args:
        listed: The newest batches that have such jobs.
    """
    if not listed.batches:
        return []
    count = sum(
        count
        for batch in listed.batches
        for status, count in batch.statuses.items()
        if status in _UNFINISHED
    )
    number = f"At least {count:,}" if listed.more else f"{count:,}"
    jobs = "job goes on" if count == 1 else "jobs go on"
    oldest = list(reversed(listed.batches))[:_SHOWN_BATCHES]
    jids = ", ".join(format_jids(batch.jids) for batch in oldest)
    rest = ", ..." if len(listed.batches) > len(oldest) or listed.more else ""
    return [f"  jobs     {number} unfinished {jobs}: {jids}{rest}"]


def advice_lines(stop: str) -> list[str]:
    """Describe how to use the server, and how to stop it."""
    return [
        "",
        "Try it in Python:",
        "",
        "    import cloud",
        "    jid = cloud.call(pow, 2, 10)",
        "    print(cloud.result(jid))",
        "",
        stop,
    ]
