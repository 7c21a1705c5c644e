"""The gateway to blobs in S3. It blocks; call it from a thread."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import msgspec
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from picloud_model.errors import BlobMissing
from s3transfer.manager import TransferConfig, TransferManager
from urllib3.exceptions import HTTPError

from picloud_driver.s3 import faults
from picloud_driver.s3.client import DEFAULT_REGION, UNLESS_TAKEN, s3_client
from picloud_driver.s3.direct import S3Direct
from picloud_driver.s3.signature import S3Signer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from picloud_driver.s3.client import S3Access

LARGE_BYTES: Final = 64 * 1024 * 1024
"""A larger blob is written in parts."""
PAGE_KEYS: Final = 1000
"""Maximum number of keys in one page of a listing."""
PRESIGNED_S: Final = 5 * 60
"""How long a presigned URL to write is valid, in seconds: until the upload begins.

It outlives a key that is deactivated meanwhile, but is bound to the bytes: their number and digest
are signed, and it writes nothing over. A client requests those for 64 MiB at a time, so that a slow
link begins with the last of them in time.
"""
PRESIGNED_READ_S: Final = 60
"""How long a presigned URL to read is valid, in seconds.

It is followed at once, and outlives a key that is deactivated meanwhile.
"""
_CHECKSUM: Final = "x-amz-checksum-sha256"
_PART_BYTES: Final = 16 * 1024 * 1024
_PARTS_AT_ONCE: Final = 4
_CONFLICTS: Final = 5
"""How often a write is tried that meets another writer of the same key."""
_CONFLICT_PAUSE_S: Final = 0.05


class KeyPage(msgspec.Struct, frozen=True):
    """Some keys, ascending, and the sizes of their objects.

    `rest` is the token for the next page, "" on the last page.
    """

    keys: list[str]
    sizes: list[int]
    rest: str


class S3Gateway:
    """The requests that the platform makes to one bucket, in plain values and `PiCloudError`s.

    Args:
        access: Address and credentials.
        connections: How many connections to keep open.

    Raises:
        Unavailable: When the address is invalid, or one of the two keys is missing.
    """

    def __init__(self, access: S3Access, connections: int) -> None:
        self._bucket = access.bucket
        self._region = access.region
        self.where = f"S3 at {access.endpoint or 'AWS'}, bucket {access.bucket}"
        try:
            self._client = s3_client(access, access.endpoint, connections)
            # s3transfer, which writes in parts, has no such option.
            event = "provide-client-params.s3.CompleteMultipartUpload"
            self._client.meta.events.register(event, _unless_taken)
            self._direct = S3Direct(access, self._client, connections)
            endpoint = access.public_endpoint or self._client.meta.endpoint_url
            self._signer = S3Signer(access, endpoint)
        except (BotoCoreError, ValueError) as error:
            raise faults.refusal(error, self.where) from error

    def write(self, key: str, data: bytes) -> bool:
        """Write an object unless the key is taken; return whether it was written.

        After a lost answer the request is repeated, and returns False although it wrote the object.
        """
        if len(data) <= LARGE_BYTES:
            reply = self._direct.send("PUT", key, headers=_headers(data), body=data)
            if reply is not None and (reply.is_success or reply.is_taken):
                return reply.is_success
        write = self._write_parts if len(data) > LARGE_BYTES else self._write_whole
        with self._explained():
            for conflict in range(_CONFLICTS):
                try:
                    write(key, data)
                except ClientError as error:
                    code = faults.code_of(error)
                    if code == faults.TAKEN:
                        return False
                    if code not in faults.BEING_WRITTEN or conflict == _CONFLICTS - 1:
                        raise
                    time.sleep(_CONFLICT_PAUSE_S * 2**conflict)
                else:
                    return True
        return False

    def read(self, key: str, start: int, end: int | None) -> bytes:
        """Return bytes `start .. end-1`, as far as they exist.

        Raises:
            BlobMissing: When there is no such key.
        """
        if end is not None and end <= start:
            if not self.exists(key):
                self.look()
                raise BlobMissing
            return b""
        if (read := self._read_directly(key, start, end)) is not None:
            return read
        # There is a checksum of the whole object only.
        part = {"ChecksumMode": "ENABLED"}
        if start or end is not None:
            part = {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
        with self._explained():
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=key, **part)
            except ClientError as error:
                if faults.code_of(error) == faults.PAST_THE_END:
                    return b""
                raise
            with contextlib.closing(answer["Body"]) as body:
                return bytes(body.read())

    def _read_directly(self, key: str, start: int, end: int | None) -> bytes | None:
        """Return what `read` does; None if botocore has to read it, or to say why it cannot be."""
        if end is None:
            # It may be large. The whole has a checksum, which is checked while it arrives.
            return None
        reply = self._direct.send("GET", key, headers={"range": f"bytes={start}-{end - 1}"})
        return reply.body if reply is not None and reply.is_success else None

    def exists(self, key: str) -> bool:
        """Whether a key exists; also False if there is no bucket, see `look`."""
        return self.size(key) is not None

    def size(self, key: str) -> int | None:
        """Return the length of an object; None if there is no such key or no bucket."""
        reply = self._direct.send("HEAD", key)
        if reply is not None and reply.status == HTTPStatus.NOT_FOUND:
            return None
        if reply is not None and reply.is_success:
            return int(reply.headers["content-length"])
        with self._explained():
            try:
                return int(self._client.head_object(Bucket=self._bucket, Key=key)["ContentLength"])
            except ClientError as error:
                if faults.code_of(error) == faults.NOTHING_THERE:
                    return None
                raise

    def remove(self, key: str) -> None:
        """Remove a key if it exists."""
        with self._explained():
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def page(self, prefix: str, after: str = "", rest: str = "", most: int = PAGE_KEYS) -> KeyPage:
        """Return keys that begin with `prefix`, after the key `after` or an earlier page."""
        begin = {"ContinuationToken": rest} if rest else {"StartAfter": after}
        with self._explained():
            answer = self._client.list_objects_v2(
                Bucket=self._bucket, Prefix=prefix, MaxKeys=most, **begin
            )
        listed = answer.get("Contents", ())
        return KeyPage(
            keys=[each["Key"] for each in listed],
            sizes=[each["Size"] for each in listed],
            rest=answer["NextContinuationToken"] if answer["IsTruncated"] else "",
        )

    def look(self) -> None:
        """Return if the bucket exists and may be read."""
        with self._explained():
            self._look()

    def has_bucket(self) -> bool:
        """Whether the bucket exists."""
        with self._explained():
            try:
                self._look()
            except ClientError as error:
                if faults.code_of(error) != faults.NO_BUCKET:
                    raise
                return False
        return True

    def ensure_bucket(self) -> None:
        """Make the bucket unless it exists."""
        # First, as a key that may use a bucket often may not make buckets.
        if self.has_bucket():
            return
        where = {} if self._region == DEFAULT_REGION else {"LocationConstraint": self._region}
        with (
            self._explained(),
            contextlib.suppress(self._client.exceptions.BucketAlreadyOwnedByYou),
        ):
            self._client.create_bucket(
                Bucket=self._bucket,
                **({"CreateBucketConfiguration": where} if where else {}),
            )

    def presign_write(self, key: str, size: int, checksum: str) -> tuple[str, dict[str, str]]:
        """Return a URL to PUT these bytes to unless the key is taken, and headers to send."""
        headers = {_CHECKSUM: checksum, "if-none-match": UNLESS_TAKEN}
        signed = {**headers, "content-length": str(size)}
        with self._explained():
            return self._signer.url("PUT", key, PRESIGNED_S, headers=signed), headers

    def presign_read(self, key: str) -> str:
        """Return a URL to GET the bytes from."""
        with self._explained():
            return self._signer.url("GET", key, PRESIGNED_READ_S)

    def close(self) -> None:
        """Close the connections; one in use closes when its response has arrived."""
        self._client.close()
        self._direct.close()

    def _write_whole(self, key: str, data: bytes) -> None:
        self._client.put_object(
            Bucket=self._bucket,
            Key=key,
            Body=data,
            IfNoneMatch=UNLESS_TAKEN,
            ChecksumSHA256=_checksum(data),
        )

    def _write_parts(self, key: str, data: bytes) -> None:
        config = TransferConfig(LARGE_BYTES, _PART_BYTES, _PARTS_AT_ONCE)
        options = {"ChecksumAlgorithm": "SHA256"}
        with TransferManager(self._client, config) as parts:
            parts.upload(io.BytesIO(data), self._bucket, key, options).result()

    def _look(self) -> None:
        # Not a HEAD, whose answer is the same for a missing bucket and a wrong access key; and a
        # folder that is certainly empty, as some servers read a whole folder to list it.
        self._client.list_objects_v2(Bucket=self._bucket, Prefix="!/", MaxKeys=1)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn errors of botocore and urllib3 into one sentence."""
        try:
            yield
        except (BotoCoreError, ClientError, ResponseParserError, HTTPError) as error:
            raise faults.refusal(error, self.where) from error


def _checksum(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def _headers(data: bytes) -> dict[str, str]:
    return {_CHECKSUM: _checksum(data), "if-none-match": UNLESS_TAKEN}


def _unless_taken(params: dict[str, Any], **_event: Any) -> dict[str, Any]:
    return {**params, "IfNoneMatch": UNLESS_TAKEN}
