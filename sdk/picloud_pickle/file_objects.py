"""Open files: the content of a file on disk that is open for reading travels, with its position.

It arrives as an `io.StringIO` or `io.BytesIO` with the `name` of the file, which `csv`, `json` or a
`for` loop read like the file.
"""

from __future__ import annotations

import io
import os
import stat
import sys
from typing import Any, Final

from picloud_model.job import MAX_ARGUMENT_BYTES

from picloud_pickle.reference import Unsendable

_ON_DISK: Final = (
    io.TextIOWrapper,
    io.BufferedReader,
    io.BufferedWriter,
    io.BufferedRandom,
    io.FileIO,
)
"""What `open()` returns. Other streams either pickle themselves or fail by themselves."""
_VIRTUAL: Final = ("/proc", "/sys")


def reduced(stream: Any) -> Any:
    """Return the reduction of a stream.

    Args:
        stream: Any instance of `io.IOBase`.

    Returns:
        A reduction to a stand-in, or NotImplemented for streams that need none.

    Raises:
        Unsendable: When it is open for writing, no file on disk, or too large.
    """
    for name in ("stdout", "stderr"):
        if stream is getattr(sys, name):
            return getattr, (sys, name)
    if type(stream) not in _ON_DISK:
        return NotImplemented
    _check(stream)
    attributes = {"name": stream.name, "mode": getattr(stream, "mode", "r")}
    # The states are those io's own classes pickle themselves with.
    if isinstance(stream, io.TextIOWrapper):
        text, position = _text(stream)
        return io.StringIO, (), (text, "\n", position, attributes)
    content, position = _binary(stream)
    return io.BytesIO, (), (content, position, attributes)


def _check(stream: Any) -> None:
    if stream.closed:
        raise Unsendable("is a closed file; open it for reading")
    if stream.writable():
        raise Unsendable("is a file open for writing; open it for reading only, as in open(name)")
    try:
        number = stream.fileno()
    except OSError:
        raise Unsendable("is not a file on disk; send its content instead") from None
    status = os.fstat(number)
    if number == 0 or not stat.S_ISREG(status.st_mode):
        raise Unsendable("is standard input, a pipe or a device; send what you read from it")
    if _is_virtual(stream.name, status):
        raise Unsendable("is a virtual file of this machine; send what you read from it")
    if status.st_size > MAX_ARGUMENT_BYTES:
        raise Unsendable(
            f"is a file of {status.st_size / 1e6:.0f} MB, and at most "
            f"{MAX_ARGUMENT_BYTES / 1e6:.0f} MB travel with a job; put it into your bucket"
        )


def _is_virtual(name: object, status: os.stat_result) -> bool:
    if isinstance(name, str) and os.path.realpath(name).startswith(
        tuple(f"{root}{os.sep}" for root in _VIRTUAL)
    ):
        return True
    return any(
        os.path.isdir(root) and os.stat(root).st_dev == status.st_dev  # noqa: PTH112, PTH116
        for root in _VIRTUAL
    )


def _text(stream: io.TextIOWrapper) -> tuple[str, int]:
    """All of a text file, and how many characters of it were read."""
    try:
        position = stream.tell()
    except OSError:
        raise Unsendable("is a file that a for loop is reading; finish the loop first") from None
    try:
        # tell() of a text file is not a count of characters, so count the characters after it.
        rest = len(stream.read())
        stream.seek(0)
        content = stream.read()
    except UnicodeDecodeError as error:
        raise Unsendable(
            f"is a text file that does not decode ({error}); open it as 'rb'"
        ) from None
    finally:
        stream.seek(position)
    return content, len(content) - rest


def _binary(stream: Any) -> tuple[bytes, int]:
    position = stream.tell()
    try:
        stream.seek(0)
        return stream.read(), position
    finally:
        stream.seek(position)
