"""Signed URLs are those that botocore's client makes."""

from __future__ import annotations

import time
from urllib.parse import parse_qsl, urlsplit

import pytest
from picloud_driver.s3.client import S3Access, s3_client
from picloud_driver.s3.signature import S3Signer

HEADERS = {
    "content-md5": "1B2M2Y8AsgTpgAmY7PhCfg==",
    "content-type": "text/plain;  charset=utf-8",
    "if-none-match": "*",
    "x-amz-meta-public": "1",
}
PARAMETERS = {
    "ContentMD5": "1B2M2Y8AsgTpgAmY7PhCfg==",
    "ContentType": "text/plain;  charset=utf-8",
    "IfNoneMatch": "*",
    "Metadata": {"public": "1"},
    "ContentLength": 5,
}
PART = {"UploadId": "a+b=/c", "PartNumber": 3, "ContentLength": 5}


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9000", "https://s3.example/under", ""])
@pytest.mark.parametrize("key", ["a", "a b/c%20d%", "../x//ü~", "\ufffd0&=?#+", "-" * 900])
@pytest.mark.parametrize(
    ("verb", "method", "params", "headers", "query"),
    [
        ("GET", "get_object", {}, {}, {}),
        ("HEAD", "head_object", {}, {}, {}),
        ("PUT", "put_object", PARAMETERS, HEADERS | {"content-length": "5"}, {}),
        (
            "PUT",
            "upload_part",
            PART,
            {"content-length": "5"},
            {"uploadId": "a+b=/c", "partNumber": "3"},
        ),
    ],
)
def test_a_url_is_that_of_botocore(  # noqa: PLR0917 - a table
    endpoint: str,
    key: str,
    verb: str,
    method: str,
    params: dict[str, object],
    headers: dict[str, str],
    query: dict[str, str],
) -> None:
    """For every key, verb and endpoint the URL has the same path, parameters and signature."""
    access = S3Access("buck", endpoint=endpoint, access_key="ours", secret_key="hidden")
    client = s3_client(access, endpoint, 1)
    signer = S3Signer(access, client.meta.endpoint_url)

    before, theirs, ours = "", "", ""
    while before != _second():  # the same second is in both
        before = _second()
        theirs = client.generate_presigned_url(
            method, Params={"Bucket": "buck", "Key": key, **params}, ExpiresIn=60
        )
        ours = signer.url(verb, key, 60, headers=headers, query=query)
    client.close()

    assert urlsplit(ours)[:3] == urlsplit(theirs)[:3]
    assert sorted(parse_qsl(urlsplit(ours).query)) == sorted(parse_qsl(urlsplit(theirs).query))


def test_other_secrets_sign_otherwise() -> None:
    """Credentials are those of the access."""
    first, second = (
        S3Signer(S3Access("buck", access_key="ours", secret_key=secret), "http://s3.example")
        for secret in ("hidden", "other")
    )

    urls = [signer.url("GET", "a", 60).rpartition("=")[2] for signer in (first, second)]

    assert urls[0] != urls[1]
    assert {len(url) for url in urls} == {64}


def _second() -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
