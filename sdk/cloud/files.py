"""`cloud.files`: the older name of the store that `cloud.bucket` is.

    cloud.files.put("names.txt")
    cloud.files.get("names.txt", "names2.txt")

A file that one of the two has stored is there for the other. Use `cloud.bucket` in new programs.
"""

from __future__ import annotations

import builtins  # noqa: TC003 - `list` has another meaning here
import logging
from typing import TYPE_CHECKING, Any

from cloud import bucket
from cloud._config.border import of_users
from cloud.bucket import CloudBucketObject as CloudFile
from cloud.errors import CloudException, CloudValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = [
    "CloudFile",
    "default_record_reader",
    "delete",
    "exists",
    "get",
    "get_md5",
    "getf",
    "list",
    "map",
    "put",
    "putf",
    "sync_from_cloud",
    "sync_to_cloud",
]

_log = logging.getLogger(__name__)


@of_users
def put(source: Any, name: str | None = None) -> None:
    """Store a file.

    Args:
        source: The file on this machine.
        name: The name of the stored file; by default that of `source`.

    Raises:
        CloudException: When it cannot be read, or the server refuses it.

    >>> from pathlib import Path
    >>> size = Path("names.txt").write_text("Ada")
    >>> cloud.files.put("names.txt")
    >>> cloud.files.exists("names.txt")
    True
    """
    bucket.put(source, name)


@of_users
def putf(f: Any, name: str) -> None:
    """Store text (as UTF-8), bytes, or what an open file has from its position on.

    Args:
        f: The text, the bytes, or the file.
        name: The name of the stored file.

    Raises:
        CloudException: When the server refuses it.

    >>> cloud.files.putf("Ada", "names.txt")
    >>> cloud.files.getf("names.txt").read()
    b'Ada'
    """
    bucket.putf(f, name)


@of_users
def sync_to_cloud(source: Any, name: str | None = None) -> None:
    """Store a file, unless the stored file has the same bytes already.

    Args:
        source: The file on this machine.
        name: The name of the stored file; by default that of `source`.

    Raises:
        CloudException: As `put`.

    >>> from pathlib import Path
    >>> size = Path("names.txt").write_text("Ada")
    >>> cloud.files.sync_to_cloud("names.txt")
    """
    bucket.sync_to_cloud(source, name)


@of_users
def list() -> builtins.list[str]:  # noqa: A001 - users write cloud.files.list
    """Return the names of all stored files, in the order of their bytes.

    >>> cloud.files.putf("Ada", "names.txt")
    >>> "names.txt" in cloud.files.list()
    True
    """
    return [*bucket.iterlist()]


@of_users
def exists(name: str) -> bool:
    """Return whether there is such a stored file.

    Args:
        name: The name of the stored file.

    >>> cloud.files.exists("no such file")
    False
    """
    return bucket.exists(name)


@of_users
def get_md5(name: str, log_missing_file_error: bool = True) -> str | None:
    """Return the MD5 of a stored file in hex; None if there is none.

    Args:
        name: The name of the stored file.
        log_missing_file_error: Whether to log an error if there is none.

    >>> cloud.files.get_md5("no such file", log_missing_file_error=False) is None
    True
    """
    if not bucket.exists(name):
        if log_missing_file_error:
            _log.error("There is no stored file %r.", name)
        return None
    return bucket.get_md5(name)


@of_users
def delete(name: str) -> None:
    """Remove a stored file.

    Args:
        name: The name of the stored file.

    Raises:
        CloudException: When there is no such file.

    >>> cloud.files.putf("Ada", "names.txt")
    >>> cloud.files.delete("names.txt")
    """
    if not bucket.exists(name):
        raise CloudException(f"There is no stored file {name!r:.80}.")
    bucket.remove(name)


@of_users
def get(
    name: str, destination: Any = None, start_byte: int = 0, end_byte: int | None = None
) -> None:
    """Write a stored file, or a range of its bytes, to a file of this machine.

    Args:
        name: The name of the stored file.
        destination: The file on this machine; by default the last part of the name, in the
            current directory.
        start_byte: The first byte.
        end_byte: The byte after the last one; by default all are written.

    Raises:
        CloudException: When there is no such file, or it cannot be written.

    >>> from pathlib import Path
    >>> cloud.files.putf("Ada", "names.txt")
    >>> cloud.files.get("names.txt", "copy.txt")
    >>> Path("copy.txt").read_text()
    'Ada'
    """
    bucket.get(name, destination, None, start_byte, end_byte)


@of_users
def sync_from_cloud(name: str, destination: Any = None) -> None:
    """Write a stored file to a file of this machine, unless that has the same bytes already.

    Args:
        name: The name of the stored file.
        destination: The file on this machine; by default the last part of the name, in the
            current directory.

    Raises:
        CloudException: As `get`.

    >>> cloud.files.putf("Ada", "names.txt")
    >>> cloud.files.sync_from_cloud("names.txt", "copy.txt")
    """
    bucket.sync_from_cloud(name, destination)


@of_users
def getf(name: str, start_byte: int = 0, end_byte: int | None = None) -> CloudFile:
    """Return a stored file, or a range of its bytes, as a file that is open for reading.

    Args:
        name: The name of the stored file.
        start_byte: The first byte.
        end_byte: The byte after the last one; by default all can be read.

    Raises:
        CloudException: When there is no such file.

    >>> cloud.files.putf("Ada", "names.txt")
    >>> cloud.files.getf("names.txt", start_byte=1).read()
    b'da'
    """
    return bucket.getf(name, None, start_byte, end_byte)


@of_users
def default_record_reader(
    delimiter: str | bytes,
) -> Callable[[CloudFile, int], Iterator[bytes]]:
    """Return a `record_reader` for `map`, of records that end with a delimiter.

    Args:
        delimiter: What ends each record but perhaps the last; it is not in the records, which are
            bytes.

    Raises:
        CloudException: When it is empty.

    >>> cloud.files.putf("1,2,3", "numbers.txt")
    >>> reader = cloud.files.default_record_reader(",")
    >>> [*reader(cloud.files.getf("numbers.txt"), 5)]
    [b'1', b'2', b'3']
    """
    from cloud._client.object_map import record_reader_for  # noqa: PLC0415 - few need it

    if not isinstance(delimiter, (str, bytes)) or not delimiter:
        raise CloudValueError(
            f"delimiter must be text or bytes, and not empty, not {delimiter!r:.80}."
        )
    return record_reader_for(delimiter.encode() if isinstance(delimiter, str) else delimiter)


@of_users
def map(  # noqa: A001, PLR0917 - the original interface
    name: str,
    mapper: Callable[[Any], Any],
    chunk_size: int | None = None,
    record_reader: Callable[[CloudFile, int], Iterable[Any]] | None = None,
    combiner: Callable[[Iterator[Any]], Any] | None = None,
    reducer: Callable[[Iterator[Any]], Any] | None = None,
    **kwargs: Any,
) -> Any:
    """Create a job for each chunk of a stored file; its bytes do not pass through this machine.

    Each record is in one chunk: that in which its first byte is. Compressed files are one chunk.

    Args:
        name: The name of the stored file.
        mapper: Is called with each record.
        chunk_size: The size of a chunk in bytes; by default 64 MiB.
        record_reader: Is called with the stored file, open at the first byte of a chunk, and the
            position after its last byte; yields the records that begin there. By default records
            are lines, as bytes without their ends.
        combiner: Is called with an iterator of what `mapper` returned for the records of a chunk;
            what it returns is the result of the job. By default that is a list of them.
        reducer: Is called in one more job with an iterator of the results of all chunks.
        **kwargs: Options of the jobs, as in `cloud.map`.

    Returns:
        The jid of the job that reduces; without `reducer` those of the chunks, in their order.

    Raises:
        CloudException: When there is no such file.

    >>> cloud.files.putf("1 2 3", "numbers.txt")
    >>> reader = cloud.files.default_record_reader(" ")
    >>> jid = cloud.files.map("numbers.txt", int, None, reader, combiner=sum, reducer=sum)
    >>> cloud.result(jid)
    6
    """
    from cloud._client.object_map import map_records  # noqa: PLC0415 - few scripts need it

    steps = {"record_reader": record_reader, "combiner": combiner, "reducer": reducer}
    return map_records(name, mapper, chunk_size, steps, kwargs)


def __dir__() -> builtins.list[str]:
    """List what users call."""
    return __all__
