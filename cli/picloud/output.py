"""What `picloud` prints: data to standard output, everything else to standard error."""

from __future__ import annotations

import json
import sys
import unicodedata
from typing import TYPE_CHECKING, Any

from cloud import CloudException

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def clean(text: str) -> str:
    r"""Text without control and direction characters, which could take over a terminal.

    >>> clean("red\x1b[31m\tand\u202e on\n")
    'red[31m\tand on\n'
    """
    return "".join(
        char for char in text if char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cf")
    )


def hint(text: str) -> None:
    """Tell a person something, on standard error."""
    sys.stderr.write(clean(text) + "\n")


def text(value: str) -> None:
    """Print text; a pipe gets every character of it, a terminal the harmless ones."""
    shown = clean(value) if sys.stdout.isatty() else value
    sys.stdout.write(shown if shown.endswith("\n") else shown + "\n")
    sys.stdout.flush()


def as_json(value: Any) -> None:
    """Print one line of JSON."""
    sys.stdout.write(json.dumps(value, ensure_ascii=sys.stdout.isatty()) + "\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows: as a table on a terminal, else with a tab between the columns."""
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            sys.stdout.write("\t".join(str(cell) for cell in row) + "\n")
        return
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - only terminals wait for rich
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    shown = Table(*columns, box=SIMPLE_HEAD, show_edge=False)
    for row in rows:
        shown.add_row(*(Text(clean(str(cell))) for cell in row))
    Console().print(shown)


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
