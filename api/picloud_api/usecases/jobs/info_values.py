"""Telling: how what is known of a job is shown to whoever asks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from picloud_model.info import MOST_CHARACTERS, STREAMS, InfoKey
from picloud_model.job import UNDER_LEASE, Cause, State
from picloud_model.page import PAGE_JOBS, Flag, Page

from picloud_api.engine.jobs.locate import PageSlice
from picloud_api.store.records import Header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from picloud_model.wire import Info


class JobView(msgspec.Struct, frozen=True):
    """One job that somebody asked about, and when that was."""

    piece: PageSlice
    index: int
    page: Page
    header: Header
    now: float

    @property
    def jid(self) -> int:
        """Its jid."""
        return self.piece.first + self.index

    @property
    def at(self) -> int:
        """Its index in the batch."""
        return self.piece.page_id.page * PAGE_JOBS + self.index


def told(info: Info, since: Mapping[str, int]) -> tuple[dict[str, str | None], dict[str, int]]:
    """The streams as text, and how many bytes of each have been told with that.

    Args:
        info: What the slot says.
        since: How many bytes of streams are known: only what follows is told.
    """
    texts: dict[str, str | None] = {}
    ends: dict[str, int] = {}
    for key in STREAMS:
        stream = info.streams.get(key.value)
        known = since.get(key.value, 0)
        if stream is None:
            texts[key.value], ends[key.value] = "", known
            continue
        data = stream.data[max(0, known - stream.start) :]
        texts[key.value] = data.decode(errors="replace")[-MOST_CHARACTERS:]
        ends[key.value] = max(known, stream.start + len(stream.data))
    return texts, ends


def pilog(case: JobView, remarks: Sequence[str] = ()) -> str:
    """What the platform did with a job, a line an event.

    Args:
        case: The job; its page and its header know most events.
        remarks: What its slot did after it.
    """
    lines = [f"{_moment(at)} {what}" if at else what for at, what in _events(case)]
    return "".join(f"{line}\n" for line in [*lines, *remarks])


def _events(case: JobView) -> Iterator[tuple[float, str]]:
    page, index, header = case.page, case.index, case.header
    options = header.options
    made = (
        "a call" if header.kind == "call" else f"job {case.at + 1:,} of {header.count:,} of a map"
    )
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
    elif state is State.LEASED:
        yield 0.0, f"leased: attempt {page.attempt[index]} to slot {page.slot[index]:016x}"
    if page.flags[index] & Flag.KILL_REQUESTED:
        yield 0.0, "kill requested by its user"
    if not state.final:
        if state is State.RETRYING or not page.started[index]:
            yield 0.0, f"{state.shown.value}: waits for a slot"
        return
    phrase = Cause(page.cause[index]).phrase
    ran = page.finished[index] - page.started[index] if page.started[index] else 0.0
    after = f" after {ran:.3f} s" if ran > 0 else ""
    yield page.finished[index], f"{state.shown.value}{after}{f': {phrase}' if phrase else ''}"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + "Z"


def _runtime(case: JobView) -> float | None:
    started, finished = case.page.started[case.index], case.page.finished[case.index]
    if not started:
        return None
    if finished:
        return max(0.0, finished - started)
    return max(0.0, case.now - started) if case.page.state[case.index] in UNDER_LEASE else None


def _attributes(case: JobView) -> dict[str, Any]:
    options = msgspec.structs.asdict(case.header.options)
    return {"kind": case.header.kind, "function": case.header.function_name, **options}


def _ports(info: Info) -> dict[str, dict[int, dict[str, Any]]] | None:
    if info.ports is None:
        return None
    return {
        protocol: {port: {"address": info.address, "port": port} for port in ports}
        for protocol, ports in info.ports.items()
    }


OF_INFO: Final[dict[InfoKey, Callable[[Info], Any]]] = {
    InfoKey.PROFILE: lambda info: info.profile,
    InfoKey.CPU_USER: lambda info: info.user_s,
    InfoKey.CPU_SYSTEM: lambda info: info.system_s,
    InfoKey.CPU_PERCENTAGE: lambda info: info.cpu_percentage,
    InfoKey.MEMORY_USAGE: lambda info: info.memory_bytes,
    InfoKey.MEMORY_PEAK: lambda info: info.peak_bytes,
    InfoKey.SWAP_USAGE: lambda info: info.swap_bytes,
    InfoKey.PORTS: _ports,
    InfoKey.SAMPLES: lambda info: [msgspec.structs.astuple(each) for each in info.samples],
}
"""How what a slot tells is shown."""
OF_BATCH: Final[dict[InfoKey, Callable[[JobView], Any]]] = {
    InfoKey.RUNTIME: _runtime,
    InfoKey.STATUS: lambda case: case.page.shown(case.index).value,
    InfoKey.CREATED: lambda case: case.header.created_at,
    InfoKey.FINISHED: lambda case: case.page.finished[case.index] or None,
    InfoKey.ENV: lambda case: getattr(case.header.options, "env", None),
    InfoKey.VOL: lambda case: list(getattr(case.header.options, "vols", ())),
    InfoKey.FUNCTION: lambda case: case.header.function_name,
    InfoKey.LABEL: lambda case: case.header.options.label,
    InfoKey.ATTRIBUTES: _attributes,
    # Nothing here measures these yet: slots have no control group of their own.
    InfoKey.SYSLOG: lambda _: None,
    InfoKey.MEMORY_FAILURES: lambda _: None,
    InfoKey.SWAP_PEAK: lambda _: None,
    InfoKey.DISK_USAGE: lambda _: None,
}
"""How what the server knows by itself is shown."""
