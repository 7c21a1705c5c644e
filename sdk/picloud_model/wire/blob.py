"""Blobs: requests and answers about immutable bytes, and bundles of shipped modules."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import Meta

from picloud_model.errors import RequestRefused
from picloud_model.wire.body import Answer, Digest, Request
from picloud_model.wire.limits import MAX_BLOBS, MAX_LABEL

if TYPE_CHECKING:
    from collections.abc import Sequence

ORIGINS_FILE: Final = ".origins.json"
"""The file in a directory of shipped modules that holds the origins of its manifest."""

MOST_BUNDLES: Final = 100
"""Most bundles that the trailer of a pickle names."""
MAX_FAILURE: Final = 200
"""Most characters of a reason why a blob store did not take bytes."""
TRAILER_BYTES: Final = 4096
"""More bytes than any trailer has."""
_DIGEST_BYTES: Final = 32
_END: Final = b"bundles\n"
"""What a trailer ends with; a pickle itself ends with a full stop."""

_Digests = Annotated[list[Digest], Meta(max_length=MAX_BLOBS)]


class Content(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Immutable bytes: inline in `data`, or a blob of the account named by `digest`."""

    # Not seen by the garbage collector, like all values that come in long lists and refer to
    # nothing that could refer to them: of 122 maps it would stop the server for 0.1 s at a time.
    digest: str = ""
    size: int = 0
    data: bytes | None = None


class PricedJobs(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What decides which budgets are for some jobs, and what they cost."""

    core_type: str
    label: Annotated[str, Meta(max_length=MAX_LABEL)] | None = None


class MissingBlobsRequest(Request, frozen=True):
    """Ask which blobs the server lacks: `POST /v1/blobs/missing`.

    With their `sizes` in bytes, in the same order, large ones can go to the blob store directly.
    If they are for `jobs`, the answer is an error when a budget refuses these: before the upload.
    `failure` says why the blob store, which the API does not see answer, did not take them before.
    `files` is for a sender that may be a process of the server's machine: "where" asks for the
    directories of blobs, and "written" says that these blobs were written there as files.
    """

    digests: _Digests
    sizes: Annotated[list[Annotated[int, Meta(ge=0)]], Meta(max_length=MAX_BLOBS)] = []
    jobs: PricedJobs | None = None
    failure: Annotated[str, Meta(max_length=MAX_FAILURE)] = ""
    files: Literal["where", "written"] | None = None


class Upload(msgspec.Struct, frozen=True, array_like=True):
    """Where to PUT a blob: a path of this API, or a presigned URL with headers to send with it.

    A blob store answers 412 when the blob has been stored in the meantime, which is a success, too.
    """

    digest: str
    url: str
    headers: dict[str, str] = {}


class SharedDirectories(msgspec.Struct, frozen=True, array_like=True):
    """Directories of the server's machine: of the account's blobs, and where to leave new ones.

    The name of each file is its digest. They are meant if the file `proof` in `incoming`, which
    only the server's user can read, contains `proof`.
    """

    blobs: str
    incoming: str
    proof: str


class BlobsMissing(Answer, frozen=True):
    """The blobs to upload; the server has all others.

    `files` says where they may be written instead, to a sender who wants to know. `unsealed` says
    that parcels in blobs need no digest of their own.
    """

    uploads: list[Upload]
    files: SharedDirectories | None = None
    unsealed: bool = False


class StoreBlobsRequest(Request, frozen=True):
    """Store several small blobs at once: `POST /v1/blobs`."""

    blobs: Annotated[list[bytes], Meta(max_length=MAX_BLOBS)]


class ReadBlobsRequest(Request, frozen=True):
    """Read several small blobs at once: `POST /v1/blobs/read`.

    The reply holds the first ones, as many as fit, and at least one; ask again for the rest.
    """

    digests: _Digests


class BlobsRead(Answer, frozen=True):
    """The first of the requested blobs, in their order, as many as fit."""

    blobs: list[bytes]


class BlobsStored(Answer, frozen=True):
    """The digests of the blobs that were stored, in the order of the request."""

    digests: list[str]


class Module(msgspec.Struct, frozen=True, array_like=True):
    """One shipped source file: `path` below the import root with forward slashes, blob `digest`."""

    path: str
    digest: Digest

    def relative_path(self) -> PurePosixPath:
        """Return the path, if it is inside of the import root.

        Raises:
            RequestRefused: When it is not.

        >>> str(Module("a/b.py", "").relative_path())
        'a/b.py'
        """
        path = PurePosixPath(self.path)
        invalid = set("\\\0:") & {*self.path}
        if path.is_absolute() or not path.parts or ".." in path.parts or invalid:
            message = f"A shipped module cannot be stored at {self.path!r}."
            raise RequestRefused(message, field="modules")
        return path


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """A bundle of shipped modules, itself a blob (msgpack); sorted by path.

    `origins` are the files and directories that the modules and packages were made of, by their
    paths in the bundle: tracebacks name these.
    """

    modules: list[Module]
    origins: dict[str, str] = {}


def with_bundles(pickled: bytes, digests: Sequence[str]) -> bytes:
    """Return a pickle with a trailer: the digests of the bundles of modules that it needs.

    Unpickling ignores bytes after a pickle. A process that lacks these modules can fetch them, and
    the server keeps them as long as the pickle. A trailer names at most `MOST_BUNDLES`.

    >>> bundles_of(with_bundles(b"N.", ["ab" * 32])) == ["ab" * 32]
    True
    """
    if not digests:
        return pickled
    return b"".join((pickled, *map(bytes.fromhex, digests), bytes((len(digests),)), _END))


def bundles_of(pickled: bytes | memoryview) -> list[str]:
    r"""Return the digests in the trailer of a pickle; its last `TRAILER_BYTES` are enough.

    >>> bundles_of(b"." + bytes(32) + b"\x01" + b"bundles\n") == ["00" * 32]
    True
    >>> bundles_of(b"N.")
    []
    """
    end = len(pickled) - len(_END)
    if end < 1 or bytes(pickled[end:]) != _END:
        return []
    count = pickled[end - 1]
    start = end - 1 - count * _DIGEST_BYTES
    return [
        bytes(pickled[at : at + _DIGEST_BYTES]).hex()
        for at in range(max(0, start), end - 1, _DIGEST_BYTES)
    ]
