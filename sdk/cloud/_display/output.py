"""The output of jobs, printed while they run: `cloud.config.stream_output`."""

from __future__ import annotations

import sys
from threading import Lock
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.info import InfoKey
from picloud_model.job import ENDED, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Protocol, TextIO

    from picloud_model.wire import JobInfo

    class OutputSource(Protocol):
        """Where the output of jobs comes from."""

        def status(self, jids: Sequence[int]) -> list[str]:
            """Return the statuses of jobs."""

        def streams(self, jids: Sequence[int], since: Mapping[str, int]) -> Iterable[JobInfo]:
            """Return what jobs wrote to their streams after these byte offsets."""


MOST_JOBS: Final = 10_000
"""Of longer maps nothing is printed."""
MOST_AT_ONCE: Final = 32
"""Running jobs whose output is requested one by one in a round."""
_STREAMS: Final = (InfoKey.STDOUT.value, InfoKey.STDERR.value)
_START: Final = dict.fromkeys(_STREAMS, 0)


class _Printed(msgspec.Struct):
    """Up to where the streams of a job are printed, and the lines that have no end yet."""

    ends: dict[str, int]
    partial: dict[str, str]


class JobOutput:
    """Prints what jobs write to stdout and stderr, from where it was printed last.

    Args:
        jids: The jobs. If there are several, each line begins with the jid.
        source: Where the output comes from.
    """

    def __init__(self, jids: Sequence[int], source: OutputSource) -> None:
        self._source = source
        self._several = len(jids) > 1
        self._open = dict.fromkeys(jids)
        self._begun: dict[int, _Printed] = {}
        self._turn = 0
        self._finished = False
        self._lock = Lock()

    def print_new(self) -> None:
        """Print what jobs have written since the last call; nothing once `finish` was called.

        Raises:
            CloudException: When the server does not answer.
        """
        for info in self._new():
            with self._lock:
                if self._finished:
                    return
                self._print(info)

    def leave_out(self, silent: Iterable[int]) -> None:
        """Request no output of jobs that have ended and have printed nothing."""
        for jid in silent:
            self._open.pop(jid, None)

    def finish(self) -> None:
        """Print what is left of the output of jobs that have ended.

        Another thread may be in `print_new`, waiting for the server: it no longer prints anything.

        Raises:
            CloudException: When the server does not answer.
        """
        with self._lock:
            self._finished = True
        for info in self._new():
            self._print(info)
        for jid, printed in self._begun.items():
            self._end_lines(jid, printed)

    def _new(self) -> Iterator[JobInfo]:
        """Yield what jobs have written; at the end only of those that have ended."""
        if self._finished and len(self._open) <= MOST_AT_ONCE:
            # What tells the output of few jobs tells their statuses, too.
            infos = self._following([*self._open])
            yield from (info for info in infos if info.values[InfoKey.STATUS.value] in ENDED)
            return
        statuses = self._statuses()
        ended = [jid for jid, status in statuses.items() if status in ENDED]
        running = [jid for jid, status in statuses.items() if status == Status.PROCESSING]
        wanted = ended if self._finished else ended + running
        begun = [jid for jid in wanted if jid in self._begun]
        if not self._finished:
            turn = self._turn % max(1, len(begun))
            self._turn = turn + MOST_AT_ONCE
            begun = (begun[turn:] + begun[:turn])[:MOST_AT_ONCE]
        yield from self._following([jid for jid in wanted if jid not in self._begun] + begun)

    def _following(self, jids: Sequence[int]) -> Iterator[JobInfo]:
        """Yield what jobs have written since it was printed last."""
        begun = [jid for jid in jids if jid in self._begun]
        if fresh := [jid for jid in jids if jid not in self._begun]:
            yield from self._source.streams(fresh, _START)
        for jid in begun:
            yield from self._source.streams([jid], self._begun[jid].ends)

    def _statuses(self) -> dict[int, str]:
        jids = [*self._open]
        return dict(zip(jids, self._source.status(jids), strict=True)) if jids else {}

    def _print(self, info: JobInfo) -> None:
        printed = self._begun.get(info.jid)
        if printed is None:
            printed = self._begun[info.jid] = _Printed(dict(_START), dict.fromkeys(_STREAMS, ""))
        for stream in _STREAMS:
            text = info.values.get(stream) or ""
            if text:
                self._write(info.jid, stream, printed, text)
        printed.ends = dict(info.ends)
        if info.values[InfoKey.STATUS.value] in ENDED:
            self._end_lines(info.jid, printed)
            self._open.pop(info.jid, None)

    def _write(self, jid: int, stream: str, printed: _Printed, text: str) -> None:
        if not self._several:
            printed.partial[stream] = "" if text.endswith("\n") else text[-1:]
            _emit(stream, text)
            return
        *lines, printed.partial[stream] = (printed.partial[stream] + text).split("\n")
        _emit(stream, "".join(f"[{jid}] {line}\n" for line in lines))

    def _end_lines(self, jid: int, printed: _Printed) -> None:
        for stream, rest in printed.partial.items():
            if rest:
                _emit(stream, f"[{jid}] {rest}\n" if self._several else "\n")
        printed.partial = dict.fromkeys(_STREAMS, "")


def _emit(stream: str, text: str) -> None:
    target: TextIO | None = sys.stderr if stream == InfoKey.STDERR else sys.stdout
    if target is not None:
        target.write(text)
        target.flush()
