"""Public objects: read by everybody at one URL, on every stack."""

from __future__ import annotations

import os
import subprocess
import urllib.request
from typing import TYPE_CHECKING

import cloud
import pandas as pd
import pytest
import urllib3
from cloud import CloudException, bucket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.command_line import Exited


@pytest.fixture
def http() -> Iterator[urllib3.PoolManager]:
    """A client without a key."""
    with urllib3.PoolManager(retries=False) as pool:
        yield pool


def test_a_public_object_is_read_without_a_key(prefix: str, http: urllib3.PoolManager) -> None:
    """Its URL is below that of the folder; it has its headers, and bytes of any size."""
    data = b"0123456789" * 500_000
    bucket.putf(data, "a b/\u00fc.html", prefix)

    url = bucket.make_public("a b/\u00fc.html", prefix, {"Cache-Control": "no-cache"})

    assert url == f"{bucket.public_url_folder()}{prefix}/a%20b/%C3%BC.html"
    reply = http.request("GET", url)
    assert (reply.status, reply.data == data) == (200, True)
    assert reply.headers["Content-Type"] == "text/html"
    assert reply.headers["Cache-Control"] == "no-cache"
    head = http.request("HEAD", url)
    assert (head.status, head.headers["Content-Length"]) == (200, str(len(data)))
    assert head.headers["ETag"] == reply.headers["ETag"]
    known = bucket.info("a b/\u00fc.html", prefix)
    assert (known["public"], known["url"]) == (True, url)


def test_jobs_publish_objects_and_read_them(prefix: str, http: urllib3.PoolManager) -> None:
    """A job gets the URL that everybody else gets, and reads it without a key."""
    bucket.putf("one", "a.txt", prefix)

    def publish(key: str) -> tuple[str, str, bytes]:
        url = cloud.bucket.make_public(key)
        with urllib.request.urlopen(url) as reply:
            return url, cloud.bucket.info(key)["url"], reply.read()

    made, known, data = cloud.result(cloud.call(publish, f"{prefix}/a.txt"), timeout=60)

    assert made == known == bucket.info("a.txt", prefix)["url"]
    assert (data, http.request("GET", made).data) == (b"one", b"one")


def test_ranges_and_conditions(prefix: str, http: urllib3.PoolManager) -> None:
    """A download can be continued, and what a browser has is not sent again."""
    bucket.putf("0123456789", "a", prefix)
    url = bucket.make_public("a", prefix)
    etag = http.request("HEAD", url).headers["ETag"]
    at = http.request("HEAD", url).headers["Last-Modified"]

    def get(**headers: str) -> tuple[int, bytes]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        reply = http.request("GET", url, headers=named)
        return reply.status, reply.data

    assert get(Range="bytes=2-4") == (206, b"234")
    assert get(Range="bytes=7-") == (206, b"789")
    assert get(Range="bytes=7-99") == (206, b"789")
    assert get(Range="bytes=-2") == (206, b"89")
    assert get(Range="bytes=10-")[0] == 416
    assert get(Range="bytes=1-2,4-5") == (200, b"0123456789")
    assert get(Range="bytes=4-2") == (200, b"0123456789")
    assert get(If_None_Match=etag) == (304, b"")
    assert get(If_None_Match='"other"') == (200, b"0123456789")
    assert get(If_Modified_Since=at) == (304, b"")
    assert get(If_Match='"other"')[0] == 412
    assert get(Range="bytes=1-2", If_Range=etag) == (206, b"12")
    assert get(Range="bytes=1-2", If_Range='"other"') == (200, b"0123456789")


def test_programs_that_download_are_content(prefix: str, tmp_path: Path) -> None:
    """A download by curl goes on where it ended, and curl notices that its copy is current; pandas
    reads a table by its URL.
    """
    data = os.urandom(3_000_000)
    bucket.putf(data, "data", prefix)
    bucket.putf("name,size\na,1\n", "table.csv", prefix)
    url = bucket.make_public("data", prefix)
    (tmp_path / "copy").write_bytes(data[:1_000_000])

    def curl(*options: str) -> str:
        command = ["curl", "-sS", "--fail", "-w", "%{http_code} %{size_download}", *options, url]
        return subprocess.run(
            command, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60
        ).stdout

    assert curl("-C", "-", "-o", "copy") == "206 2000000"
    assert (tmp_path / "copy").read_bytes() == data
    assert curl("--etag-save", "tag", "-o", "new") == "200 3000000"
    assert curl("--etag-compare", "tag", "-o", "new") == "304 0"
    assert pd.read_csv(bucket.make_public("table.csv", prefix)).to_dict("list") == {
        "name": ["a"],
        "size": [1],
    }


def test_what_is_not_public_is_not_there(prefix: str, http: urllib3.PoolManager) -> None:
    """A private object, a missing one and one of no account get the same reply."""
    bucket.putf("x", "a", prefix)
    url = f"{bucket.public_url_folder()}{prefix}/a"
    bucket.make_public("a", prefix)
    assert http.request("GET", url).status == 200

    bucket.make_private("a", prefix)

    assert not bucket.is_public("a", prefix)
    private = http.request("GET", url)
    none = http.request("GET", f"{url}x")
    other = http.request("GET", url.replace("a0000001", "a9999999"))
    assert [each.status for each in (private, none, other)] == [404] * 3
    assert private.data == none.data == other.data


def test_a_new_object_is_private(prefix: str, http: urllib3.PoolManager) -> None:
    """A put over a public object does not publish what it stores."""
    bucket.putf("old", "a", prefix)
    url = bucket.make_public("a", prefix)

    bucket.putf("new", "a", prefix)

    assert http.request("GET", url).status == 404


def test_headers_are_added_or_replaced(prefix: str) -> None:
    """Only headers of content are taken, so that an object cannot act for its server."""
    bucket.putf("x", "a.txt", prefix)
    bucket.make_public("a.txt", prefix, {"content-language": "en"})
    bucket.make_public("a.txt", prefix, {"Cache-Control": "no-store"})
    both = {"content-type": "text/plain", "content-language": "en", "cache-control": "no-store"}
    assert bucket.info("a.txt", prefix)["headers"] == both

    bucket.make_public("a.txt", prefix, {"content-language": "de"}, reset_headers=True)

    assert bucket.info("a.txt", prefix)["headers"] == {"content-language": "de"}
    for wrong in ({"Set-Cookie": "a=b"}, {"content-type": "a\r\nb"}, {"cache-control": "\u00fc"}):
        with pytest.raises(CloudException, match=r"header|printable"):
            bucket.make_public("a.txt", prefix, wrong)


def test_the_commands_of_public_objects(
    prefix: str, http: urllib3.PoolManager, picloud: Callable[..., Exited]
) -> None:
    """They print the URL, and whether an object is public."""
    bucket.putf("x", "a", prefix)

    made = picloud("bucket", "make-public", "a", "-p", prefix, "-d", "Content-Type=text/css")

    assert made.out.startswith(picloud("bucket", "public-url-folder").out.strip())
    assert http.request("GET", made.out.strip()).headers["Content-Type"] == "text/css"
    assert picloud("bucket", "is-public", "a", "-p", prefix).out == "yes\n"
    assert picloud("bucket", "make-private", "a", "-p", prefix).code == 0
    assert picloud("bucket", "is-public", "a", "-p", prefix).out == "no\n"
