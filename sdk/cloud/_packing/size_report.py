"""What a function and its arguments weigh, part by part: the serialization log.

    call of job, 52,411 bytes pickled
      global 'table': 51,800 bytes, dict
        item 'rows': 51,700 bytes, list
      global 'lock': cannot be pickled, lock

Written when `cloud.config.serialize_logging` says so, before anything is sent, so that it is there
also where sending fails.
"""

from __future__ import annotations

import itertools
import operator
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from picloud_model.job import MAX_ARGUMENT_BYTES
from picloud_pickle import pickled

from cloud._packing.pickler import ScanningPickler
from cloud._packing.unpicklable import FAILURES, NAMELESS, parts_of
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from cloud._packing.bundler import Bundle
    from cloud._packing.unpicklable import Part

_DEEPEST: Final = 6
_WIDEST: Final = 20
_HEAVY: Final = 1000
"""Bytes from which on a part is looked into."""
_LIGHT: Final = 100
"""Bytes up to which a part of many is not listed."""
_numbers = itertools.count(1)


def write(
    directory: str,
    kind: str,
    func: Callable[..., object],
    args: Iterable[object],
    kwargs: Mapping[str, object],
) -> Path:
    """Write a log of one call or map, and return its path.

    Args:
        directory: Made if it is missing.
        kind: "call" or "map".
        func: The function.
        args: Its positional arguments; of a map the iterables.
        kwargs: Its keyword arguments.
    """
    name = str(getattr(func, "__qualname__", type(func).__qualname__))
    file = (
        Path(directory) / f"{next(_numbers):04d}-{kind}-{re.sub(r'[^A-Za-z0-9_.]', '', name)}.txt"
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{kind} of {name}", *call_lines(func, args, kwargs)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def call_lines(
    func: Callable[..., object], args: Iterable[object], kwargs: Mapping[str, object]
) -> Iterator[str]:
    """Return the lines about a function and its arguments."""
    named = [(f"argument {at}", value) for at, value in enumerate(args)]
    named += [(f"argument {key!r}", value) for key, value in kwargs.items()]
    return tree([("function", func), *named])


def file_lines(bundle: Bundle) -> list[str]:
    """Return the lines about the files that travel, the largest first, and what is left out."""
    if not bundle.sizes:
        return []
    sizes = sorted(bundle.sizes.items(), key=lambda item: -item[1])
    files = f"{len(sizes)} file{'s' * (len(sizes) != 1)}"
    lines = [f"  files: {sum(bundle.sizes.values()):,} bytes, {files}"]
    lines += [f"    {path}: {size:,} bytes" for path, size in sizes[:_WIDEST]]
    if len(sizes) > _WIDEST:
        lines.append(f"    ... and {len(sizes) - _WIDEST} more")
    return lines + [f"    left out: {what}" for what in bundle.left_out]


def add_files(file: Path, bundle: Bundle) -> None:
    """Add the files that travel with the function, the largest first, and what is left out."""
    with file.open("a", encoding="utf-8") as log:
        log.writelines(f"{line}\n" for line in file_lines(bundle))


def tree(parts: Iterable[Part], depth: int = 1) -> Iterator[str]:
    """Return a line for each part: the heaviest and what cannot be pickled first.

    >>> list(tree([("x", 5)]))
    ['  x: 5 bytes, int']
    """
    weighed = [(_weight(value), name, value) for name, value in itertools.islice(parts, 1000)]
    weighed.sort(key=lambda each: (each[0] is not None, -(each[0] or 0)))
    shown = weighed[:_WIDEST]
    if len(weighed) > _WIDEST:  # of a long list, what weighs little is only counted
        shown = [each for each in shown if each[0] is None or each[0] >= _LIGHT]
    for weight, name, value in shown:
        size = "cannot be pickled" if weight is None else f"{weight:,} bytes"
        yield f"{'  ' * depth}{name}: {size}, {type(value).__qualname__}"
        whole = isinstance(value, str | bytes | bytearray)
        if depth < _DEEPEST and not whole and (weight is None or weight >= _HEAVY):
            yield from tree(parts_of(value), depth + 1)
    if len(weighed) > len(shown):
        yield f"{'  ' * depth}... and {len(weighed) - len(shown):,} more"


def largest(parts: Iterable[Part]) -> str:
    """Name the part that most of the bytes are in, and how many, or nothing if there is none.

    >>> largest([("x", 5), ("y", {"a": "b" * 1000})])
    "y -> item 'a' has 1,018 bytes"
    """
    names, most = [], 0
    for _ in range(_DEEPEST):
        weighed = [
            (_weight(value) or 0, name, value) for name, value in itertools.islice(parts, 1000)
        ]
        weight, name, value = max(weighed, key=operator.itemgetter(0), default=(0, "", None))
        if weight < _HEAVY or weight * 2 < most or name == NAMELESS:
            break
        names.append(name)
        most = weight
        parts = parts_of(value)
    return f"{' -> '.join(names)} has {most:,} bytes" if names else ""


def _weight(value: object) -> int | None:
    try:
        return len(pickled(ScanningPickler(), value)[0])
    except FAILURES:
        return None


def too_large(size: int, limit: int, what: str, parts: Iterable[Part]) -> CloudException:
    """Return the error about a function or arguments that are too large; it names what is."""
    named = largest(parts)
    most = MAX_ARGUMENT_BYTES
    raised = f"Raise cloud.config.max_transmit_data (to {most:,} at most), or read"
    return CloudException(
        f"{what} {size:,} bytes pickled, and the limit is {limit:,}"
        f"{f'; {named}' if named else ''}. {raised if limit < most else 'Read'} the "
        "data in the job: from your bucket (cloud.bucket), a path or a URL, or with "
        "cloud.result from a job that returned it."
    )
