"""`cloud.bucket`: a store of objects under keys, for scripts and for jobs.

    cloud.bucket.put("results.csv")
    cloud.bucket.get("results.csv", "copy.csv")

A key is any text of up to 1,024 bytes in UTF-8; with a `prefix`, it is `prefix/obj_path`.
"""

from __future__ import annotations

import builtins  # noqa: TC003 - `list` has another meaning here
from datetime import datetime
from typing import TYPE_CHECKING, Any

from picloud_model.wire.bucket import MAX_LISTED

from cloud._arguments.object_path import file_of, key_of, named_key
from cloud._arguments.option_values import whole
from cloud._client.bucket_functions import (
    is_public,
    make_private,
    make_public,
    mount_path,
    mpsafe_get,
    public_url_folder,
    sync_from_cloud,
    sync_to_cloud,
    url_of,
)
from cloud._client.current import bucket
from cloud._config.border import UsersIterator, of_users
from cloud._resources.bucket import TruncatableList
from cloud._resources.object_download import CloudBucketObject
from cloud.errors import CloudTypeError, CloudValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cloud._jobs.job import Jobs

__all__ = [
    "CloudBucketObject",
    "TruncatableList",
    "exists",
    "get",
    "get_md5",
    "getf",
    "info",
    "is_public",
    "iterlist",
    "list",
    "make_private",
    "make_public",
    "map",
    "mount_path",
    "mpsafe_get",
    "public_url_folder",
    "put",
    "putf",
    "remove",
    "remove_prefix",
    "sync_from_cloud",
    "sync_to_cloud",
]


@of_users
def put(file_path: Any, obj_path: str | None = None, prefix: str | None = None) -> None:
    """Store a file as an object, in place of an earlier one, which may have been public.

    Args:
        file_path: The file.
        obj_path: The key; by default the name of the file.
        prefix: What the key begins with, before a `/`.

    Raises:
        CloudException: When the file cannot be read, or the server refuses the key or the size.

    >>> from pathlib import Path
    >>> size = Path("results.csv").write_text("1,2")
    >>> cloud.bucket.put("results.csv", prefix="2026")
    >>> cloud.bucket.exists("2026/results.csv")
    True
    """
    key = key_of(named_key(file_path, obj_path), prefix)
    bucket().put_file(file_path, key)


@of_users
def putf(f: Any, obj_path: str, prefix: str | None = None) -> None:
    """Store text (as UTF-8), bytes, or what an open file has from its position on.

    Args:
        f: The text, the bytes, or the file.
        obj_path: The key.
        prefix: What the key begins with, before a `/`.

    Raises:
        CloudException: When the server refuses the key or the size.

    >>> cloud.bucket.putf("1,2", "results.csv")
    >>> cloud.bucket.getf("results.csv").read()
    b'1,2'
    """
    key = key_of(obj_path, prefix)
    bucket().put_object(f, key)


@of_users
def get(
    obj_path: str,
    file_path: Any = None,
    prefix: str | None = None,
    start_byte: int = 0,
    end_byte: int | None = None,
    _retries: int = 1,
) -> None:
    """Write an object, or a range of its bytes, to a file.

    The file is replaced once all bytes have arrived; until then it is as it was.

    Args:
        obj_path: The key.
        file_path: The file; by default the last part of `obj_path`, in the current directory.
        prefix: What the key begins with, before a `/`.
        start_byte: The first byte.
        end_byte: The byte after the last one; by default all are written.

    Raises:
        CloudException: When there is no such object, or the file cannot be written.

    >>> from pathlib import Path
    >>> cloud.bucket.putf("1,2", "results.csv")
    >>> cloud.bucket.get("results.csv", "copy.csv")
    >>> Path("copy.csv").read_text()
    '1,2'
    """
    key, path = key_of(obj_path, prefix), file_of(obj_path, file_path)
    bucket().get_file(key, path, start_byte, end_byte)


@of_users
def getf(
    obj_path: str, prefix: str | None = None, start_byte: int = 0, end_byte: int | None = None
) -> CloudBucketObject:
    """Return an object, or a range of its bytes, as a file that is open for reading.

    Bytes are requested when they are read; what was not read is not sent.

    Args:
        obj_path: The key.
        prefix: What the key begins with, before a `/`.
        start_byte: The first byte.
        end_byte: The byte after the last one; by default all can be read.

    Raises:
        CloudException: When there is no such object.

    >>> cloud.bucket.putf("one two three", "words.txt")
    >>> cloud.bucket.getf("words.txt", start_byte=4, end_byte=7).read()
    b'two'
    """
    key = key_of(obj_path, prefix)
    return bucket().reader(key, start_byte, end_byte)


@of_users
def exists(obj_path: str, prefix: str | None = None) -> bool:
    """Return whether there is such an object.

    Args:
        obj_path: The key.
        prefix: What the key begins with, before a `/`.

    >>> cloud.bucket.exists("no such object")
    False
    """
    key = key_of(obj_path, prefix)
    return bucket().find(key) is not None


@of_users
def info(obj_path: str, prefix: str | None = None) -> dict[str, Any]:
    """Return the size, checksum, headers and URL of an object.

    Args:
        obj_path: The key.
        prefix: What the key begins with, before a `/`.

    Returns:
        Its `name`, its `size` in bytes, its MD5 in hex as `md5sum`, `last_modified` (a time),
        whether it is `public`, its `url` if it is, and its `headers`.

    Raises:
        CloudException: When there is no such object.

    >>> cloud.bucket.putf("1,2", "results.csv")
    >>> cloud.bucket.info("results.csv")["size"]
    3
    """
    key = key_of(obj_path, prefix)
    known = bucket().info(key)
    return {
        "name": known.key,
        "size": known.size,
        "md5sum": known.md5,
        "last_modified": datetime.fromtimestamp(known.modified_at).astimezone(),
        "public": known.public,
        "url": url_of(known.key) if known.public else None,
        "headers": known.headers,
    }


@of_users
def get_md5(obj_path: str, prefix: str | None = None) -> str:
    """Return the MD5 of an object in hex.

    Args:
        obj_path: The key.
        prefix: What the key begins with, before a `/`.

    Raises:
        CloudException: When there is no such object.

    >>> cloud.bucket.putf("1,2", "results.csv")
    >>> cloud.bucket.get_md5("results.csv")
    '05cf281c050be3da4eecf3bc6e8aac1b'
    """
    key = key_of(obj_path, prefix)
    return bucket().md5(key)


@of_users
def list(  # noqa: A001 - users write cloud.bucket.list
    prefix: str | None = None,
    folderize: bool = False,
    marker: str | None = None,
    max_keys: int = 1000,
) -> TruncatableList:
    """Return keys in the order of their bytes.

    Args:
        prefix: How the keys begin; "" and None are for all.
        folderize: Return keys that have a `/` after the prefix as one folder each, with that `/`.
        marker: The key or folder after which to begin.
        max_keys: Maximum number of keys, from 1.

    Returns:
        The keys; `truncated` is whether more follow.

    Raises:
        CloudException: When `max_keys` is not a positive number.

    >>> for key in ("list/a", "list/b", "list/more/c"):
    ...     cloud.bucket.putf("", key)
    >>> cloud.bucket.list("list/", folderize=True)
    ['list/a', 'list/b', 'list/more/']
    """
    most = _count("max_keys", max_keys)
    keys = TruncatableList(truncated=True)
    while keys.truncated and len(keys) < most:
        following, keys.truncated = bucket().keys(
            prefix or "",
            keys[-1] if keys else marker or "",
            most - len(keys),
            folderize=folderize,
        )
        keys += following
    return keys


@of_users
def iterlist(
    prefix: str | None = None, folderize: bool = False, num_readahead_keys: int = 1000
) -> Iterator[str]:
    """Iterate over all keys in the order of their bytes, however many there are.

    Args:
        prefix: How the keys begin; "" and None are for all.
        folderize: As in `list`.
        num_readahead_keys: How many to request at a time, 1 to 1,000.

    Returns:
        An iterator of keys; with `folderize` of keys and folders.

    >>> cloud.bucket.putf("", "iterlist/a")
    >>> for key in cloud.bucket.iterlist("iterlist/"):
    ...     print(key)
    iterlist/a
    """
    at_a_time = _count("num_readahead_keys", num_readahead_keys)
    return UsersIterator(_keys(prefix or "", at_a_time, folderize=folderize))


def _keys(prefix: str, at_a_time: int, *, folderize: bool) -> Iterator[str]:
    marker, truncated = "", True
    while truncated:
        keys, truncated = bucket().keys(prefix, marker, at_a_time, folderize=folderize)
        yield from keys
        marker = keys[-1] if keys else marker


@of_users
def remove(obj_paths: str | Iterable[str], prefix: str | None = None) -> None:
    """Remove one object or several; a missing one is not an error.

    Args:
        obj_paths: The key, or the keys.
        prefix: What each key begins with, before a `/`.

    >>> cloud.bucket.putf("1,2", "results.csv")
    >>> cloud.bucket.remove(["results.csv", "no such object"])
    >>> cloud.bucket.exists("results.csv")
    False
    """
    paths = [obj_paths] if isinstance(obj_paths, str) else obj_paths
    if not hasattr(paths, "__iter__"):
        raise CloudTypeError(f"obj_paths must be a key, or an iterable of keys, not {paths!r:.80}.")
    keys = [key_of(path, prefix) for path in paths]
    bucket().remove(keys)


@of_users
def remove_prefix(prefix: str) -> None:
    """Remove all objects whose keys begin with a prefix; `folder/` removes a folder.

    Args:
        prefix: How the keys begin.

    Raises:
        CloudException: When the prefix is empty: remove all objects by their keys.

    >>> cloud.bucket.putf("1,2", "old/results.csv")
    >>> cloud.bucket.remove_prefix("old/")
    >>> cloud.bucket.list("old/")
    []
    """
    if not isinstance(prefix, str) or not prefix:
        raise CloudValueError(
            "remove_prefix needs a prefix; to remove all objects, list their keys."
        )
    store = bucket()
    while page := store.page(prefix, "", MAX_LISTED, folderize=False).objects:
        store.remove([each.key for each in page])


@of_users
def map(  # noqa: A001 - users write cloud.bucket.map
    func: Callable[[CloudBucketObject], Any],
    prefix: str = "",
    chunk_size: int | None = None,
    split: str | None = "lines",
    **kwargs: Any,
) -> Jobs:
    """Create a job for each chunk of some objects; the data does not pass through this machine.

    Each line is in one chunk: that in which its first byte is. A chunk in which no line begins is
    empty. Compressed objects (`.gz` and the like) are one chunk each, as they are stored.

    Args:
        func: Is called in a job with a chunk, as a file that is open for reading.
        prefix: How the keys of the objects begin; "" is for all.
        chunk_size: The size of a chunk in bytes, before it is extended to the end of a line; by
            default 64 MiB.
        split: "lines"; None has a job for each object.
        **kwargs: Options of the jobs, as in `cloud.map`.

    Returns:
        The jids, in the order of the keys and the chunks.

    Raises:
        CloudException: When no object with content has the prefix.

    >>> import operator
    >>> cloud.bucket.putf("one line", "logs/monday.txt")
    >>> jids = cloud.bucket.map(operator.methodcaller("read"), "logs/")
    >>> cloud.result(jids)
    [b'one line']
    """
    from cloud._client.object_map import map_lines  # noqa: PLC0415 - few scripts need it

    return map_lines(func, prefix, chunk_size, split, kwargs)


def _count(name: str, value: object) -> int:
    number = whole(value)
    if number is None or number < 1:
        raise CloudTypeError(f"{name} must be a whole number from 1, not {value!r:.80}.")
    return number


def __dir__() -> builtins.list[str]:
    """List what users call."""
    return __all__
