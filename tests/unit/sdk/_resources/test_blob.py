"""Blobs: uploaded once, checked when read."""

from __future__ import annotations

from hashlib import sha256

import pytest
from cloud._config.configuration import Config
from cloud._http.transport import Transport
from cloud._resources.blob import REQUEST_BYTES, SMALL_BYTES, BlobClient, portions

from tests.unit.sdk.fake_server import ADDRESS, FakeServer


@pytest.fixture
def blobs(server: FakeServer) -> BlobClient:
    """A client of the fake server's blobs."""
    return BlobClient(Transport(ADDRESS, Config(), server))


def _named(*blobs: bytes) -> dict[str, bytes]:
    return {sha256(blob).hexdigest(): blob for blob in blobs}


def test_small_blobs_travel_together(server: FakeServer, blobs: BlobClient) -> None:
    """A bundle of many small modules is two requests."""
    blobs.ensure(_named(*(bytes([n]) * 1000 for n in range(50))))

    assert len(server.blobs) == 50
    assert server.paths() == ["POST /v1/blobs/missing", "POST /v1/blobs"]


def test_large_blobs_travel_alone(server: FakeServer, blobs: BlobClient) -> None:
    """What is large is put under its own name."""
    blobs.ensure(_named(b"a", b"x" * (SMALL_BYTES + 1), b"b"))

    assert len(server.blobs) == 3
    assert sum(path.startswith("PUT") for path in server.paths()) == 3


def test_no_request_is_too_large(server: FakeServer, blobs: BlobClient) -> None:
    """Small blobs are spread over requests of 4 MiB."""
    blobs.ensure(_named(*(n.to_bytes(2) * (SMALL_BYTES // 2) for n in range(40))))

    assert len(server.blobs) == 40
    assert all(len(sent.body or b"") <= REQUEST_BYTES + 10_000 for sent in server.sent)


def test_what_is_there_is_not_sent(server: FakeServer, blobs: BlobClient) -> None:
    """Only what the server lacks is uploaded, and no digest is sent twice."""
    named = _named(b"a", b"b")
    server.blobs.update(_named(b"a"))

    blobs.ensure(named)
    blobs.ensure(named)

    assert len(server.sent) == 2
    assert server.blobs == named


def test_known_blobs_can_be_doubted(server: FakeServer, blobs: BlobClient) -> None:
    """With `anew` the server is asked again, as it may have deleted them."""
    blobs.ensure(_named(b"a"))
    server.blobs.clear()

    blobs.ensure(_named(b"a"), anew=True)

    assert server.blobs == _named(b"a")


def test_the_server_is_asked_for_few_places_at_a_time() -> None:
    """What it answers expires: as many bytes as are soon uploaded, and one blob at least."""
    sized = [(2, "a"), (3, "b"), (9, "c"), (1, "d")]

    assert list(portions(sized, most_bytes=5)) == [["a", "b"], ["c"], ["d"]]
    assert list(portions([(2, "a")] * 1001)) == [["a"] * 1000, ["a"]]
    assert list(portions([])) == []
