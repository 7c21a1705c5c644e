"""Listings of S3, read from its XML: botocore takes longer to read a page than S3 to make it."""

from __future__ import annotations

from typing import Any, Final
from xml.etree import ElementTree as ET

import msgspec

from picloud_driver.s3.client import time_of
from picloud_driver.s3.object_values import S3Object, etag_of

_SPACE: Final = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class S3Listing(msgspec.Struct, frozen=True):
    """A page of objects and common prefixes, ascending; `rest` is the token for the next page."""

    names: list[S3Object | str]
    rest: str


def listing_of(body: bytes) -> S3Listing | None:
    """Return the page in the body of a response; None if it is not one.

    >>> listing_of(b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
    S3Listing(names=[], rest='')
    """
    try:
        root = ET.fromstring(body)  # noqa: S314 - from the S3 that the operator has chosen
    except ET.ParseError:
        return None
    space = _SPACE if root.tag.startswith(_SPACE) else ""
    if root.tag != f"{space}ListBucketResult" or root.findtext(f"{space}EncodingType"):
        return None
    names: list[S3Object | str] = [
        S3Object(
            path=each.findtext(f"{space}Key", ""),
            size=int(each.findtext(f"{space}Size", "0")),
            etag=each.findtext(f"{space}ETag", "").strip('"'),
            modified=time_of(each.findtext(f"{space}LastModified", "")).timestamp(),
        )
        for each in root.iterfind(f"{space}Contents")
    ]
    if common := root.findall(f"{space}CommonPrefixes/{space}Prefix"):
        names = sorted([*names, *(each.text or "" for each in common)], key=_path)
    is_cut = root.findtext(f"{space}IsTruncated") == "true"
    return S3Listing(names, root.findtext(f"{space}NextContinuationToken", "") if is_cut else "")


def listing_in(answer: dict[str, Any]) -> S3Listing:
    """Return the page in an answer of botocore's."""
    names: list[S3Object | str] = [
        S3Object(
            path=each["Key"],
            size=each["Size"],
            etag=etag_of(each),
            modified=each["LastModified"].timestamp(),
        )
        for each in answer.get("Contents", ())
    ]
    if common := [each["Prefix"] for each in answer.get("CommonPrefixes", ())]:
        names = sorted([*names, *common], key=_path)
    return S3Listing(names, answer["NextContinuationToken"] if answer["IsTruncated"] else "")


def _path(name: S3Object | str) -> str:
    return name if isinstance(name, str) else name.path
