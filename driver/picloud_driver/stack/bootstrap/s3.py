"""What S3 needs: a bucket that belongs to this cluster."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from picloud_model.errors import BlobMissing

from picloud_driver.s3.gateway import S3Gateway
from picloud_driver.stack.bootstrap.change import Change, Found, require_own
from picloud_driver.stack.servers.s3 import access

if TYPE_CHECKING:
    from picloud_driver.stack.addresses import Bucket
    from picloud_driver.stack.bootstrap.keys import KeyFile

_MARK: Final = "picloud-cluster"
"""The object that names the cluster; no blob and no user's object has such a key."""


def changes(bucket: Bucket, keys: KeyFile, *, adopt: bool) -> list[Change]:
    """Return what S3 lacks, in order; see `consul.changes`."""

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
            return steps
        owner = None
        with contextlib.suppress(BlobMissing):
            owner = s3.read(_MARK, 0, None).decode(errors="replace")
        data = "objects" if s3.page("", most=1).keys else ""
        require_own(s3.where, Found(owner, data), keys.mark, adopt=adopt)
    return steps[1:] if owner != keys.mark else []
