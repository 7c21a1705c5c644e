"""Info values: formats what is known of a job for replies to `info`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from picloud_model.info import MOST_CHARACTERS, STREAMS, InfoKey
from picloud_model.job import UNDER_LEASE, Cause, State
from picloud_model.page import PAGE_JOBS, Flag, Page

from picloud_api.engine.jobs.locate import PageSlice
from picloud_api.store.records import Header
from picloud_api.usecases.accounts.price import PriceHistory, cost, full_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from picloud_model.wire import Info


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """One job of a request, with its page and header, and the time of the request.

    `prices` are read if the request is for its cost.
    """

    piece: PageSlice
    index: int
    page: Page
    header: Header
    now: float
    prices: PriceHistory | None = None

    @property
    def jid(self) -> int:
        """The job's jid."""
        return self.piece.first + self.index

    @property
    def at(self) -> int:
        """The job's index in its batch."""
        return self.piece.page_id.page * PAGE_JOBS + self.index


def stream_texts(
    info: Info, since: Mapping[str, int]
) -> tuple[dict[str, str | None], dict[str, int]]:
    """Return the streams as text, and up to which byte the texts go.

    Args:
        info: What the slot reported.
        since: How many bytes of each stream the client has; the texts begin after them.
    """
    texts: dict[str, str | None] = {}
    ends: dict[str, int] = {}
    for key in STREAMS:
        stream = info.streams.get(key.value)
        start = since.get(key.value, 0)
        if stream is None:
            texts[key.value], ends[key.value] = "", start
            continue
        data = stream.data[max(0, start - stream.start) :]
        texts[key.value] = data.decode(errors="replace")[-MOST_CHARACTERS:]
        ends[key.value] = max(start, stream.start + len(stream.data))
    return texts, ends


def pilog(job: JobView, remarks: Sequence[str] = ()) -> str:
    """Return what the platform did with a job, one line for each event.

    Args:
        job: The job; its page and its header record most events.
        remarks: What its slot did after the job ended.
    """
    lines = [f"{_moment(at)} {what}" if at else what for at, what in _events(job)]
    return "".join(f"{line}\n" for line in [*lines, *remarks])


def _events(job: JobView) -> Iterator[tuple[float, str]]:
    page, index, header = job.page, job.index, job.header
    options = header.options
    made = "a call" if header.kind == "call" else f"job {job.at + 1:,} of {header.count:,} of a map"
    cores = f"{options.cores} {'core' if options.cores == 1 else 'cores'} of {options.core_type}"
    yield (
        header.created_at,
        f"created: {made} of {header.function_name}, for {cores}, priority {options.priority}",
    )
    state = State(page.state[index])
    if page.losses[index]:
        yield 0.0, f"lost: {page.losses[index]} of its attempts, each with its slot"
    if page.started[index]:
        where = f" on slot {page.slot[index]:016x}" if page.slot[index] else ""
        yield page.started[index], f"begun: attempt {page.attempt[index]}{where}"
    elif state in UNDER_LEASE:
        yield 0.0, f"leased: attempt {page.attempt[index]} to slot {page.slot[index]:016x}"
    if page.flags[index] & Flag.KILL_REQUESTED:
        yield 0.0, "kill requested by its user"
    if not state.final:
        if state not in UNDER_LEASE:
            yield 0.0, f"{state.shown.value}: waits for a slot"
        return
    phrase = Cause(page.cause[index]).phrase
    ran = page.finished[index] - page.started[index] if page.started[index] else 0.0
    after = f" after {ran:.3f} s" if ran > 0 else ""
    yield page.finished[index], f"{state.shown.value}{after}{f': {phrase}' if phrase else ''}"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + "Z"


def _cost(job: JobView) -> float | None:
    options, runtime_ms = job.header.options, job.page.runtime_ms(job.index, job.now)
    if job.prices is None:
        return None
    where = full_name(job.piece.page_id.account, options.env)
    price = job.prices.price(options.core_type, where, job.header.created_at)
    return cost(price, runtime_ms * options.cores)


def _attributes(job: JobView) -> dict[str, Any]:
    options = msgspec.structs.asdict(job.header.options)
    return {"kind": job.header.kind, "function": job.header.function_name, **options}


def _rows(values: Sequence[msgspec.Struct]) -> list[tuple[Any, ...]]:
    return [msgspec.structs.astuple(each) for each in values]


OF_INFO: Final[dict[InfoKey, Callable[[Info], Any]]] = {
    InfoKey.PROFILE: lambda info: info.profile,
    InfoKey.PROFILE_CALLS: lambda info: _rows(info.calls),
    InfoKey.CPU_USER: lambda info: info.user_s,
    InfoKey.CPU_SYSTEM: lambda info: info.system_s,
    InfoKey.CPU_PERCENTAGE: lambda info: info.cpu_percentage,
    InfoKey.MEMORY_USAGE: lambda info: info.memory_bytes,
    InfoKey.MEMORY_PEAK: lambda info: info.peak_bytes,
    InfoKey.MEMORY_FAILURES: lambda info: info.memory_failures,
    InfoKey.SWAP_USAGE: lambda info: info.swap_bytes,
    InfoKey.SWAP_PEAK: lambda info: info.peak_swap_bytes,
    InfoKey.DISK_USAGE: lambda info: info.disk_bytes,
    InfoKey.NETWORK_RECEIVED: lambda info: info.network_bytes and info.network_bytes[0],
    InfoKey.NETWORK_SENT: lambda info: info.network_bytes and info.network_bytes[1],
    InfoKey.SYSLOG: lambda info: info.syslog,
    InfoKey.PROGRESS: lambda info: info.progress,
    InfoKey.SAMPLES: lambda info: _rows(info.samples),
}
"""How each value that a slot reports is shown."""
OF_BATCH: Final[dict[InfoKey, Callable[[JobView], Any]]] = {
    InfoKey.RUNTIME: lambda job: job.page.runtime_s(job.index, job.now),
    InfoKey.COST: _cost,
    InfoKey.STATUS: lambda job: job.page.shown(job.index).value,
    InfoKey.CAUSE: lambda job: Cause(job.page.cause[job.index]).phrase or None,
    InfoKey.CREATED: lambda job: job.header.created_at,
    InfoKey.FINISHED: lambda job: job.page.finished[job.index] or None,
    InfoKey.ENV: lambda job: getattr(job.header.options, "env", None),
    InfoKey.VOL: lambda job: list(getattr(job.header.options, "vols", ())),
    InfoKey.FUNCTION: lambda job: job.header.function_name,
    InfoKey.LABEL: lambda job: job.header.options.label,
    InfoKey.PARENT: lambda job: job.header.parent or None,
    InfoKey.DEPENDS_ON: lambda job: job.header.depends_on,
    InfoKey.ATTRIBUTES: _attributes,
}
"""How each value that the server records itself is shown."""
