"""Source lines of functions that travel by value: tracebacks show them in a job as at home.

Code keeps the name of its file, and `linecache` is given the lines that a function was made of.
Warnings, profiles and `inspect.getsource` find them there, too.
"""

from __future__ import annotations

import linecache
import sys
from collections import OrderedDict
from functools import cache
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any, Final

from cloudpickle.cloudpickle import _code_reduce

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FunctionType

    from picloud_pickle.reference import PicklingContext

_MOST_CHARACTERS: Final = 20_000
"""Longest source of a function that is sent whole, and of all functions of a pickle together ten
times as much."""
MOST_OF_PICKLE: Final = 10 * _MOST_CHARACTERS
_KEPT_FILES: Final = 64
_NO_FILE: Final = "<dynamic-code>"
_UNKNOWN: Final = "...\n"
"""A line that was not sent: no comment, so that `inspect.getsource` ends a block there."""
_COMMAND: Final = "<string>"

_received: OrderedDict[str, list[str]] = OrderedDict()
_in_a_job = False


def code_reduced(context: PicklingContext, code: CodeType) -> Any:
    """The reduction of a code object: cloudpickle's, but with the name of its file."""
    del context
    kind, arguments = _code_reduce(code)
    at = arguments.index(_NO_FILE)
    return kind, (*arguments[:at], code.co_filename, *arguments[at + 1 :])


def lines_of(
    context: PicklingContext, function: FunctionType, last: int
) -> tuple[str, int, str] | None:
    """The file of a function, the number of its first line, and the text of its lines.

    Args:
        context: The pickler, which counts what was sent so far.
        function: The function.
        last: The number of its last line.
    """
    code = function.__code__
    lines = linecache.getlines(code.co_filename, function.__globals__)
    if not lines and code.co_filename == _COMMAND and code in _command()[1]:
        lines = _command()[0]
    first = code.co_firstlineno
    text = "".join(lines[first - 1 : last])[: min(_MOST_CHARACTERS, context.source_room)]
    if not text:
        return None
    context.source_room -= len(text)
    return code.co_filename, first, text


@cache
def _command() -> tuple[list[str], frozenset[CodeType]]:
    """The lines of a program that was given to Python by `-c`, and the code in it."""
    words = sys.orig_argv
    if "-c" not in words[:-1]:
        return [], frozenset()
    text = words[words.index("-c") + 1]
    try:
        program = compile(text, _COMMAND, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return [], frozenset()
    return text.splitlines(keepends=True), frozenset(_all_code(program))


def _all_code(code: CodeType) -> Iterator[CodeType]:
    yield code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _all_code(const)


def in_a_job() -> None:
    """Have lines that arrive count more than a file of that name here: it may be a newer one."""
    global _in_a_job  # noqa: PLW0603 -- it belongs to the process
    _in_a_job = True


def remember(filename: str, first: int, text: str, gap: str = _UNKNOWN) -> None:
    """Have `linecache` show lines that were loaded.

    Args:
        filename: The file that they are of.
        first: The number of the first line.
        text: The lines.
        gap: What lines before them are that were not loaded.
    """
    lines = _received.get(filename)
    if lines is None:
        if not _in_a_job and (filename in linecache.cache or Path(filename).exists()):
            return
        lines = _received[filename] = []
        if filename == _COMMAND and not _in_a_job and text in "".join(_command()[0]):
            lines += _command()[0]
        if len(_received) > _KEPT_FILES:
            linecache.cache.pop(_received.popitem(last=False)[0], None)
    fresh = text.splitlines(keepends=True)
    end = first - 1 + len(fresh)
    lines += [gap] * (end + 1 - len(lines))
    lines[first - 1 : end] = fresh
    # Without a time of change it is never compared with a file.
    linecache.cache[filename] = (len(lines), None, lines, filename)
