"""Functions of `cloud.bucket`: copies made only if they differ, public objects, the mount."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from picloud_model.wire.bucket import quoted_key

from cloud._arguments.object_path import file_of, key_of, named_key
from cloud._arguments.option_values import seconds
from cloud._client.current import bucket
from cloud._client.current_job import CurrentJob
from cloud._config.border import of_users
from cloud._config.settings import ClientSettings
from cloud.errors import CloudException, CloudTypeError

if TYPE_CHECKING:
    from collections.abc import Mapping

_NO_HEADERS: Final[Mapping[str, str]] = {}


@of_users
def sync_to_cloud(file_path: Any, obj_path: str | None = None, prefix: str | None = None) -> None:
    """Store a file as an object, unless the object has the same bytes already.

    Args:
        file_path: The file.
        obj_path: The key; by default the name of the file.
        prefix: What the key begins with, before a `/`.

    Raises:
        CloudException: As `put`.

    >>> from pathlib import Path
    >>> size = Path("results.csv").write_text("1,2")
    >>> cloud.bucket.sync_to_cloud("results.csv")
    >>> cloud.bucket.sync_to_cloud("results.csv")  # sends nothing
    """
    key = key_of(named_key(file_path, obj_path), prefix)
    if not bucket().is_equal(key, file_path):
        bucket().put_file(file_path, key)


@of_users
def sync_from_cloud(obj_path: str, file_path: Any = None, prefix: str | None = None) -> None:
    """Write an object to a file, unless the file has the same bytes already.

    Args:
        obj_path: The key.
        file_path: The file; by default the last part of `obj_path`, in the current directory.
        prefix: What the key begins with, before a `/`.

    Raises:
        CloudException: As `get`.

    >>> from pathlib import Path
    >>> cloud.bucket.putf("1,2", "results.csv")
    >>> cloud.bucket.sync_from_cloud("results.csv", "copy.csv")
    >>> Path("copy.csv").read_text()
    '1,2'
    """
    key, path = key_of(obj_path, prefix), file_of(obj_path, file_path)
    if not os.path.exists(path) or not bucket().is_equal(key, path):  # noqa: PTH110
        bucket().get_file(key, path)


@of_users
def mpsafe_get(  # noqa: PLR0917 - the original interface
    obj_path: str,
    file_path: Any = None,
    prefix: str | None = None,
    start_byte: int = 0,
    end_byte: int | None = None,
    timeout: float | None = None,
    do_sync: bool = False,
) -> None:
    """Write an object to a file once, however many processes of this machine call this.

    The first one writes it and the others wait for it. A file that exists is not written.

    Args:
        obj_path: The key.
        file_path: The file; by default the last part of `obj_path`, in the current directory.
        prefix: What the key begins with, before a `/`.
        start_byte: The first byte.
        end_byte: The byte after the last one; by default all are written.
        timeout: How many seconds to wait for another process; None for no limit.
        do_sync: Whether to write a file that exists if the object has other bytes.

    Raises:
        CloudException: As `get`.
        CloudTimeoutError: When another process is still writing the file after `timeout`.

    >>> from pathlib import Path
    >>> cloud.bucket.putf("1,2", "results.csv")
    >>> cloud.bucket.mpsafe_get("results.csv", "shared.csv", timeout=60)
    >>> Path("shared.csv").read_text()
    '1,2'
    """
    from cloud._config.file_lock import file_lock  # noqa: PLC0415 - few scripts need it

    path = file_of(obj_path, file_path)
    with file_lock(path, seconds(timeout)):
        if not os.path.exists(path):  # noqa: PTH110
            key = key_of(obj_path, prefix)
            bucket().get_file(key, path, start_byte, end_byte)
        elif do_sync and start_byte == 0 and end_byte is None:
            sync_from_cloud(obj_path, path, prefix)


@of_users
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

    >>> import urllib.request
    >>> cloud.bucket.putf("<h1>Hello</h1>", "hello.html")
    >>> url = cloud.bucket.make_public("hello.html", headers={"Content-Type": "text/html"})
    >>> urllib.request.urlopen(url).read()
    b'<h1>Hello</h1>'
    """
    key = key_of(obj_path, prefix)
    if not hasattr(headers, "items"):
        raise CloudTypeError(f"headers must be a dict of names and values, not {headers!r:.80}.")
    bucket().publish(key, public=True, headers=headers, reset_headers=reset_headers)
    return url_of(key)


@of_users
def make_private(obj_path: str, prefix: str | None = None) -> None:
    """Let only your account read an object.

    Args:
        obj_path: The key.
        prefix: What the key begins with, before a `/`.

    Raises:
        CloudException: When there is no such object.

    >>> cloud.bucket.putf("1,2", "results.csv")
    >>> url = cloud.bucket.make_public("results.csv")
    >>> cloud.bucket.make_private("results.csv")
    >>> cloud.bucket.is_public("results.csv")
    False
    """
    key = key_of(obj_path, prefix)
    bucket().publish(key, public=False, headers=_NO_HEADERS)


@of_users
def is_public(obj_path: str, prefix: str | None = None) -> bool:
    """Return whether everybody may read an object.

    Args:
        obj_path: The key.
        prefix: What the key begins with, before a `/`.

    Raises:
        CloudException: When there is no such object.

    >>> cloud.bucket.putf("1,2", "results.csv")
    >>> cloud.bucket.is_public("results.csv")
    False
    """
    key = key_of(obj_path, prefix)
    return bucket().info(key).public


@of_users
def public_url_folder() -> str:
    """Return the URL below which your public objects are, each under its key.

    >>> cloud.bucket.putf("1,2", "results.csv")
    >>> cloud.bucket.make_public("results.csv") == cloud.bucket.public_url_folder() + "results.csv"
    True
    """
    return bucket().public_folder()


def url_of(key: str) -> str:
    """Return the URL of a public object."""
    return bucket().public_folder() + quoted_key(key)


@of_users
def mount_path() -> str:
    """Return the directory in which your bucket is mounted, in a job.

    In slots that run as root it is `/bucket`, which jobs can open without this call.

    Any program of the job can use what is in it: a file is an object, and a folder is what keys
    have in common up to a `/`. A file is stored when it is closed, as a whole; an error of the
    upload is the error of closing it. What others put is seen at the next open or listing. Keys
    that are not paths are left out, and where `a` and `a/b` both exist, `a` is the folder.

    Raises:
        CloudException: When this is not a job, or the bucket cannot be mounted where it runs; the
            message says why.

    >>> def lines():
    ...     with open(f"{cloud.bucket.mount_path()}/notes.txt") as file:
    ...         return file.readlines()
    """
    job = CurrentJob.here()
    if job is None:
        raise CloudException("Your bucket is mounted in jobs only; use cloud.bucket.get here.")
    path = job.supervisor.mount()
    # Mounted outside, it is seen in the namespace of a job with volumes only if mounts are shared.
    if ClientSettings.read().volumes is not None and not os.path.ismount(path):
        raise CloudException(
            "A job with volumes does not see the mounted bucket on this machine, where mounts are "
            "private: use cloud.bucket.get, or run `mount --make-rshared /` there."
        )
    return path
