"""Buckets: requests and answers about the objects of an account.

The bytes of a small object travel in the request. Those of others are written to a target: a path
of this API, or a presigned URL of the store that keeps the objects.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import quote, unquote, urlencode

import msgspec
from msgspec import Meta

from picloud_model.wire.body import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_KEY_BYTES: Final = 1024
"""Longest key of an object, in bytes of UTF-8."""
INLINE_OBJECT_BYTES: Final = 64 * 1024
"""The largest object that travels in the request that stores it."""
MAX_OBJECT_BYTES: Final = 5 * 1024**4
"""The largest object."""
WHOLE_OBJECT_BYTES: Final = 64 * 1024 * 1024
"""A larger object is sent in parts."""
PART_BYTES: Final = 16 * 1024 * 1024
"""The length of parts, unless there would be too many of them."""
MAX_LISTED: Final = 1000
"""Maximum number of keys that one request lists or removes."""
MAX_PARTS: Final = 10_000
"""Most parts of an object."""
MAX_HEADER: Final = 1000
"""Longest value of a header of an object, in characters."""

ObjectKey = Annotated[str, Meta(min_length=1, max_length=MAX_KEY_BYTES)]
Md5 = Annotated[str, Meta(pattern="^[0-9a-f]{32}$", max_length=32)]
"""MD5 of some bytes, in hex."""
OptionalMd5 = Annotated[str, Meta(pattern=r"^([0-9a-f]{32})?$(?!\n)", max_length=32)]
"""MD5 of some bytes, in hex; empty if it is not known yet."""
UploadId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._~=+-]{8,400}$(?!\n)", max_length=400)]
"""The id of an upload. Its store makes it; one that has a slash or is `..` could lead elsewhere."""
PartNumber = Annotated[int, Meta(ge=1, le=MAX_PARTS)]
ObjectSize = Annotated[int, Meta(ge=0, le=MAX_OBJECT_BYTES)]
ObjectHeaders = Annotated[
    dict[Annotated[str, Meta(max_length=40)], Annotated[str, Meta(max_length=MAX_HEADER)]],
    Meta(max_length=10),
]
"""Headers by their names, of which only those of an object's content are allowed."""


class PutObjectRequest(Request, frozen=True):
    """Store an object, or begin to: `POST /v1/bucket/put`.

    With `data` the object is stored at once, in place of an earlier one under its key. The MD5 of
    an object of more than 64 MiB may follow when it is finished.
    """

    key: ObjectKey
    size: ObjectSize
    md5: OptionalMd5
    headers: ObjectHeaders = {}
    data: Annotated[bytes, Meta(max_length=INLINE_OBJECT_BYTES)] | None = None


class WriteTarget(msgspec.Struct, frozen=True):
    """Where to PUT bytes: a path of this API, or a presigned URL; and headers to send with them."""

    url: str
    headers: dict[str, str] = {}


class ObjectDescription(Answer, frozen=True):
    """What is known of an object. `md5` is empty if it is not known."""

    key: str
    size: int
    etag: str
    modified_at: float
    md5: str = ""
    headers: dict[str, str] = {}
    public: bool = False


class ObjectPut(Answer, frozen=True):
    """An object that was stored, or how to send its bytes: to one target, or in parts.

    Parts are all `part_bytes` long, except for the last.
    """

    stored: ObjectDescription | None = None
    target: WriteTarget | None = None
    upload: str = ""
    part_bytes: int = 0


class PutPartRequest(Request, frozen=True):
    """Ask where to send a part of an upload: `POST /v1/bucket/parts`.

    With an MD5 no other bytes can be sent there. Without one, they are checked when the upload is
    finished, so that a sender may compute it while it sends them.
    """

    key: ObjectKey
    upload: UploadId
    number: PartNumber
    size: ObjectSize
    md5: OptionalMd5 = ""


class PartTarget(Answer, frozen=True):
    """Where to send a part."""

    target: WriteTarget


class FinishUploadRequest(Request, frozen=True):
    """Store the object whose parts were sent: `POST /v1/bucket/finish`.

    `parts` are the MD5s of all parts, in order; `md5` is that of the whole, unless announced.
    """

    key: ObjectKey
    upload: UploadId
    parts: Annotated[list[Md5], Meta(min_length=1, max_length=MAX_PARTS)]
    md5: OptionalMd5 = ""


class ListPartsRequest(Request, frozen=True):
    """List the parts of an upload that were sent: `POST /v1/bucket/uploaded`."""

    key: ObjectKey
    upload: UploadId


class SentPart(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A part that was sent: its number from 1, the MD5 of its bytes, and its length."""

    number: int
    md5: str
    size: int


class PartsListed(Answer, frozen=True):
    """The parts of an upload that were sent, ascending."""

    parts: list[SentPart]


class AbortUploadRequest(Request, frozen=True):
    """Give up an upload and remove its parts: `POST /v1/bucket/abort`."""

    key: ObjectKey
    upload: UploadId


class ObjectRequest(Request, frozen=True):
    """Return what is known of an object: `POST /v1/bucket/info`."""

    key: ObjectKey


class OpenObjectRequest(Request, frozen=True):
    """Return what is known of an object, and where to GET its bytes: `POST /v1/bucket/open`.

    An object of up to `inline_bytes` comes with its bytes.
    """

    key: ObjectKey
    inline_bytes: Annotated[int, Meta(ge=0, le=INLINE_OBJECT_BYTES)] = 0


class OpenedObject(Answer, frozen=True):
    """An object, and the address of its bytes: a path of this API, or a presigned URL.

    Ranges may be requested there, and `If-Match` with the ETag. `data` are all its bytes, if they
    were requested.
    """

    object: ObjectDescription
    url: str
    data: bytes | None = None


class ListObjectsRequest(Request, frozen=True):
    """List keys that begin with `prefix` and come after `marker`: `POST /v1/bucket/list`.

    With `folderize` the keys that have a `/` after the prefix are listed as one folder each.
    """

    prefix: Annotated[str, Meta(max_length=MAX_KEY_BYTES)] = ""
    marker: Annotated[str, Meta(max_length=MAX_KEY_BYTES)] = ""
    folderize: bool = False
    max_keys: Annotated[int, Meta(ge=1, le=MAX_LISTED)] = MAX_LISTED


class ListedObject(msgspec.Struct, frozen=True, array_like=True):
    """An object in a listing."""

    key: str
    size: int
    etag: str
    modified_at: float


class ObjectsListed(Answer, frozen=True):
    """Objects and folders, each in the order of their bytes; `truncated` if more follow."""

    objects: list[ListedObject]
    folders: list[str] = []
    truncated: bool = False


class RemoveObjectsRequest(Request, frozen=True):
    """Remove objects: `POST /v1/bucket/remove`. Missing ones are not an error."""

    keys: Annotated[list[ObjectKey], Meta(max_length=MAX_LISTED)]


class CopyObjectRequest(Request, frozen=True):
    """Store the bytes and headers of an object under another key: `POST /v1/bucket/copy`.

    The bytes do not leave the store.
    """

    source: ObjectKey
    target: ObjectKey


class PathRequest(Request, frozen=True):
    """Return what a path is in a file system: `POST /v1/bucket/path`."""

    path: ObjectKey


class PathFound(Answer, frozen=True):
    """The object with this key, and whether keys go on after it with a `/`.

    `url` is the address of the object's bytes, as in `OpenedObject`.
    """

    object: ObjectDescription | None
    folder: bool
    url: str = ""


class PublishObjectRequest(Request, frozen=True):
    """Make an object public, and change its headers: `POST /v1/bucket/publish`.

    Without `public` it becomes private. `headers` are added to those of the object, or replace
    them with `reset_headers`.
    """

    key: ObjectKey
    public: bool = True
    headers: ObjectHeaders = {}
    reset_headers: bool = False


class PublicFolderRequest(Request, frozen=True):
    """Return the path of the public objects of an account: `POST /v1/bucket/folder`."""


class PublicFolder(Answer, frozen=True):
    """The path, on this server, below which the public objects of an account are."""

    path: str


class ObjectBytesQuery(Request, frozen=True):
    """Return the bytes of an object, or a range of them: `GET /v1/bucket/object?key=...`."""

    key: ObjectKey


class WriteObjectQuery(Request, frozen=True):
    """Store an object whose bytes are the body: `PUT /v1/bucket/object?key=...&md5=...`.

    The headers of its content are those of the request.
    """

    key: ObjectKey
    md5: Md5


class WritePartQuery(Request, frozen=True):
    """Store a part whose bytes are the body: `PUT /v1/bucket/part?key=...&upload=...&number=1`."""

    key: ObjectKey
    upload: UploadId
    number: PartNumber
    md5: OptionalMd5 = ""


def part_bytes(size: int) -> int:
    """Return the length of all parts but the last of an object of so many bytes.

    >>> part_bytes(1), part_bytes(10**12)
    (16777216, 100000000)
    """
    return max(PART_BYTES, -(-size // MAX_PARTS))


def etag_of_parts(md5s: Sequence[str]) -> str:
    """Return the ETag of an object that was written in parts with these MD5s.

    >>> etag_of_parts(["d41d8cd98f00b204e9800998ecf8427e"])
    '59adb24ef3cdbe0297f05b395827453f-1'
    """
    joined = b"".join(map(bytes.fromhex, md5s))
    return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(md5s)}"


def bytes_url(query: ObjectBytesQuery | WriteObjectQuery) -> str:
    """Return the path of this API where the bytes of an object are.

    >>> bytes_url(ObjectBytesQuery(key="a b"))
    '/v1/bucket/object?key=a+b'
    """
    return f"/v1/bucket/object?{urlencode(msgspec.structs.asdict(query))}"


def part_url(query: WritePartQuery) -> str:
    """Return the path of this API where a part is written.

    >>> part_url(WritePartQuery(key="a", upload="1", number=2, md5="0" * 32))[:50]
    '/v1/bucket/part?key=a&upload=1&number=2&md5=000000'
    """
    return f"/v1/bucket/part?{urlencode(msgspec.structs.asdict(query))}"


def public_path(account: str) -> str:
    """Return the path below which the public objects of an account are.

    >>> public_path("a0000001")
    '/public/a0000001/'
    """
    return f"/public/{quote(account)}/"


def quoted_key(key: str) -> str:
    """Return a key as it is in the URL of a public object.

    >>> quoted_key("a b/c.html")
    'a%20b/c.html'
    """
    return quote(key, safe="/~")


def public_key(account: str, path: str) -> str:
    """Return the key of a public object of an account by its path, "" if it is none.

    >>> public_key("a0000001", "/public/a0000001/a%20b//c/")
    'a b//c/'
    """
    _, found, key = path.partition(public_path(account))
    return unquote(key) if found else ""
