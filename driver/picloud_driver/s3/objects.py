"""The gateway to users' objects in S3. It blocks; call it from a thread."""

from __future__ import annotations

import base64
import contextlib
import time
from email.utils import parsedate_to_datetime
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from picloud_model.errors import (
    ObjectChanged,
    ObjectNotFound,
    PiCloudError,
    RequestRefused,
    UploadNotFound,
)
from urllib3.exceptions import HTTPError

from picloud_driver.s3 import faults
from picloud_driver.s3.client import UNLESS_TAKEN, s3_client

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from picloud_driver.s3.client import S3Access

VALID_S: Final = 15 * 60
"""How long a presigned URL is valid, in seconds."""
COPY_BYTES: Final = 5 * 1024**3
"""The largest object that one request copies."""
_COPY_PART: Final = 1024**3
_CONFLICTS: Final = 5
_CONFLICT_PAUSE_S: Final = 0.05
_PUBLIC: Final = "public"
_MD5: Final = "md5"
_NAMES: Final = "headers"
"""Metadata of an object: whether it is public, its MD5, and the names of its headers."""
_HEADERS: Final = {
    "cache-control": "CacheControl",
    "content-disposition": "ContentDisposition",
    "content-encoding": "ContentEncoding",
    "content-language": "ContentLanguage",
    "content-type": "ContentType",
}
_REFUSALS: Final[dict[str, tuple[type[PiCloudError], str]]] = {
    faults.NO_KEY: (ObjectNotFound, "There is no such object in your bucket."),
    "NoSuchUpload": (UploadNotFound, ""),
    faults.TAKEN: (ObjectChanged, ""),
    "BadDigest": (RequestRefused, "The bytes do not have the stated MD5: send them again."),
    "InvalidPart": (RequestRefused, "A part was not written, or has other bytes: write it again."),
    "InvalidPartOrder": (RequestRefused, "The parts of an object ascend by their numbers."),
    "EntityTooSmall": (RequestRefused, "Only the last part may have less than 5 MiB."),
    "KeyTooLongError": (RequestRefused, "The key is too long for this S3: choose a shorter one."),
}
"""What a code of S3 means here; of the others, `faults` knows."""


class S3Properties(msgspec.Struct, frozen=True):
    """The headers of an object, whether it is public, and its MD5 if that was stated."""

    headers: dict[str, str]
    public: bool
    md5: str


class S3Object(msgspec.Struct, frozen=True, kw_only=True):
    """An object in S3; `etag` is without quotes, `modified` in seconds since 1970."""

    path: str
    size: int
    etag: str
    modified: float
    properties: S3Properties | None = None


class S3Listing(msgspec.Struct, frozen=True):
    """A page of objects and common prefixes, ascending; `rest` is the token for the next page."""

    names: list[S3Object | str]
    rest: str


class S3Objects:
    """The requests for users' objects in one bucket of S3.

    Args:
        access: Address and credentials.
        connections: How many connections to keep open.
    """

    def __init__(self, access: S3Access, connections: int) -> None:
        self._bucket = access.bucket
        self.where = f"S3 at {access.endpoint or 'AWS'}, bucket {access.bucket}"
        try:
            self._client = s3_client(access, access.endpoint, connections)
            self._signer = self._client
            if access.public_endpoint:
                self._signer = s3_client(access, access.public_endpoint, 1)
        except (BotoCoreError, ValueError) as error:
            raise faults.refusal(error, self.where) from error

    def write(
        self, path: str, body: IO[bytes], size: int, properties: S3Properties, condition: str | None
    ) -> S3Object:
        """Write an object; a condition is the ETag to replace, "" for none, None for any."""
        params = {**_sent(properties, size), **_conditions(condition)}
        with self._explained():
            for conflict in range(_CONFLICTS):
                body.seek(0)
                try:
                    answer = self._client.put_object(
                        Bucket=self._bucket, Key=path, Body=body, **params
                    )
                    break
                except ClientError as error:
                    code = faults.code_of(error)
                    if code == faults.NO_KEY:
                        raise ObjectChanged from error
                    if code not in faults.BEING_WRITTEN or conflict == _CONFLICTS - 1:
                        raise
                    time.sleep(_CONFLICT_PAUSE_S * 2**conflict)
        date = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        return S3Object(
            path=path,
            size=size,
            etag=_etag(answer),
            modified=date.timestamp(),
            properties=properties,
        )

    def read(
        self, path: str, start: int, end: int | None, etag: str
    ) -> tuple[S3Object, Any] | None:
        """Return an object and a stream of some of its bytes; None if none are there."""
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
        return _object(path, answer), answer["Body"]

    def receive(self, body: Any, size: int) -> bytes:
        """Return the next bytes of a stream."""
        with self._explained():
            return bytes(body.read(size))

    def head(self, path: str) -> S3Object:
        """Return what is known of an object."""
        with self._explained():
            try:
                return _object(path, self._client.head_object(Bucket=self._bucket, Key=path))
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
        params: dict[str, Any] = {"ContinuationToken": rest} if rest else {"StartAfter": after}
        if folders:
            params["Delimiter"] = "/"
        with self._explained():
            answer = self._client.list_objects_v2(
                Bucket=self._bucket, Prefix=prefix, MaxKeys=limit, **params
            )
        names: list[S3Object | str] = [
            S3Object(
                path=each["Key"],
                size=each["Size"],
                etag=_etag(each),
                modified=each["LastModified"].timestamp(),
            )
            for each in answer.get("Contents", ())
        ]
        if common := [each["Prefix"] for each in answer.get("CommonPrefixes", ())]:
            names = sorted([*names, *common], key=_path)
        return S3Listing(names, answer["NextContinuationToken"] if answer["IsTruncated"] else "")

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
            if source.size > COPY_BYTES:
                self._copy_parts(source, target, properties)
            else:
                self._client.copy_object(
                    Bucket=self._bucket,
                    Key=target,
                    CopySource=place,
                    CopySourceIfMatch=f'"{source.etag}"',
                    MetadataDirective="REPLACE",
                    **_described(properties),
                )

    def start_upload(self, path: str, properties: S3Properties) -> str:
        """Begin an object that is written in parts."""
        with self._explained():
            answer = self._client.create_multipart_upload(
                Bucket=self._bucket, Key=path, **_described(properties)
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
                ContentMD5=_base64(md5),
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
                    (each["PartNumber"], _etag(each), each["Size"])
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
                **_conditions(condition),
            )
        return _etag(answer)

    def abort_upload(self, path: str, upload: str) -> None:
        """Remove an upload and its parts."""
        with self._explained():
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=path, UploadId=upload)

    def presign_write(
        self, path: str, size: int, properties: S3Properties, condition: str | None
    ) -> tuple[str, dict[str, str]]:
        """Return a URL to PUT exactly these bytes to, and the headers to send."""
        params = {**_sent(properties, size), **_conditions(condition)}
        headers = {"content-md5": params["ContentMD5"], **properties.headers}
        headers |= {f"x-amz-meta-{name}": value for name, value in params["Metadata"].items()}
        if condition is not None:
            headers["if-match" if condition else "if-none-match"] = (
                f'"{condition}"' if condition else UNLESS_TAKEN
            )
        return self._presigned("put_object", path, params), headers

    def presign_part(
        self, path: str, upload: str, number: int, size: int, md5: str
    ) -> tuple[str, dict[str, str]]:
        """Return a URL to PUT a part to, and the headers to send."""
        checksum = _base64(md5)
        params = {"UploadId": upload, "PartNumber": number, "ContentLength": size}
        url = self._presigned("upload_part", path, {**params, "ContentMD5": checksum})
        return url, {"content-md5": checksum}

    def presign_read(self, path: str) -> str:
        """Return a URL to GET the bytes from."""
        return self._presigned("get_object", path, {})

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
        self._signer.close()

    def _copy_parts(self, source: S3Object, target: str, properties: S3Properties) -> None:
        upload = self.start_upload(target, properties)
        try:
            parts = []
            for number, start in enumerate(range(0, source.size, _COPY_PART), 1):
                last = min(start + _COPY_PART, source.size) - 1
                answer = self._client.upload_part_copy(
                    Bucket=self._bucket,
                    Key=target,
                    UploadId=upload,
                    PartNumber=number,
                    CopySource={"Bucket": self._bucket, "Key": source.path},
                    CopySourceRange=f"bytes={start}-{last}",
                    CopySourceIfMatch=f'"{source.etag}"',
                )
                parts.append((number, _etag(answer["CopyPartResult"])))
            self.finish_upload(target, upload, parts, None)
        except BaseException:
            self.abort_upload(target, upload)
            raise

    def _presigned(self, method: str, path: str, params: dict[str, Any]) -> str:
        with self._explained():
            return str(
                self._signer.generate_presigned_url(
                    method,
                    Params={"Bucket": self._bucket, "Key": path, **params},
                    ExpiresIn=VALID_S,
                )
            )

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn errors of botocore and urllib3 into one sentence."""
        try:
            yield
        except (BotoCoreError, ClientError, ResponseParserError, HTTPError) as error:
            kind, message = _REFUSALS.get(faults.code_of(error), (None, ""))
            if kind:
                raise kind(message or None) from error
            raise faults.refusal(error, self.where) from error


def _object(path: str, answer: dict[str, Any]) -> S3Object:
    """Return the object of an answer to a GET or HEAD."""
    metadata = answer["Metadata"]
    named = metadata.get(_NAMES, "").split(",")
    headers = {name: answer[field] for name, field in _HEADERS.items() if name in named}
    etag = _etag(answer)
    md5 = metadata.get(_MD5, "") if "-" in etag else etag
    _, _, whole = answer.get("ContentRange", "").partition("/")
    return S3Object(
        path=path,
        size=int(whole or answer["ContentLength"]),
        etag=etag,
        modified=answer["LastModified"].timestamp(),
        properties=S3Properties(headers, metadata.get(_PUBLIC) == "1", md5),
    )


def _described(properties: S3Properties) -> dict[str, Any]:
    """Return the parameters of a request that writes an object with these properties."""
    # versitygw 1.8 keeps headers that the replacing copy of an object does not name.
    metadata = {_NAMES: ",".join(properties.headers)} if properties.headers else {}
    if properties.public:
        metadata[_PUBLIC] = "1"
    if properties.md5:
        metadata[_MD5] = properties.md5
    return {_HEADERS[name]: value for name, value in properties.headers.items()} | {
        "Metadata": metadata
    }


def _sent(properties: S3Properties, size: int) -> dict[str, Any]:
    checksum = _base64(properties.md5)
    return {**_described(properties), "ContentLength": size, "ContentMD5": checksum}


def _conditions(condition: str | None) -> dict[str, str]:
    if condition is None:
        return {}
    return {"IfMatch": f'"{condition}"'} if condition else {"IfNoneMatch": UNLESS_TAKEN}


def _etag(answer: dict[str, Any]) -> str:
    return str(answer.get("ETag", "")).strip('"')


def _base64(md5: str) -> str:
    return base64.b64encode(bytes.fromhex(md5)).decode()


def _path(name: S3Object | str) -> str:
    return name if isinstance(name, str) else name.path
