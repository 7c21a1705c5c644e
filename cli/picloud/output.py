"""What `picloud` prints: data to standard output, everything else to standard error."""

from __future__ import annotations

import json
import sys
import unicodedata
from typing import TYPE_CHECKING, Any, Final, TextIO

from cloud import CloudException
from picloud_model.job import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.table import Table

_HARMFUL: Final = ("Cc", "Cf", "Cs")
"""Control, direction and surrogate characters."""
_STYLES: Final[dict[object, str]] = {
    Status.PROCESSING.value: "cyan",
    Status.DONE: "green",
    Status.ERROR: "red",
    Status.KILLED: "yellow",
    Status.STALLED: "yellow",
}


def clean(text: str) -> str:
    r"""Text whose control and direction characters, which could take over a terminal, are shown.

    >>> clean("red\x1b[31m\tand\u202e on\r\n")
    'red\\x1b[31m\tand\\u202e on\n'
    """
    return "".join(map(_visible, text.replace("\r\n", "\n")))


def _visible(char: str) -> str:
    if char in "\n\t" or unicodedata.category(char) not in _HARMFUL:
        return char
    if 0xDC80 <= ord(char) <= 0xDCFF:  # noqa: PLR2004 - how Python keeps a byte that is no text
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode()


def hint(text: str) -> None:
    """Tell a person something, on standard error."""
    _write(sys.stderr, clean(text) + "\n")


def text(value: str, *, raw: bool = False) -> None:
    """Print text; a pipe gets every character of it, a terminal harmless ones unless `raw`.

    A line that is not ended is, so that what follows begins a line of its own; not so with `raw`.
    """
    shown = clean(value) if sys.stdout.isatty() and not raw else value
    _write(sys.stdout, shown if raw or shown.endswith("\n") else shown + "\n")
    sys.stdout.flush()


def as_json(value: Any) -> None:
    """Print one line of JSON."""
    _write(sys.stdout, json.dumps(value) + "\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows: as a table on a terminal, else with a tab between the columns."""
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            _write(sys.stdout, "\t".join(map(_field, row)) + "\n")
        return
    from rich.console import Console  # noqa: PLC0415 - only terminals wait for rich

    Console().print(rich_table(columns, rows))


def rich_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Rows as rich shows them on a terminal: harmless, as wide as it is, statuses in colours."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - only terminals wait for rich
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    shown = Table(*columns, box=SIMPLE_HEAD, show_edge=False)
    for row in rows:
        shown.add_row(*(Text(clean(str(cell)), style=_style(cell)) for cell in row))
    return shown


def printable(jid: int, value: Any) -> str:
    """A result as text: a string as it is, anything else as JSON.

    Raises:
        CloudException: When it is not JSON.

    >>> printable(1, {"a": [1, None]})
    '{"a": [1, null]}'
    """
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        kind = type(value).__name__
        raise CloudException(
            f"the result is a {kind}, which is no JSON; read it in Python: cloud.result({jid})", jid
        ) from None


def _field(cell: object) -> str:
    """A cell that breaks neither its line nor its column."""
    return " ".join(str(cell).split()) if isinstance(cell, str) else str(cell)


def _style(cell: object) -> str:
    return _STYLES.get(cell, "")


def _write(stream: TextIO, shown: str) -> None:
    """Write text of any kind; bytes that were no text are those bytes again."""
    try:
        stream.write(shown)
    except UnicodeEncodeError:
        stream.flush()
        data = shown.encode("utf-8", "surrogateescape" if _is_from_bytes(shown) else "replace")
        stream.buffer.write(data)


def _is_from_bytes(shown: str) -> bool:
    return all(0xDC80 <= ord(char) <= 0xDCFF for char in shown if 0xD800 <= ord(char) <= 0xDFFF)  # noqa: PLR2004
