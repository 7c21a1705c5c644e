"""Pages of a bucket, made of pages of S3: what is two parts of a path there may be one here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_driver.bucket.key import decoded, decoded_folder
from picloud_driver.bucket.port import ObjectEntry, ObjectPage

if TYPE_CHECKING:
    from picloud_driver.s3.object_values import S3Object
    from picloud_driver.s3.objects import S3Objects

AFTER_SLASH: Final = "0"
"""Follows `/`, so that what comes after `a0` is what comes after all in `a/`."""


class BucketListing:
    """Makes one page.

    Args:
        objects: The gateway to S3.
        top: The path that is above all objects of the account.
        folders: Whether to list folders instead of what is in them.
        limit: Most objects and folders.
    """

    def __init__(self, objects: S3Objects, top: str, *, folders: bool, limit: int) -> None:
        self._objects = objects
        self._top = top
        self._folders = folders
        self._limit = limit
        self._found: list[ObjectEntry] = []
        self._names: list[str] = []

    def page(self, begin: str, after: str) -> ObjectPage:
        """Return the page of what begins with a path and comes after one."""
        # With `folders`, a `/` in the rest of `after` is within a part of its key. A server may
        # skip the folder for which it takes that, so what is in it comes first.
        while self._folders and after.startswith(begin) and "/" in after[len(begin) :]:
            inner, _, _ = after.rpartition("/")
            if self._fill(f"{inner}/", after):
                return ObjectPage(self._found, self._names, truncated=True)
            after = f"{inner}{AFTER_SLASH}"
        truncated = self._fill(begin, after)
        return ObjectPage(self._found, self._names, truncated)

    def _fill(self, begin: str, after: str) -> bool:
        """Add names until the page is full, and return whether there are more."""
        rest = ""
        while room := self._limit - len(self._found) - len(self._names):
            page = self._objects.page(
                f"{self._top}{begin}",
                f"{self._top}{after}",
                rest,
                folders=self._folders,
                limit=room,
            )
            for name in page.names:
                if self._add(name, after):
                    return True
            rest = page.rest
            if not rest:
                return False
        return True

    def _add(self, name: S3Object | str, after: str) -> bool:
        """Add a name, or what it stands for, and return whether the page has no room for it."""
        if len(self._found) + len(self._names) == self._limit:
            return True
        if isinstance(name, str):
            path = name.removeprefix(self._top)
            folder = decoded_folder(path)
            if folder is None:
                return self._fill(path, after)
            self._names.append(folder)
        elif key := decoded(name.path.removeprefix(self._top)):
            self._found.append(
                ObjectEntry(key=key, size=name.size, etag=name.etag, modified=name.modified)
            )
        return False
