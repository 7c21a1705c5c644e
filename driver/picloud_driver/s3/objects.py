"""The gateway to users' objects in S3. It blocks; call it from a thread."""

from __future__ import annotations

import contextlib
import io
import time
from typing import IO, TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from picloud_model.errors import (
    ObjectChanged,
    ObjectNotFound,
    UploadNotFound,
)
from urllib3.exceptions import HTTPError

from picloud_driver.s3 import faults
from picloud_driver.s3.client import s3_client
from picloud_driver.s3.direct import S3Direct
from picloud_driver.s3.listing import S3Listing, listing_in, listing_of
from picloud_driver.s3.object_values import (
    S3Object,
    S3Properties,
    base64_of,
    conditions,
    described,
    etag_of,
    md5_tags,
    object_of,
    sent,
    with_md5,
    write_headers,
    written,
)
from picloud_driver.s3.signature import S3Signer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from picloud_driver.s3.client import S3Access

VALID_S: Final = 5 * 60
"""How long a presigned URL is valid, in seconds: until a request for it begins.

It outlives a key that is deactivated meanwhile, but is for one object, and to write only for the
stated bytes. A client that reads a large object for longer requests another one.
"""
COPY_BYTES: Final = 5 * 1024**3
"""The largest object that one request copies."""
_COPY_PART: Final = 1024**3
_AT_ONCE_BYTES: Final = 1024 * 1024
"""Up to this size a body is sent at once; botocore asks S3 first whether it may send a file."""
_CONFLICTS: Final = 5
_CONFLICT_PAUSE_S: Final = 0.05


class S3Objects:
    """The requests for users' objects in one bucket of S3.

    Args:
        access: Address and credentials.
        connections: How many connections to keep open.
        copy_bytes: The largest object that one request copies; others are copied in parts.
    """

    def __init__(self, access: S3Access, connections: int, copy_bytes: int = COPY_BYTES) -> None:
        self._bucket = access.bucket
        self._copy_bytes = copy_bytes
        self._copy_part = min(copy_bytes, _COPY_PART)
        self.where = f"S3 at {access.endpoint or 'AWS'}, bucket {access.bucket}"
        try:
            self._client = s3_client(access, access.endpoint, connections)
            self._direct = S3Direct(access, self._client, connections)
            endpoint = access.public_endpoint or self._client.meta.endpoint_url
            self._signer = S3Signer(access, endpoint)
        except (BotoCoreError, ValueError) as error:
            raise faults.refusal(error, self.where) from error

    def write(
        self, path: str, body: IO[bytes], size: int, properties: S3Properties, condition: str | None
    ) -> S3Object:
        """Write an object; a condition is the ETag to replace, "" for none, None for any."""
        body.seek(0)
        content: Any = body
        if size <= _AT_ONCE_BYTES:
            content = body.read()
            headers = write_headers(properties, condition)
            reply = self._direct.send("PUT", path, headers=headers, body=content)
            if reply is not None and reply.is_success:
                return written(path, size, properties, reply.headers)
        params = {**sent(properties, size), **conditions(condition)}
        with self._explained():
            for conflict in range(_CONFLICTS):
                body.seek(0)
                try:
                    answer = self._client.put_object(
                        Bucket=self._bucket, Key=path, Body=content, **params
                    )
                    break
                except ClientError as error:
                    code = faults.code_of(error)
                    if code == faults.NO_KEY:
                        raise ObjectChanged from error
                    if code not in faults.BEING_WRITTEN or conflict == _CONFLICTS - 1:
                        raise
                    time.sleep(_CONFLICT_PAUSE_S * 2**conflict)
        return written(path, size, properties, answer["ResponseMetadata"]["HTTPHeaders"])

    def read(
        self, path: str, start: int, end: int | None, etag: str
    ) -> tuple[S3Object, Any] | None:
        """Return an object and a stream of some of its bytes; None if none are there."""
        if end is not None and end - start <= _AT_ONCE_BYTES:
            headers = {"range": f"bytes={start}-{end - 1}"}
            headers |= {"if-match": f'"{etag}"'} if etag else {}
            reply = self._direct.send("GET", path, headers=headers)
            if reply is not None and reply.is_success:
                with self._explained():
                    return self._known(path, reply.answer()), io.BytesIO(reply.body)
            if reply is not None and reply.has_no_key:
                raise ObjectNotFound
        params = {"IfMatch": f'"{etag}"'} if etag else {}
        if start or end is not None:
            params["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        with self._explained():
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=path, **params)
            except ClientError as error:
                if faults.code_of(error) == faults.PAST_THE_END:
                    return None
                raise
        return self._known(path, answer), answer["Body"]

    def receive(self, body: Any, size: int) -> bytes:
        """Return the next bytes of a stream."""
        with self._explained():
            return bytes(body.read(size))

    def head(self, path: str) -> S3Object:
        """Return what is known of an object."""
        # The response to a HEAD does not say whether the bucket is missing.
        reply = self._direct.send("GET", path, headers={"range": "bytes=0-0"})
        if reply is not None and reply.has_no_key:
            raise ObjectNotFound
        with self._explained():
            if reply is not None and reply.is_success:
                return self._known(path, reply.answer())
            try:
                return self._known(path, self._client.head_object(Bucket=self._bucket, Key=path))
            except ClientError as error:
                if faults.code_of(error) != faults.NOTHING_THERE:
                    raise
                self.look()
                raise ObjectNotFound from error

    def look(self) -> None:
        """Return if the bucket exists: the answer to a HEAD does not say."""
        with self._explained():
            self._client.list_objects_v2(Bucket=self._bucket, Prefix="!/", MaxKeys=1)

    def page(self, prefix: str, after: str, rest: str, *, folders: bool, limit: int) -> S3Listing:
        """Return objects and, with `folders`, what paths have in common up to a `/`."""
        query = {"list-type": "2", "prefix": prefix, "max-keys": str(limit)}
        query |= {"continuation-token": rest} if rest else {"start-after": after}
        query |= {"delimiter": "/"} if folders else {}
        reply = self._direct.send(
            "GET", "", query={name: query[name] for name in query if query[name]}
        )
        listing = listing_of(reply.body) if reply is not None and reply.is_success else None
        if listing is not None:
            return listing
        params: dict[str, Any] = {"ContinuationToken": rest} if rest else {"StartAfter": after}
        if folders:
            params["Delimiter"] = "/"
        with self._explained():
            answer = self._client.list_objects_v2(
                Bucket=self._bucket, Prefix=prefix, MaxKeys=limit, **params
            )
        return listing_in(answer)

    def remove(self, paths: Sequence[str]) -> None:
        """Remove up to 1,000 objects, as far as they exist."""
        wanted = {"Objects": [{"Key": path} for path in paths], "Quiet": True}
        with self._explained():
            answer = self._client.delete_objects(Bucket=self._bucket, Delete=wanted)
            for error in answer.get("Errors", ()):
                raise ClientError({"Error": error}, "DeleteObjects")

    def copy(self, source: S3Object, target: str, properties: S3Properties) -> None:
        """Copy an object within S3, with other properties."""
        place = {"Bucket": self._bucket, "Key": source.path}
        with self._explained():
            if source.size > self._copy_bytes:
                self._copy_parts(source, target, properties)
            else:
                self._client.copy_object(
                    Bucket=self._bucket,
                    Key=target,
                    CopySource=place,
                    CopySourceIfMatch=f'"{source.etag}"',
                    MetadataDirective="REPLACE",
                    **described(properties),
                )

    def start_upload(self, path: str, properties: S3Properties) -> str:
        """Begin an object that is written in parts."""
        with self._explained():
            answer = self._client.create_multipart_upload(
                Bucket=self._bucket, Key=path, **described(properties)
            )
            return str(answer["UploadId"])

    def write_part(self, path: str, upload: str, number: int, body: IO[bytes], md5: str) -> None:
        """Write a part of an upload."""
        body.seek(0)
        with self._explained():
            self._client.upload_part(
                Bucket=self._bucket,
                Key=path,
                UploadId=upload,
                PartNumber=number,
                Body=body,
                ContentMD5=base64_of(md5),
            )

    def parts(self, path: str, upload: str) -> list[tuple[int, str, int]]:
        """Return number, MD5 and size of each part of an upload."""
        parts: list[tuple[int, str, int]] = []
        begin = 0
        with self._explained():
            while True:
                answer = self._client.list_parts(
                    Bucket=self._bucket, Key=path, UploadId=upload, PartNumberMarker=begin
                )
                parts += [
                    (each["PartNumber"], etag_of(each), each["Size"])
                    for each in answer.get("Parts", ())
                ]
                if not answer.get("IsTruncated"):
                    return parts
                begin = answer["NextPartNumberMarker"]

    def finish_upload(
        self, path: str, upload: str, parts: Sequence[tuple[int, str]], condition: str | None
    ) -> str:
        """Write the object that consists of these parts, and return its ETag."""
        named = [{"PartNumber": number, "ETag": f'"{md5}"'} for number, md5 in parts]
        with self._explained():
            answer = self._client.complete_multipart_upload(
                Bucket=self._bucket,
                Key=path,
                UploadId=upload,
                MultipartUpload={"Parts": named},
                **conditions(condition),
            )
        return etag_of(answer)

    def tag(self, path: str, etag: str, md5: str) -> None:
        """Store the MD5 of an object that was written in parts, for the version with this ETag.

        Metadata would have to be known before the first part. Where tags are not permitted, the MD5
        is not stored.
        """
        tags = md5_tags(md5, etag)
        with self._explained(), contextlib.suppress(ClientError):
            self._client.put_object_tagging(Bucket=self._bucket, Key=path, Tagging={"TagSet": tags})

    def _known(self, path: str, answer: dict[str, Any]) -> S3Object:
        """Return the object of an answer to a GET or HEAD, with an MD5 that is stored as a tag."""
        found = object_of(path, answer)
        if not answer.get("TagCount") or found.properties is None or found.properties.md5:
            return found
        tags = self._client.get_object_tagging(Bucket=self._bucket, Key=path)["TagSet"]
        return with_md5(found, tags)

    def abort_upload(self, path: str, upload: str) -> None:
        """Remove an upload and its parts."""
        with self._explained():
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=path, UploadId=upload)

    def unfinished_bytes(self, prefix: str) -> int:
        """Return how many bytes the parts of uploads under a prefix have."""
        size = 0
        for each in self._uploads(prefix):
            with contextlib.suppress(UploadNotFound):  # it has ended meanwhile
                size += sum(part[2] for part in self.parts(each["Key"], each["UploadId"]))
        return size

    def abort_old_uploads(self, prefix: str, before: float) -> int:
        """Remove uploads to which nothing was written since a time; return how many."""
        with self._explained():
            return sum(
                self._abort_if_old(each["Key"], each["UploadId"], before)
                for each in self._uploads(prefix)
                if each["Initiated"].timestamp() < before
            )

    def _uploads(self, prefix: str) -> Iterator[dict[str, Any]]:
        """Yield what S3 tells of each upload under a prefix that has not ended."""
        pages = self._client.get_paginator("list_multipart_uploads")
        with self._explained():
            for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
                yield from page.get("Uploads", ())

    def _abort_if_old(self, path: str, upload: str, before: float) -> bool:
        try:
            for page in self._client.get_paginator("list_parts").paginate(
                Bucket=self._bucket, Key=path, UploadId=upload
            ):
                parts = page.get("Parts", ())
                if any(part["LastModified"].timestamp() >= before for part in parts):
                    return False
            self.abort_upload(path, upload)
        except (ClientError, UploadNotFound) as error:
            if isinstance(error, ClientError) and faults.code_of(error) != "NoSuchUpload":
                raise
            return False
        return True

    def presign_write(
        self, path: str, size: int, properties: S3Properties, condition: str | None
    ) -> tuple[str, dict[str, str]]:
        """Return a URL to PUT exactly these bytes to, and the headers to send."""
        headers = write_headers(properties, condition)
        return self._presigned("PUT", path, {**headers, "content-length": str(size)}), headers

    def presign_part(
        self, path: str, upload: str, number: int, size: int, md5: str
    ) -> tuple[str, dict[str, str]]:
        """Return a URL to PUT a part to, and the headers to send."""
        headers = {"content-md5": base64_of(md5)} if md5 else {}
        query = {"uploadId": upload, "partNumber": str(number)}
        signed = {**headers, "content-length": str(size)}
        return self._presigned("PUT", path, signed, query), headers

    def presign_read(self, path: str) -> str:
        """Return a URL to GET the bytes from."""
        return self._presigned("GET", path)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
        self._direct.close()

    def _copy_parts(self, source: S3Object, target: str, properties: S3Properties) -> None:
        upload = self.start_upload(target, properties)
        try:
            parts = []
            for number, start in enumerate(range(0, source.size, self._copy_part), 1):
                last = min(start + self._copy_part, source.size) - 1
                answer = self._client.upload_part_copy(
                    Bucket=self._bucket,
                    Key=target,
                    UploadId=upload,
                    PartNumber=number,
                    CopySource={"Bucket": self._bucket, "Key": source.path},
                    CopySourceRange=f"bytes={start}-{last}",
                    CopySourceIfMatch=f'"{source.etag}"',
                )
                parts.append((number, etag_of(answer["CopyPartResult"])))
            self._check_unchanged(source)
            self.finish_upload(target, upload, parts, None)
        except BaseException:
            self.abort_upload(target, upload)
            raise

    def _check_unchanged(self, source: S3Object) -> None:
        """Raise an error if an object was replaced: versitygw copies it nevertheless."""
        if self.head(source.path).etag != source.etag:
            raise ObjectChanged

    def _presigned(
        self,
        verb: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> str:
        with self._explained():
            return self._signer.url(verb, path, VALID_S, headers=headers, query=query)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn errors of botocore and urllib3 into one sentence."""
        try:
            yield
        except (BotoCoreError, ClientError, ResponseParserError, HTTPError) as error:
            kind, message = faults.OF_OBJECTS.get(faults.code_of(error), (None, ""))
            if kind:
                raise kind(message or None) from error
            raise faults.refusal(error, self.where) from error
