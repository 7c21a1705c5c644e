"""Objects of S3 as values, and the parameters of requests that write them."""

from __future__ import annotations

import base64
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import replace

from picloud_driver.s3.client import UNLESS_TAKEN

if TYPE_CHECKING:
    from collections.abc import Mapping

_PUBLIC: Final = "public"
_MD5: Final = "md5"
_OF: Final = "/"
"""Stands in a tag between an MD5 and the ETag of the object that has it."""
_NAMES: Final = "headers"
"""Metadata of an object: whether it is public, its MD5, and the names of its headers."""
_HEADERS: Final = {
    "cache-control": "CacheControl",
    "content-disposition": "ContentDisposition",
    "content-encoding": "ContentEncoding",
    "content-language": "ContentLanguage",
    "content-type": "ContentType",
}
_CONDITIONS: Final = {"IfMatch": "if-match", "IfNoneMatch": "if-none-match"}


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


def object_of(path: str, answer: dict[str, Any]) -> S3Object:
    """Return the object of an answer to a GET or HEAD."""
    metadata = answer["Metadata"]
    named = metadata.get(_NAMES, "").split(",")
    headers = {name: answer[field] for name, field in _HEADERS.items() if name in named}
    etag = etag_of(answer)
    md5 = metadata.get(_MD5, "") if "-" in etag else etag
    _, _, whole = answer.get("ContentRange", "").partition("/")
    return S3Object(
        path=path,
        size=int(whole or answer["ContentLength"]),
        etag=etag,
        modified=answer["LastModified"].timestamp(),
        properties=S3Properties(headers, metadata.get(_PUBLIC) == "1", md5),
    )


def written(path: str, size: int, properties: S3Properties, headers: Mapping[str, str]) -> S3Object:
    """Return the object that a PUT has stored, by the headers of its response."""
    return S3Object(
        path=path,
        size=size,
        etag=headers.get("etag", "").strip('"'),
        modified=parsedate_to_datetime(headers["date"]).timestamp(),
        properties=properties,
    )


def md5_tags(md5: str, etag: str) -> list[dict[str, str]]:
    """Return the tags that hold the MD5 of the version of an object with this ETag."""
    return [{"Key": _MD5, "Value": f"{md5}{_OF}{etag}"}]


def with_md5(found: S3Object, tags: list[dict[str, str]]) -> S3Object:
    """Return the object with the MD5 in its tags, if that is of this version."""
    named = {tag["Key"]: tag["Value"] for tag in tags}
    md5, _, etag = named.get(_MD5, "").partition(_OF)
    if found.properties is None or etag != found.etag:
        return found
    return replace(found, properties=replace(found.properties, md5=md5))


def described(properties: S3Properties) -> dict[str, Any]:
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


def sent(properties: S3Properties, size: int) -> dict[str, Any]:
    """Return the parameters of a request with so many bytes of an object whose MD5 is known."""
    checksum = base64_of(properties.md5)
    return {**described(properties), "ContentLength": size, "ContentMD5": checksum}


def write_headers(properties: S3Properties, condition: str | None) -> dict[str, str]:
    """Return the headers of a PUT of bytes whose MD5 is known; see `conditions`."""
    metadata = described(properties)["Metadata"]
    headers = {"content-md5": base64_of(properties.md5), **properties.headers}
    headers |= {f"x-amz-meta-{name}": value for name, value in metadata.items()}
    named = conditions(condition)
    return headers | {_CONDITIONS[name]: value for name, value in named.items()}


def conditions(condition: str | None) -> dict[str, str]:
    """Return the parameter of a condition: an ETag to replace, "" for none, None for any."""
    if condition is None:
        return {}
    return {"IfMatch": f'"{condition}"'} if condition else {"IfNoneMatch": UNLESS_TAKEN}


def etag_of(answer: dict[str, Any]) -> str:
    """Return the ETag in an answer, without quotes."""
    return str(answer.get("ETag", "")).strip('"')


def base64_of(md5: str) -> str:
    """Return an MD5 in hex as HTTP has it."""
    return base64.b64encode(bytes.fromhex(md5)).decode()
