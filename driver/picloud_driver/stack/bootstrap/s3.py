"""What S3 needs: a bucket that belongs to this cluster, and a key that is for it alone."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from picloud_model.errors import BlobMissing

from picloud_driver.s3.gateway import S3Gateway
from picloud_driver.s3.iam_keys import IamKeys
from picloud_driver.s3.server_keys import ServerKeys
from picloud_driver.stack.bootstrap.change import Change, Found, Replacement, require_own
from picloud_driver.stack.servers.s3 import access

if TYPE_CHECKING:
    from collections.abc import Iterator

    from picloud_driver.s3.api_keys import ApiKeys
    from picloud_driver.stack.addresses import Bucket
    from picloud_driver.stack.bootstrap.keys import KeyFile

_MARK: Final = "picloud-cluster"
"""The object that names the cluster; no blob and no user's object has such a key."""


def changes(bucket: Bucket, keys: KeyFile, *, adopt: bool) -> list[Change]:
    """Return what S3 lacks, in order; see `consul.changes`.

    The API gets a key of its own if ours may make one. Otherwise it uses ours, or the machine's.
    """

    def make_bucket() -> None:
        with contextlib.closing(S3Gateway(access(bucket), connections=1)) as s3:
            s3.ensure_bucket()

    def mark() -> None:
        with contextlib.closing(S3Gateway(access(bucket), connections=1)) as s3:
            s3.remove(_MARK)
            s3.write(_MARK, keys.mark.encode())

    steps = [
        Change(f"the bucket {bucket.name}", make_bucket),
        Change(f"an object {_MARK}, which names this cluster", mark),
    ]
    with contextlib.closing(S3Gateway(access(bucket), connections=1)) as s3:
        if not s3.has_bucket():
            return [*steps, *_access(bucket, keys, is_new=True)]
        owner = None
        with contextlib.suppress(BlobMissing):
            owner = s3.read(_MARK, 0, None).decode(errors="replace")
        data = "objects" if s3.page("", most=1).keys else ""
        require_own(s3.where, Found(owner, data), keys.mark, adopt=adopt)
    return [*(steps[1:] if owner != keys.mark else ()), *_access(bucket, keys, is_new=False)]


def tokens(bucket: Bucket, keys: KeyFile) -> Replacement | None:
    """Return how the API's key in S3 is replaced; None if it has none of its own."""

    def make() -> None:
        with _opened(bucket, keys) as own:
            made = own.create()
            own.allow()
        keys.store(s3_access_key=made.access_key, s3_secret_key=made.secret_key)

    def revoke() -> int:
        with _opened(bucket, keys) as own:
            others = [each for each in own.list() or () if each != keys.now.s3_access_key]
            for each in others:
                own.remove(each)
            own.allow()
        return len(others)

    return Replacement(make, revoke) if keys.now.s3_access_key else None


def _access(bucket: Bucket, keys: KeyFile, *, is_new: bool) -> Iterator[Change]:
    """Yield what the API lacks to use the bucket with a key of its own."""

    def make_key() -> None:
        with _opened(bucket, keys) as own:
            made = own.create()
        keys.store(s3_access_key=made.access_key, s3_secret_key=made.secret_key)

    def allow() -> None:
        with _opened(bucket, keys) as own:
            own.allow()

    if not bucket.access_key:
        return  # the role of the machine
    with _opened(bucket, keys) as own:
        found = own.list()
        if found is None:
            return
        has_key = keys.now.s3_access_key in found
        if not has_key:
            yield Change("a key of the API", make_key)
        if not has_key or is_new or not own.is_allowed():
            yield Change(f"a policy that allows this key its work in {bucket.name} only", allow)


@contextlib.contextmanager
def _opened(bucket: Bucket, keys: KeyFile) -> Iterator[ApiKeys]:
    kind = ServerKeys if bucket.endpoint else IamKeys
    own: ApiKeys = kind(access(bucket), keys.now.cluster)
    with contextlib.closing(own):
        yield own
