"""The rules for what callers pass, which are the same for every store of buckets."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from picloud_model.errors import RequestRefused, UploadNotFound

from picloud_driver.bucket.key import checked_key, encoded, encoded_prefix
from picloud_driver.bucket.port import (
    CONTENT_HEADERS,
    PAGE_KEYS,
    PART_BYTES,
    PARTS,
    ObjectPart,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_driver.bucket.port import ObjectProperties

_ACCOUNT: Final = re.compile(r"[a-z0-9]{1,40}")
_MD5: Final = re.compile(r"[0-9a-f]{32}")
_UPLOAD: Final = re.compile(r"[A-Za-z0-9._~=+-]{8,400}")
_HEADER_BYTES: Final = 1024


def checked_account(account: str) -> str:
    """Return the id of an account if it is valid: it begins the names of its objects."""
    if not _ACCOUNT.fullmatch(account):
        raise RequestRefused(f"{account[:60]!r} is not a valid account id.", field="account")
    return account


def checked_names(account: str, *keys: str) -> None:
    """Refuse an account id or a key that is not valid."""
    checked_account(account)
    for key in keys:
        checked_key(key)


def checked_listing(prefix: str, after: str, *, folders: bool) -> tuple[str, str]:
    """Return what the paths of a listing begin with, and what they come after.

    >>> checked_listing("a/", "a/b", folders=False)
    ('a/', 'a/b%')
    >>> checked_listing("a/", "a/b/c", folders=True)
    ('a/', 'a/b/')
    """
    for text in (prefix, after):
        if text:
            checked_key(text)
    folder, slash, _ = after[len(prefix) :].partition("/")
    if folders and slash and after.startswith(prefix):
        return encoded_prefix(prefix), encoded_prefix(f"{prefix}{folder}/")
    return encoded_prefix(prefix), encoded(after) if after else ""


def checked_properties(properties: ObjectProperties) -> ObjectProperties:
    """Return the properties if an object may have them.

    Raises:
        RequestRefused: When a header is not allowed, has a value that cannot be sent, or is long.
    """
    for name, value in properties.headers.items():
        if name not in CONTENT_HEADERS:
            allowed = ", ".join(sorted(CONTENT_HEADERS))
            message = f"An object cannot have the header {name[:60]!r}; it may have {allowed}."
            raise RequestRefused(message, field="headers")
        if not value.isascii() or not value.isprintable() or value != value.strip():
            message = f"The header {name} has to be printable ASCII without spaces around it."
            raise RequestRefused(message, field="headers")
        if not 1 <= len(value) <= _HEADER_BYTES:
            message = f"The header {name} of an object has 1 to {_HEADER_BYTES} characters."
            raise RequestRefused(message, field="headers")
    if properties.md5:
        checked_md5(properties.md5)
    return properties


def checked_md5(md5: str) -> str:
    """Return an MD5 in hex if it is one."""
    if not _MD5.fullmatch(md5):
        message = f"{md5[:60]!r} is not an MD5: use 32 hex digits in lower case."
        raise RequestRefused(message, field="md5")
    return md5


def stated_md5(md5: str, stated: str) -> str:
    """Return the MD5 of some bytes, if their writer stated no other one."""
    if stated and stated != md5:
        message = f"These bytes have the MD5 {md5}, not {stated}: send them again."
        raise RequestRefused(message, field="md5")
    return md5


def checked_range(start: int, end: int | None) -> None:
    """Refuse a range that begins or ends before the first byte."""
    if start < 0 or (end is not None and end < 0):
        message = f"A range of an object begins and ends at 0 or later, not {start} to {end}."
        raise RequestRefused(message)


def checked_count(count: int, name: str) -> int:
    """Return the number of keys of a request if it is allowed."""
    if not 1 <= count <= PAGE_KEYS:
        message = f"{count} is not a valid number of keys: 1 to {PAGE_KEYS} are."
        raise RequestRefused(message, field=name)
    return count


def checked_number(number: int) -> int:
    """Return the number of a part if it is valid."""
    if not 1 <= number <= PARTS:
        message = f"{number} is not a valid number of a part: 1 to {PARTS} are."
        raise RequestRefused(message, field="number")
    return number


def checked_parts(parts: Sequence[ObjectPart]) -> None:
    """Refuse parts that cannot make an object: none at all, or not ascending."""
    numbers = [checked_number(part.number) for part in parts]
    if not numbers or numbers != sorted(set(numbers)):
        message = "The parts of an object ascend by their numbers, and there is at least one."
        raise RequestRefused(message, field="parts")


def matched_parts(written: Sequence[ObjectPart], parts: Sequence[ObjectPart]) -> list[ObjectPart]:
    """Return the parts that were written, as far as they are those of the object.

    Raises:
        RequestRefused: When one was not written, has other bytes, or is too small.
    """
    by_number = {part.number: part for part in written}
    matched = []
    for part in parts:
        found = by_number.get(part.number)
        if found is None or found.md5 != part.md5:
            message = f"Part {part.number} was not written, or has other bytes; write it again."
            raise RequestRefused(message, field="parts")
        matched.append(found)
    for part in matched[:-1]:
        if part.size < PART_BYTES:
            message = f"Part {part.number} is too small: only the last may have less than 5 MiB."
            raise RequestRefused(message, field="parts")
    return matched


def etag_of(parts: Sequence[ObjectPart]) -> str:
    """Return the ETag of an object that was written in parts, as S3 defines it.

    >>> etag_of([ObjectPart(1, "0cc175b9c0f1b6a831c399e269772661")])
    'b6ff9a06b7e20bcb2858c5b8ff744aea-1'
    """
    digests = b"".join(bytes.fromhex(part.md5) for part in parts)
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"


def upload_id(upload: str) -> None:
    """Refuse what is certainly not the id of an upload.

    It becomes part of a URL, and versitygw 1.8 takes it as a path: `..` leads out of the upload.

    Raises:
        UploadNotFound: When it is none.
    """
    if not _UPLOAD.fullmatch(upload):
        raise UploadNotFound
