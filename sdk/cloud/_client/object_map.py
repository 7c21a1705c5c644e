"""Maps over data: each job reads a chunk of an object, which never passes through the client."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from cloud._client.current import client
from cloud._resources.object_download import CloudBucketObject, OpenedVersion
from cloud.errors import CloudException, CloudTypeError, CloudValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cloud._jobs.job import Jobs

CHUNK_BYTES: Final = 64 * 1024 * 1024
"""The size of a chunk, unless another one is given."""
LINES: Final = "lines"
"""The one way to split objects: at the ends of lines."""
_LOOK_BYTES: Final = 64 * 1024
_COMPRESSED: Final = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip", ".7z", ".br", ".tgz")
"""Ends of the keys of objects that can only be read from their beginning."""


class ObjectChunk(msgspec.Struct, frozen=True):
    """Bytes `start .. end-1` of one version of an object; what begins there belongs to it."""

    key: str
    etag: str
    start: int
    end: int


def map_lines(
    func: Callable[[CloudBucketObject], Any],
    prefix: str,
    chunk_size: Any,
    split: str | None,
    options: dict[str, Any],
) -> Jobs:
    """Create a job for each chunk of the objects with a prefix; see `cloud.bucket.map`."""
    if split not in (LINES, None):
        raise CloudValueError(f"split must be 'lines' or None, not {split!r:.80}.")
    _check_functions(func=func)
    size = _checked_size(chunk_size)
    chunks = [
        chunk
        for found in client().bucket.objects(prefix)
        for chunk in chunks_of(found.key, found.etag, found.size, size if split else None)
    ]
    if not chunks:
        raise CloudException(f"No object with content begins with {prefix!r:.80}.")
    run = partial(run_on_lines, func) if split else partial(run_on_object, func)
    return client().map(run, chunks, **options)


def map_records(
    name: str,
    mapper: Callable[[Any], Any],
    chunk_size: Any,
    steps: dict[str, Any],
    options: dict[str, Any],
) -> Any:
    """Create a job for each chunk of an object, and one that reduces; see `cloud.files.map`."""
    _check_functions(mapper=mapper, **{name: step for name, step in steps.items() if step})
    reducer = steps.pop("reducer")
    known = client().bucket.info(name)
    chunks = [*chunks_of(name, known.etag, known.size, _checked_size(chunk_size))]
    if not chunks:
        chunks = [ObjectChunk(name, known.etag, 0, 0)]
    jids = client().map(partial(run_on_records, mapper, **steps), chunks, **options)
    if reducer is None:
        return jids
    return client().call(partial(run_reducer, reducer), jids, **{**options, "_depends_on": jids})


def _check_functions(**functions: object) -> None:
    for name, function in functions.items():
        if not callable(function):
            raise CloudTypeError(f"{name} must be a function, not {function!r:.80}.")


def chunks_of(key: str, etag: str, size: int, chunk_size: int | None) -> Iterator[ObjectChunk]:
    """Yield the chunks of an object: one if it is not to be split, or is compressed.

    >>> [(chunk.start, chunk.end) for chunk in chunks_of("a", "", 5, 2)]
    [(0, 2), (2, 4), (4, 5)]
    >>> len([*chunks_of("a.gz", "", 5, 2)])
    1
    """
    if chunk_size is None or key.lower().endswith(_COMPRESSED):
        chunk_size = max(size, 1)
    for start in range(0, size, chunk_size):
        yield ObjectChunk(key, etag, start, min(size, start + chunk_size))


def run_on_lines(func: Callable[[CloudBucketObject], Any], chunk: ObjectChunk) -> Any:
    """Return what a function returns for the lines that begin in a chunk."""
    version = _open(chunk)
    start, end = line_start(version, chunk.start), line_start(version, chunk.end)
    with CloudBucketObject(version, start, end) as lines:
        return func(lines)


def run_on_object(func: Callable[[CloudBucketObject], Any], chunk: ObjectChunk) -> Any:
    """Return what a function returns for a whole object."""
    with CloudBucketObject(_open(chunk), chunk.start, chunk.end) as opened:
        return func(opened)


def run_on_records(
    mapper: Callable[[Any], Any],
    chunk: ObjectChunk,
    *,
    record_reader: Callable[[CloudBucketObject, int], Iterable[Any]] | None,
    combiner: Callable[[Iterator[Any]], Any] | None,
) -> Any:
    """Return what a mapper returns for each record that begins in a chunk, perhaps combined."""
    version = _open(chunk)
    with CloudBucketObject(version, 0, version.object.size) as opened:
        opened.seek(chunk.start)
        records = (record_reader or record_reader_for(b"\n"))(opened, chunk.end)
        values = map(mapper, records)
        return list(values) if combiner is None else combiner(values)


def run_reducer(reducer: Callable[[Iterator[Any]], Any], jids: range) -> Any:
    """Return what a reducer returns for the results of the jobs of a map, in their order."""
    return reducer(iter(client().result(jids)))


def record_reader_for(
    delimiter: bytes,
) -> Callable[[CloudBucketObject, int], Iterator[bytes]]:
    """Return a reader of records that end with a delimiter; see `cloud.files.map`."""

    def read_records(opened: CloudBucketObject, end_byte: int) -> Iterator[bytes]:
        start = opened.tell()
        opened.seek(certain_boundary(opened, delimiter, start))
        for _ in delimited(opened, delimiter, start):
            pass  # a record that began earlier belongs to an earlier chunk
        yield from delimited(opened, delimiter, end_byte)

    return read_records


def certain_boundary(opened: CloudBucketObject, delimiter: bytes, start: int) -> int:
    """Return a position before `start` that is not within a delimiter, read from the beginning.

    A delimiter may overlap itself, as an empty line does in several ones: then only what is before
    all of these shows where one ends.
    """
    length = len(delimiter)
    at = max(0, start - length)
    first = max(0, at - _LOOK_BYTES)
    opened.seek(first)
    known = opened.read(at + length - first)
    while at > 0:
        if at - length < first and first > 0:
            first = max(0, at - _LOOK_BYTES)
            opened.seek(first)
            known = opened.read(at + length - first)
        around = known[max(0, at - length + 1 - first) : at + length - 1 - first]
        if delimiter not in around:
            break
        at -= 1
    return at


def delimited(opened: CloudBucketObject, delimiter: bytes, end_byte: int) -> Iterator[bytes]:
    """Yield the records that begin before a position, without their delimiters."""
    end = delimiter[-1:]
    while opened.tell() < min(end_byte, opened.end()):
        record = bytearray()
        while not record.endswith(delimiter):
            piece = opened.readline() if end == b"\n" else _until(opened, end)
            record += piece
            if not piece:
                break
        yield bytes(record.removesuffix(delimiter))


def _until(opened: CloudBucketObject, end: bytes) -> bytes:
    """Return the bytes up to and including a byte, or some of them."""
    ahead = opened.peek()
    found = ahead.find(end)
    return opened.read(len(ahead) if found < 0 else found + 1) if ahead else b""


def line_start(version: OpenedVersion, position: int) -> int:
    """Return where the first line begins that does not begin before a position."""
    size = version.object.size
    if position <= 0:
        return 0
    at = position - 1
    while at < size:
        block = version.read(at, min(size, at + _LOOK_BYTES))
        newline = block.find(b"\n")
        if newline >= 0:
            return at + newline + 1
        at += len(block)
    return size


def _open(chunk: ObjectChunk) -> OpenedVersion:
    version = client().bucket.open(chunk.key)
    if version.object.etag != chunk.etag:
        raise CloudException(f"The object {chunk.key!r:.200} was replaced since the map was made.")
    return version


def _checked_size(chunk_size: Any) -> int:
    if chunk_size is None:
        return CHUNK_BYTES
    if isinstance(chunk_size, bool) or not isinstance(chunk_size, int) or chunk_size < 1:
        raise CloudValueError(f"chunk_size is a number of bytes from 1 on, not {chunk_size!r:.80}.")
    return chunk_size
