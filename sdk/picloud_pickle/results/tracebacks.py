"""Tracebacks that travel: each frame with its file, its positions and its source lines.

A traceback that was loaded shows what it showed in the job, also where the file is not on this
machine: lines that were sent are given to `linecache`. Modules that were shipped are named by the
file that they were made of.
"""

from __future__ import annotations

import linecache
from itertools import groupby, islice
from types import CodeType, FrameType, FunctionType, TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from picloud_pickle import source_lines
from picloud_pickle.results import code

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MOST_FRAMES: Final = 100
"""Most frames that travel, of which equal ones that follow each other count as one."""
_MOST_REPEATED: Final = 10_000
_MOST_LINES: Final = 10
_MOST_CHARACTERS: Final = 500
_UNITS: Final = 8
"""Most instructions in an entry of a table of positions."""
_LONG: Final = 14
_WITHOUT_COLUMNS: Final = 13
"""Kinds of entries: https://github.com/python/cpython/blob/3.13/InternalDocs/locations.md"""


class TravellingFrame(NamedTuple):
    """One entry of a traceback, and how often it is repeated.

    `positions` are the first and last line and the first and last column, of which all but the
    first line may be None. `begins` is the line that the function begins in.
    """

    filename: str
    name: str
    module: str | None
    positions: tuple[int, int | None, int | None, int | None]
    source: str
    repeated: int
    begins: int = 1


def reduced(trace: TracebackType) -> tuple[Any, tuple[list[tuple[Any, ...]]]]:
    """Return the reduction of a traceback: plain values, from which `rebuilt` makes it again."""
    frames = [tuple(frame) for frame in _travelling(trace)]
    if len(frames) > _MOST_FRAMES:
        half = _MOST_FRAMES // 2
        frames[half:-half] = []
    return rebuilt, (frames,)


def rebuilt(frames: Sequence[tuple[Any, ...]]) -> TracebackType | None:
    """Return the traceback that `reduced` took apart."""
    trace: TracebackType | None = None
    for values in reversed(frames):
        frame = TravellingFrame(*values)
        made, instruction = _frame(frame)
        for _ in range(min(frame.repeated, _MOST_REPEATED)):
            trace = TracebackType(trace, made, instruction, frame.positions[0])
        if frame.source:
            source_lines.remember(frame.filename, frame.positions[0], frame.source, gap="\n")
    return trace


def _travelling(trace: TracebackType) -> Iterator[TravellingFrame]:
    def key(entry: TracebackType) -> tuple[CodeType, int]:
        return entry.tb_frame.f_code, entry.tb_lasti

    for _, group in groupby(_entries(trace), key):
        entry, *others = group
        frame = entry.tb_frame
        first, last, start, end = _positions(entry)
        lines = linecache.getlines(frame.f_code.co_filename, frame.f_globals)
        shown = "".join(lines[first - 1 : min(last or first, first - 1 + _MOST_LINES)])
        module = frame.f_globals.get("__name__")
        yield TravellingFrame(
            filename=code.TREES.shown_path(frame.f_code.co_filename),
            name=frame.f_code.co_name,
            module=module if isinstance(module, str) else None,
            positions=(first, last, start, end),
            source=shown[:_MOST_CHARACTERS],
            repeated=1 + len(others),
            begins=frame.f_code.co_firstlineno,
        )


def _entries(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _positions(entry: TracebackType) -> tuple[int, int | None, int | None, int | None]:
    positions = islice(entry.tb_frame.f_code.co_positions(), max(0, entry.tb_lasti) // 2, None)
    first, last, start, end = next(positions, (None, None, None, None))
    if first != entry.tb_lineno:
        return entry.tb_lineno or 1, None, None, None
    return first, last, start, end


class _Stop(Exception):
    """Ends a frame that is made to be part of a traceback."""


def _stopped() -> None:
    raise _Stop


def _frame(travelling: TravellingFrame) -> tuple[FrameType, int]:
    """Return a frame, and an instruction in it that has the positions."""
    template = _stopped.__code__
    made = template.replace(
        co_filename=travelling.filename,
        co_name=travelling.name,
        co_qualname=travelling.name,
        co_firstlineno=travelling.begins,
        co_linetable=_line_table(
            len(template.co_code) // 2, travelling.begins, travelling.positions
        ),
    )
    try:
        FunctionType(made, {"_Stop": _Stop, "__name__": travelling.module})()
    except _Stop as stopped:
        trace = stopped.__traceback__
        assert trace is not None
        assert trace.tb_next is not None
        return trace.tb_next.tb_frame, trace.tb_next.tb_lasti
    raise AssertionError


def _line_table(
    units: int, begins: int, positions: tuple[int, int | None, int | None, int | None]
) -> bytes:
    """Return a table that has one position for all of so many code units."""
    first, last, start, end = positions
    kind, numbers = _WITHOUT_COLUMNS, []
    if last is not None and start is not None and end is not None:
        kind, numbers = _LONG, [max(0, last - first), start + 1, end + 1]
    rest = b"".join(map(_number, numbers))
    table, moved = b"", first - begins  # lines count from the entry before
    while units:
        length = min(units, _UNITS)
        line = _number(-moved << 1 | 1 if moved < 0 else moved << 1)
        table += bytes((0x80 | kind << 3 | length - 1,)) + line + rest
        units -= length
        moved = 0
    return table


def _number(value: int) -> bytes:
    """Encode a number in six bits a byte, the lowest first."""
    data = bytearray()
    while value >= 64:  # noqa: PLR2004 - six bits
        data.append(0x40 | value & 63)
        value >>= 6
    data.append(value)
    return bytes(data)
