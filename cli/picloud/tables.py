"""Tables: fitted to a terminal, separated by tabs in a pipe."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.job import Status

from picloud import output

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table
    from rich.text import Text

_STYLES: Final[dict[object, str]] = {
    Status.PROCESSING.value: "cyan",
    Status.DONE.value: "green",
    Status.ERROR.value: "red",
    Status.KILLED.value: "yellow",
    Status.STALLED.value: "yellow",
}
_ORDER: Final = tuple(
    each.value
    for each in (
        Status.DONE,
        Status.ERROR,
        Status.KILLED,
        Status.STALLED,
        Status.PROCESSING,
        Status.QUEUED,
        Status.WAITING,
    )
)
"""The statuses as a bar shows them: what has ended, what runs, what has not begun."""
_NOT_BEGUN: Final = (Status.QUEUED.value, Status.WAITING.value)
_BAR: Final = 10
_BARS_FROM: Final = 72
"""Terminals with fewer columns show counts without a bar."""
_GAP: Final = 2
_LEAST: Final = 8
"""The columns that a cell which may be cut gets at least."""
_ENOUGH: Final = 10
"""Cells are not cut to fewer columns than these in favour of bars."""


class Columns(msgspec.Struct, frozen=True):
    """The columns of a table.

    Cells of `flexible` ones are cut where a terminal is narrow. If that is not enough, `optional`
    ones are left out, the first one first.
    """

    names: tuple[str, ...]
    flexible: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


class StatusCounts(msgspec.Struct, frozen=True):
    """How many jobs of a map have which status.

    >>> str(StatusCounts({"queued": 1200, "done": 3}))
    '3 done, 1,200 queued'
    """

    counts: dict[str, int]

    def __str__(self) -> str:
        shown = [name for name in _ORDER if self.counts.get(name)]
        return ", ".join(f"{self.counts[name]:,} {name}" for name in shown)

    def cells(self, width: int) -> dict[str, int]:
        """Return how many characters of a bar each status gets: one at least.

        >>> StatusCounts({"error": 1, "done": 998, "queued": 1}).cells(10)
        {'done': 8, 'error': 1, 'queued': 1}
        """
        shown = [name for name in _ORDER if self.counts.get(name)]
        total = sum(self.counts[name] for name in shown)
        cells = {name: max(1, self.counts[name] * width // total) for name in shown}
        largest = max(shown, key=self.counts.__getitem__, default="")
        if largest:
            cells[largest] += width - sum(cells.values())
        return cells


def show(columns: Columns, rows: Sequence[Sequence[object]], *, empty: str = "") -> None:
    """Print rows as a table on a terminal, and separated by tabs into a pipe.

    If there are none, standard error says so in the words of `empty`.
    """
    if empty and not rows:
        output.hint(empty)
        if sys.stdout.isatty():
            return
    if not sys.stdout.isatty():
        for row in (columns.names, *rows):
            output.exactly("\t".join(map(_field, row)) + "\n")
        return
    from rich.console import Console  # noqa: PLC0415 - only terminals need rich

    console = Console()
    console.print(fitted(columns, rows, console.width))


def show_fields(known: Mapping[str, object]) -> None:
    """Print what is known of one thing, a row for each field, in words."""
    rows = [(field, in_words(value)) for field, value in known.items()]
    show(Columns(("field", "value"), flexible=("value",)), rows)


def in_words(value: object) -> str:
    """Return a value as people write it, not as Python does.

    >>> [in_words(each) for each in (True, None, [1, 2], [], 7)]
    ['yes', '', '1, 2', '', '7']
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def fitted(columns: Columns, rows: Sequence[Sequence[object]], width: int) -> Table:
    """Return a table for a terminal, with visible escapes and coloured statuses."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - only terminals need rich
    from rich.table import Table  # noqa: PLC0415

    cells = [[_rendered(cell, bars=width >= _BARS_FROM) for cell in row] for row in rows]
    kept, widths, enough = _layout(columns, cells, width)
    if not enough:
        cells = [[_rendered(cell, bars=False) for cell in row] for row in rows]
        kept, widths, _ = _layout(columns, cells, width)
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
    for at in kept:
        table.add_column(columns.names[at], width=widths[at], no_wrap=True, overflow="ellipsis")
    for row in cells:
        table.add_row(*(row[at] for at in kept))
    return table


def _layout(
    columns: Columns, cells: Sequence[Sequence[Text]], width: int
) -> tuple[list[int], list[int], bool]:
    """Return the columns to show, the width of each, and whether what is cut is still readable."""
    natural = [
        max([len(name), *(row[at].cell_len for row in cells)])
        for at, name in enumerate(columns.names)
    ]
    kept, widths = _kept(columns, natural, width), natural.copy()
    _shrink(columns, kept, widths, width)
    return kept, widths, all(widths[at] >= min(natural[at], _ENOUGH) for at in kept)


def _kept(columns: Columns, widths: Sequence[int], width: int) -> list[int]:
    """Return the positions of the columns for which there is room."""
    least = [
        min(natural, _LEAST) if name in columns.flexible else natural
        for name, natural in zip(columns.names, widths, strict=True)
    ]
    kept = list(range(len(widths)))
    for name in columns.optional:
        if sum(least[at] + _GAP for at in kept) - _GAP <= width:
            break
        kept.remove(columns.names.index(name))
    return kept


def _shrink(columns: Columns, kept: Sequence[int], widths: list[int], width: int) -> None:
    """Take columns from the widest cells that may be cut, until the table fits."""
    flexible = [at for at in kept if columns.names[at] in columns.flexible]
    excess = sum(widths[at] + _GAP for at in kept) - _GAP - width
    for _ in range(excess if flexible else 0):
        widest = max(flexible, key=widths.__getitem__)
        widths[widest] = max(1, widths[widest] - 1)


def _rendered(cell: object, *, bars: bool) -> Text:
    from rich.text import Text  # noqa: PLC0415 - only terminals need rich

    if not isinstance(cell, StatusCounts):
        return Text(_field(output.clean(str(cell))), style=_STYLES.get(cell, ""))
    text = Text()
    if bars:
        for name, count in cell.cells(_BAR).items():
            text.append(("░" if name in _NOT_BEGUN else "█") * count, _STYLES.get(name, ""))
        text.append(" ")
    return text.append(str(cell))


def _field(cell: object) -> str:
    """Return a cell without newlines and tabs."""
    return " ".join(str(cell).split()) if isinstance(cell, str) else str(cell)
