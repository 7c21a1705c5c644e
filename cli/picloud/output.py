"""Printing: data to standard output, everything else to standard error."""

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
    r"""Return text with visible escapes for characters that could control a terminal.

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
    """Print a message for people to standard error."""
    _write(sys.stderr, clean(text) + "\n")


def text(value: str, *, raw: bool = False) -> None:
    """Print text: unchanged into a pipe, with visible escapes on a terminal unless `raw`.

    Without `raw` a missing newline is added at the end.
    """
    shown = clean(value) if sys.stdout.isatty() and not raw else value
    _write(sys.stdout, shown if raw or shown.endswith("\n") else shown + "\n")
    sys.stdout.flush()


def exactly(value: str | bytes) -> None:
    """Print text or bytes as they are, for a pipe or a file."""
    if isinstance(value, bytes):
        sys.stdout.flush()
        sys.stdout.buffer.write(value)
    else:
        _write(sys.stdout, value)
    sys.stdout.flush()


def as_json(value: Any) -> None:
    """Print one line of JSON."""
    _write(sys.stdout, json.dumps(value) + "\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows as a table on a terminal, and separated by tabs into a pipe."""
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            _write(sys.stdout, "\t".join(map(_field, row)) + "\n")
        return
    from rich.console import Console  # noqa: PLC0415 - only terminals need rich

    Console().print(rich_table(columns, rows))


def rich_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Return a table for a terminal, with visible escapes and coloured statuses."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - only terminals need rich
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    shown = Table(*columns, box=SIMPLE_HEAD, show_edge=False)
    for row in rows:
        shown.add_row(*(Text(clean(str(cell)), style=_style(cell)) for cell in row))
    return shown


def printable(jid: int, value: Any) -> str:
    """Return a result as text: a string unchanged, any other value as JSON.

    Raises:
        CloudException: When the value has no JSON representation.

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
    """Return a cell without newlines and tabs."""
    return " ".join(str(cell).split()) if isinstance(cell, str) else str(cell)


def _style(cell: object) -> str:
    return _STYLES.get(cell, "")


def _write(stream: TextIO, text: str) -> None:
    """Write any text; bytes that were decoded as surrogates are written as those bytes."""
    try:
        stream.write(text)
    except UnicodeEncodeError:
        stream.flush()
        data = text.encode("utf-8", "surrogateescape" if _is_from_bytes(text) else "replace")
        stream.buffer.write(data)


def _is_from_bytes(text: str) -> bool:
    return all(0xDC80 <= ord(char) <= 0xDCFF for char in text if 0xD800 <= ord(char) <= 0xDFFF)  # noqa: PLR2004
