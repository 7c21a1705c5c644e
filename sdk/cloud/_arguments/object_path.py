"""Keys of objects, and the files of this machine that they are stored from and written to."""

from __future__ import annotations

import os
from typing import Any

from picloud_model.wire.bucket import MAX_KEY_BYTES

from cloud.errors import CloudValueError


def key_of(obj_path: str, prefix: str | None) -> str:
    """Return the key of an object.

    >>> key_of("a", None), key_of("a", "folder"), key_of("a", "folder/")
    ('a', 'folder/a', 'folder/a')
    """
    if not isinstance(obj_path, str):
        raise CloudValueError(f"The key of an object is text, not {obj_path!r:.80}.")
    if not isinstance(prefix, (str, type(None))):
        raise CloudValueError(f"The prefix of a key is text or None, not {prefix!r:.80}.")
    if not obj_path:
        raise CloudValueError("The key of an object must not be empty.")
    key = obj_path
    if prefix:
        key = prefix + obj_path if prefix.endswith("/") else f"{prefix}/{obj_path}"
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise CloudValueError(f"The key of an object is Unicode text, not {key!r:.80}.") from None
    if size > MAX_KEY_BYTES:
        raise CloudValueError(
            f"A key has at most {MAX_KEY_BYTES:,} bytes in UTF-8, and not {size:,} as the one that "
            f"begins with {key[:40]!r}."
        )
    return key


def named_key(file_path: Any, obj_path: str | None) -> str:
    """Return a key, by default the name of the file.

    >>> named_key("/data/a.csv", None), named_key("/data/a.csv", "b")
    ('a.csv', 'b')
    """
    if obj_path is not None:
        return obj_path
    try:
        return os.path.basename(os.fsdecode(file_path))  # noqa: PTH119
    except TypeError:
        raise CloudValueError(f"The path of a file is text, not {file_path!r:.80}.") from None


def file_of(obj_path: str, file_path: Any) -> str:
    """Return the path of a file, by default named by the last part of the key.

    >>> file_of("folder/a.csv", None), file_of("folder/a.csv", "b.csv")
    ('a.csv', 'b.csv')
    """
    path = obj_path.rpartition("/")[2] if file_path is None else file_path
    try:
        path = os.fsdecode(path)
    except TypeError:
        raise CloudValueError(f"The path of a file is text, not {path!r:.80}.") from None
    if path in ("", ".", ".."):
        if file_path is not None:
            raise CloudValueError(f"{path!r} is not the path of a file: name the file to write.")
        raise CloudValueError(
            f"Name a file for {obj_path!r:.80}: its key ends with no name of one."
        )
    return path
