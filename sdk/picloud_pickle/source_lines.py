"""Source lines of functions and classes that travel by value: tracebacks show them in a job.

Code keeps the name of its file, and `linecache` is given the lines that a function or class was
made of. Warnings, profiles and `inspect.getsource` find them there, too.
"""

from __future__ import annotations

import linecache
import sys
from collections import OrderedDict
from functools import cache
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from cloudpickle.cloudpickle import _code_reduce

from picloud_pickle.reference import MAIN

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
_HEAD: Final = "if 1:\n"
"""Such a line before one that is indented: some versions of Python parse the file as a whole."""
_COMMAND: Final = "<string>"

Source = tuple[str, int, str]
"""The name of a file, the number of a first line in it, and the text from there on."""

_class_sources: WeakKeyDictionary[type, Source] = WeakKeyDictionary()
"""Those of classes that have travelled: empty where none is known."""
_received: OrderedDict[str, list[str]] = OrderedDict()
_in_a_job = False


def code_reduced(context: PicklingContext, code: CodeType) -> Any:
    """Return the reduction of a code object: cloudpickle's, but with the name of its file."""
    del context
    kind, arguments = _code_reduce(code)
    at = arguments.index(_NO_FILE)
    return kind, (*arguments[:at], code.co_filename, *arguments[at + 1 :])


def lines_of(context: PicklingContext, function: FunctionType, last: int) -> Source | None:
    """Return the source of a function, unless its class has brought it.

    Args:
        context: The pickler, which counts what was sent so far.
        function: The function.
        last: The number of its last line.
    """
    code = function.__code__
    if context.sent_lines and any(
        begin <= code.co_firstlineno and last <= end
        for begin, end in context.sent_lines.get(code.co_filename, ())
    ):
        return None
    lines = linecache.getlines(code.co_filename, function.__globals__)
    if not lines and code.co_filename == _COMMAND and code in _command()[1]:
        lines = _command()[0]
    first = code.co_firstlineno
    text = "".join(lines[first - 1 : last])[: min(_MOST_CHARACTERS, context.source_room)]
    if not text:
        return None
    context.source_room -= len(text)
    return code.co_filename, first, text


def lines_of_class(context: PicklingContext, kind: type) -> Source | None:
    """Return the source of a class of the script, or of the function that a class is inside.

    Args:
        context: The pickler, which counts what was sent so far.
        kind: The class.
    """
    source = _class_sources.get(kind)
    if source is None:
        source = _class_sources[kind] = _own_source(kind)
    filename, first, text = source
    if not text or len(text) > min(_MOST_CHARACTERS, context.source_room):
        return None
    span = first, first + text.count("\n") - 1
    sent = context.sent_lines.setdefault(filename, [])
    if span in sent:
        return None
    sent.append(span)
    context.source_room -= len(text)
    return source


def _own_source(kind: type) -> Source:
    filename = getattr(sys.modules["__main__"], "__file__", None)
    if _in_a_job or filename is None or kind.__module__ not in MAIN:
        return "", 0, ""
    first, last = _definitions(filename).get(kind.__qualname__.partition(".")[0], (1, 0))
    return filename, first, "".join(linecache.getlines(filename)[first - 1 : last])


def remember_class(kind: type, source: Source) -> None:
    """Have `inspect.getsource` find the source of a class that was loaded."""
    remember(*source)
    _class_sources[kind] = source


@cache
def _definitions(filename: str) -> dict[str, tuple[int, int]]:
    """Return the first and the last line of each function and class of a file, by name."""
    import ast  # noqa: PLC0415 -- only for scripts whose own classes travel

    try:
        waiting: list[ast.AST] = [ast.parse("".join(linecache.getlines(filename)))]
    except (SyntaxError, ValueError):
        return {}
    lines: dict[str, tuple[int, int]] = {}
    while waiting:
        for node in ast.iter_child_nodes(waiting.pop()):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                first = min(node.lineno, *(each.lineno for each in node.decorator_list), 1 << 30)
                lines[node.name] = first, node.end_lineno or first
            elif isinstance(node, ast.stmt):
                waiting.append(node)
    return lines


@cache
def _command() -> tuple[list[str], frozenset[CodeType]]:
    """Return the lines of a program that was given to Python by `-c`, and the code in it."""
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
    if first > 1 and text[:1].isspace() and lines[first - 2] == _UNKNOWN:
        lines[first - 2] = _HEAD
    # Without a time of change it is never compared with a file.
    linecache.cache[filename] = (len(lines), None, lines, filename)
