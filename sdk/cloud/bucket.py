"""`cloud.bucket`: a store of objects under keys, for scripts and for jobs.

    cloud.bucket.put("results.csv")
    cloud.bucket.get("results.csv", "copy.csv")

A key is any text of up to 1,024 bytes in UTF-8; with a `prefix`, it is `prefix/obj_path`.
"""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from picloud_model.wire.bucket import MAX_LISTED, quoted_key

from cloud._arguments.object_path import file_of, key_of, named_key
from cloud._client.bucket_mount import mount_path
from cloud._client.current import client
from cloud._resources.bucket import BucketClient, TruncatableList
from cloud._resources.object_download import CloudBucketObject
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

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

_NO_HEADERS: Final[Mapping[str, str]] = {}


def put(file_path: Any, obj_path: str | None = None, prefix: str | None = None) -> None:
    """Store a file as an object, in place of an earlier one, which may have been public.

    Args:
        file_path: The file.
        obj_path: The key; by default the name of the file.
        prefix: What the key begins with, before a `/`.

    Raises:
        CloudException: When the file cannot be read, or the server refuses the key or the size.
    """
    _client().put_file(file_path, key_of(named_key(file_path, obj_path), prefix))


def putf(f: Any, obj_path: str, prefix: str | None = None) -> None:
    """Store text (as UTF-8), bytes, or what an open file has from its position on.

    Args:
        f: The text, the bytes, or the file.
        obj_path: The key.
        prefix: What the key begins with, before a `/`.

    Raises:
        CloudException: When the server refuses the key or the size.
    """
    _client().put_object(f, key_of(obj_path, prefix))


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
    """
    key, path = key_of(obj_path, prefix), file_of(obj_path, file_path)
    _client().get_file(key, path, start_byte, end_byte)


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
    """
    return _client().reader(key_of(obj_path, prefix), start_byte, end_byte)


def exists(obj_path: str, prefix: str | None = None) -> bool:
    """Whether there is such an object."""
    return _client().find(key_of(obj_path, prefix)) is not None


def info(obj_path: str, prefix: str | None = None) -> dict[str, Any]:
    """Return what is known of an object.

    Returns:
        Its `name` and `size`, its MD5 in hex as `md5sum`, `last_modified` (a time), whether it is
        `public`, its `url` if it is, and its `headers`.

    Raises:
        CloudException: When there is no such object.
    """
    known = _client().info(key_of(obj_path, prefix))
    return {
        "name": known.key,
        "size": known.size,
        "md5sum": known.md5,
        "last_modified": datetime.fromtimestamp(known.modified_at).astimezone(),
        "public": known.public,
        "url": _url(known.key) if known.public else None,
        "headers": known.headers,
    }


def get_md5(obj_path: str, prefix: str | None = None) -> str:
    """Return the MD5 of an object in hex.

    Raises:
        CloudException: When there is no such object.
    """
    key = key_of(obj_path, prefix)
    return _client().md5(key)


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
        max_keys: How many to return at most.

    Returns:
        The keys; `truncated` is whether more follow.

    Raises:
        CloudException: When `max_keys` is not a positive number.
    """
    if isinstance(max_keys, bool) or not isinstance(max_keys, int) or max_keys < 1:
        raise CloudException(f"max_keys must be a number from 1 on, not {max_keys!r:.80}.")
    keys = TruncatableList(truncated=True)
    while keys.truncated and len(keys) < max_keys:
        following, keys.truncated = _client().keys(
            prefix or "",
            keys[-1] if keys else marker or "",
            max_keys - len(keys),
            folderize=folderize,
        )
        keys += following
    return keys


def iterlist(
    prefix: str | None = None, folderize: bool = False, num_readahead_keys: int = 1000
) -> Iterator[str]:
    """Yield all keys in the order of their bytes, however many there are.

    Args:
        prefix: How the keys begin; "" and None are for all.
        folderize: As in `list`.
        num_readahead_keys: How many to request at a time, 1 to 1,000.
    """
    marker, truncated = "", True
    while truncated:
        keys, truncated = _client().keys(
            prefix or "", marker, num_readahead_keys, folderize=folderize
        )
        yield from keys
        marker = keys[-1] if keys else marker


def remove(obj_paths: str | Iterable[str], prefix: str | None = None) -> None:
    """Remove an object or several ones; a missing one is no error.

    Args:
        obj_paths: The key, or the keys.
        prefix: What each key begins with, before a `/`.
    """
    paths = [obj_paths] if isinstance(obj_paths, str) else obj_paths
    _client().remove([key_of(path, prefix) for path in paths])


def remove_prefix(prefix: str) -> None:
    """Remove all objects whose keys begin with a prefix; `folder/` removes a folder.

    Raises:
        CloudException: When the prefix is empty: remove all objects by their keys.
    """
    if not isinstance(prefix, str) or not prefix:
        raise CloudException(
            "remove_prefix needs a prefix; to remove all objects, list their keys."
        )
    bucket = _client()
    while page := bucket.page(prefix, "", MAX_LISTED, folderize=False).objects:
        bucket.remove([each.key for each in page])


def sync_to_cloud(file_path: Any, obj_path: str | None = None, prefix: str | None = None) -> None:
    """Store a file as an object, unless the object has the same bytes already.

    Args:
        file_path: The file.
        obj_path: The key; by default the name of the file.
        prefix: What the key begins with, before a `/`.

    Raises:
        CloudException: As `put`.
    """
    key = key_of(named_key(file_path, obj_path), prefix)
    if not _client().is_equal(key, file_path):
        _client().put_file(file_path, key)


def sync_from_cloud(obj_path: str, file_path: Any = None, prefix: str | None = None) -> None:
    """Write an object to a file, unless the file has the same bytes already.

    Args:
        obj_path: The key.
        file_path: The file; by default the last part of `obj_path`, in the current directory.
        prefix: What the key begins with, before a `/`.

    Raises:
        CloudException: As `get`.
    """
    key, path = key_of(obj_path, prefix), file_of(obj_path, file_path)
    if not os.path.exists(path) or not _client().is_equal(key, path):  # noqa: PTH110
        _client().get_file(key, path)


def mpsafe_get(  # noqa: PLR0917 - the original interface
    obj_path: str,
    file_path: Any = None,
    prefix: str | None = None,
    start_byte: int = 0,
    end_byte: int | None = None,
    timeout: float | None = None,
    do_sync: bool = False,
) -> None:
    """Write an object to a file once, though several processes of this machine call this.

    The first one writes it and the others wait for it. A file that exists is not written.

    Args:
        obj_path: The key.
        file_path: The file; by default the last part of `obj_path`, in the current directory.
        prefix: What the key begins with, before a `/`.
        start_byte: The first byte.
        end_byte: The byte after the last one; by default all are written.
        timeout: For how many seconds to wait for another process; by default for ever.
        do_sync: Whether to write a file that exists if the object has other bytes.

    Raises:
        CloudException: As `get`.
        CloudTimeoutError: When another process still writes the file.
    """
    from cloud._resources.file_lock import file_lock  # noqa: PLC0415 - few scripts need it

    path = file_of(obj_path, file_path)
    with file_lock(path, timeout):
        if not os.path.exists(path):  # noqa: PTH110
            get(obj_path, path, prefix, start_byte, end_byte)
        elif do_sync and start_byte == 0 and end_byte is None:
            sync_from_cloud(obj_path, path, prefix)


def map(  # noqa: A001 - users write cloud.bucket.map
    func: Callable[[CloudBucketObject], Any],
    prefix: str = "",
    chunk_size: int | None = None,
    split: str | None = "lines",
    **kwargs: Any,
) -> range:
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
    """
    from cloud._client.object_map import map_lines  # noqa: PLC0415 - few scripts need it

    return map_lines(func, prefix, chunk_size, split, kwargs)


def make_public(
    obj_path: str,
    prefix: str | None = None,
    headers: Mapping[str, str] = _NO_HEADERS,
    reset_headers: bool = False,
) -> str:
    """Let everybody read an object at a URL that does not change, without a key.

    Storing the object anew makes it private again.

    Args:
        obj_path: The key.
        prefix: What the key begins with, before a `/`.
        headers: What a web server sends with it: `Content-Type`, `Cache-Control`,
            `Content-Disposition`, `Content-Encoding` or `Content-Language`.
        reset_headers: Whether these replace all headers of the object.

    Returns:
        The URL.

    Raises:
        CloudException: When there is no such object, or a header is not allowed.
    """
    key = key_of(obj_path, prefix)
    _client().publish(key, public=True, headers=headers, reset_headers=reset_headers)
    return _url(key)


def make_private(obj_path: str, prefix: str | None = None) -> None:
    """Let only your account read an object.

    Raises:
        CloudException: When there is no such object.
    """
    _client().publish(key_of(obj_path, prefix), public=False, headers=_NO_HEADERS)


def is_public(obj_path: str, prefix: str | None = None) -> bool:
    """Whether everybody may read an object.

    Raises:
        CloudException: When there is no such object.
    """
    return _client().info(key_of(obj_path, prefix)).public


def public_url_folder() -> str:
    """Return the URL below which your public objects are, each under its key."""
    return _client().public_folder()


def _client() -> BucketClient:
    return BucketClient(client().transport)


def _url(key: str) -> str:
    return public_url_folder() + quoted_key(key)
