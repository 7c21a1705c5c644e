"""Requests that are sent to S3 without botocore: whatever is unexpected is left to botocore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_driver.s3.client import S3Access, s3_client
from picloud_driver.s3.direct import S3Direct

from tests.contract.scripted_server import ScriptedAnswer, ScriptedServer
from tests.servers.process import free_ports

if TYPE_CHECKING:
    from tests.contract.blob_adapters import Bucket


def direct_on(access: S3Access) -> S3Direct:
    """What is tested, with a client of its own."""
    return S3Direct(access, s3_client(access, access.endpoint, 1), connections=1)


def direct_at(url: str) -> S3Direct:
    """The same for a server without credentials."""
    return direct_on(S3Access("buck", endpoint=url, access_key="a", secret_key="b"))


def test_bytes_and_headers_come_back(bucket_site: Bucket) -> None:
    """What was written is read, with its headers, ranges of it, too; S3 accepts the signatures."""
    direct = direct_on(bucket_site.access)

    written = direct.send("PUT", "a b/%41%", headers={"x-amz-meta-md5": "x"}, body=b"0123456789")
    read = direct.send("GET", "a b/%41%", headers={"range": "bytes=2-4"})
    listed = direct.send("GET", "", query={"list-type": "2", "prefix": "a b/"})
    direct.close()

    assert written is not None
    assert written.is_success
    assert read is not None
    assert (read.status, read.body) == (206, b"234")
    assert read.answer()["Metadata"] == {"md5": "x"}
    assert read.answer()["ContentRange"] == "bytes 2-4/10"
    assert listed is not None
    assert b"<Key>a b/%41%</Key>" in listed.body


def test_only_a_missing_key_is_missing(bucket_site: Bucket) -> None:
    """A missing object is not taken for a missing bucket."""
    direct = direct_on(bucket_site.access)

    before = direct.send("GET", "a")
    bucket_site.make_unavailable()
    after = direct.send("GET", "a")
    direct.close()

    assert before is not None
    assert before.has_no_key
    assert after is not None
    assert not after.has_no_key


@pytest.mark.parametrize("missing_bytes", [1, 100_000])
def test_a_cut_body_is_none(missing_bytes: int) -> None:
    """A response that ends early counts as missing."""
    with ScriptedServer(ScriptedAnswer(200, b"short")) as server:
        server.missing_bytes = missing_bytes
        direct = direct_at(server.url)

        assert direct.send("GET", "a") is None
        direct.close()


def test_no_response_is_none() -> None:
    """Neither a server that hangs up nor one that is gone is an error here."""
    with ScriptedServer(ScriptedAnswer(200)) as server:
        server.hang_ups = 1
        direct = direct_at(server.url)
        assert direct.send("GET", "a") is None
        assert direct.send("GET", "a") is not None
        direct.close()

    (port,) = free_ports(1)
    gone = direct_at(f"http://127.0.0.1:{port}")
    assert gone.send("GET", "a") is None
    gone.close()
