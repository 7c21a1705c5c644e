"""Printing: data to standard output, everything else to standard error."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import textwrap
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from cloud import CloudException
from cloud._config.settings import environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HARMFUL: Final = ("Cc", "Cf", "Cs")
"""Control, direction and surrogate characters."""


def open_closed_streams() -> None:
    """Open streams in place of those that the parent has closed; what is written there is lost."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115


def clean(text: str) -> str:
    r"""Return text with visible escapes for characters that could control a terminal.

    >>> clean("red\x1b[31m\tand\u202e on\r\n")
    'red\\x1b[31m\tand\\u202e on\n'
    """
    return "".join(map(_visible, text.replace("\r\n", "\n")))


def _visible(char: str) -> str:
    if char in "\n\t" or unicodedata.category(char) not in _HARMFUL:
        return char
    if 0xDC80 <= ord(char) <= 0xDCFF:  # noqa: PLR2004 - how Python keeps a byte that is not text
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode()


def names(found: Iterable[str], *, empty: str) -> None:
    """Print names, one in a line; if there are none, standard error says so in these words."""
    for name in found:
        text(name)
        empty = ""
    if empty:
        hint(empty)


def hint(text: str) -> None:
    """Print a message for people to standard error; on a terminal broken between words."""
    lines = clean(text).split("\n")
    if sys.stderr.isatty():
        columns = shutil.get_terminal_size().columns
        lines = [wrapped(line, columns) for line in lines]
    _write(sys.stderr, "\n".join(lines) + "\n")


def warn(message: Warning | str, *_place: object, **_text: object) -> None:
    """Print a warning of Python to standard error, without its place in the code."""
    hint(f"warning: {message}")


def error(text: str) -> None:
    """Print an error to standard error; on a terminal in colour, and broken between words."""
    text = clean(text)
    if not sys.stderr.isatty():
        _write(sys.stderr, f"error: {text}\n")
        return
    first, newline, rest = f"error: {text}".partition("\n")
    first = wrapped(first, shutil.get_terminal_size().columns).removeprefix("error:")
    prefix = "error:" if environment().get("NO_COLOR") else "\x1b[31merror:\x1b[0m"
    _write(sys.stderr, f"{prefix}{first}{newline}{rest}\n")


def wrapped(text: str, width: int) -> str:
    r"""Return a line broken between words, where possible, to lines of at most `width` characters.

    >>> wrapped("start it with cloud.start_simulator()", 28)
    'start it with\ncloud.start_simulator()'
    """
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)


def text(value: str, *, raw: bool = False) -> None:
    """Print text: unchanged into a pipe, with visible escapes on a terminal unless `raw`.

    Without `raw` a missing newline is added at the end.
    """
    shown = clean(value) if sys.stdout.isatty() and not raw else value
    _write(sys.stdout, shown if raw or shown.endswith("\n") else shown + "\n")


def as_csv(rows: Iterable[Iterable[object]]) -> None:
    """Print rows as CSV, for a pipe or a file."""
    import csv  # noqa: PLC0415 - every command loads this module
    import io  # noqa: PLC0415 - as above

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    exactly(text.getvalue())


def exactly(value: str | bytes) -> None:
    """Print text or bytes as they are, for a pipe or a file."""
    if isinstance(value, str):
        _write(sys.stdout, value)
        return
    with disk_errors():
        sys.stdout.flush()
        sys.stdout.buffer.write(value)
        sys.stdout.flush()


def as_json(value: Any) -> None:
    """Print one line of JSON."""
    _write(sys.stdout, json.dumps(value) + "\n")


def printable(value: Any) -> str:
    """Return a value as text: a string unchanged, as JSON if it has any, else as Python shows it.

    >>> printable({"a": [1, None]}), printable({1, 2}), printable(float("nan"))
    ('{"a": [1, null]}', '{1, 2}', 'nan')
    """
    if isinstance(value, str):
        return value
    return to_json(value) or repr(value)


def to_json(value: Any) -> str | None:
    """Return a value as JSON, or None if it has no such form.

    >>> to_json([1.5, "ä"]), to_json({1, 2})
    ('[1.5, "ä"]', None)
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None


def _write(stream: TextIO, text: str) -> None:
    """Write any text; bytes that were decoded as surrogates are written as those bytes.

    Raises:
        CloudException: When it cannot be written, as on a full disk.
    """
    with disk_errors():
        try:
            stream.write(text)
        except UnicodeEncodeError:
            stream.flush()
            data = text.encode("utf-8", "surrogateescape" if _is_from_bytes(text) else "replace")
            stream.buffer.write(data)
        stream.flush()


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Raise what prevents writing as an error of the command line; a closed pipe is none."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CloudException(f"Cannot write the output: {error.strerror}.") from error


def _is_from_bytes(text: str) -> bool:
    return all(0xDC80 <= ord(char) <= 0xDCFF for char in text if 0xD800 <= ord(char) <= 0xDFFF)  # noqa: PLR2004
