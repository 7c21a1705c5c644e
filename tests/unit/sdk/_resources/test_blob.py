"""Blobs: uploaded once, checked when read."""

from __future__ import annotations

import threading
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from cloud._config.configuration import Config
from cloud._http.transport import ServerAddress, Transport
from cloud._resources.blob import REQUEST_BYTES, SMALL_BYTES, BlobClient, content_of, portions
from cloud.errors import CloudException
from picloud_model.pack import UNSEALED, Pieces, seal
from picloud_model.wire.blob import SharedDirectories

from tests.polling import DEADLINE_S
from tests.unit.sdk.fake_server import ADDRESS, FakeServer

if TYPE_CHECKING:
    from pathlib import Path

    from cloud._http.exchange import HttpReply, HttpRequest


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


class PairedServer(FakeServer):
    """Answers requests with the bytes of a blob two at a time: one alone waits for another."""

    def __init__(self) -> None:
        super().__init__()
        self._pair = threading.Barrier(2)

    def exchange(self, sent: HttpRequest) -> HttpReply:
        """Wait for another request."""
        if sent.method != "POST":
            self._pair.wait(DEADLINE_S)
        return super().exchange(sent)


def test_large_blobs_travel_in_parallel() -> None:
    """While one is on its way, others are sent or received as well, and stay in order."""
    server = PairedServer()
    blobs = BlobClient(Transport(ADDRESS, Config(), server))
    named = _named(*(bytes([n]) * (SMALL_BYTES + 1) for n in range(6)))

    blobs.ensure(named)

    assert server.blobs == named
    assert [*blobs.fetch([content_of(data) for data in named.values()])] == [*named.values()]


def test_a_blob_that_cannot_be_read_ends_the_others() -> None:
    """Its error is raised in its turn, after those before it."""
    server = FakeServer()
    blobs = BlobClient(Transport(ADDRESS, Config(), server))
    named = _named(*(bytes([n]) * (SMALL_BYTES + 1) for n in range(8)))
    blobs.ensure(named)
    contents = [content_of(data) for data in named.values()]
    server.blobs[contents[2].digest] = b"other"

    fetched = blobs.fetch(contents)

    assert [next(fetched), next(fetched)] == [*named.values()][:2]
    with pytest.raises(CloudException, match="damaged"):
        next(fetched)


@pytest.fixture
def neighbour(server: FakeServer, tmp_path: Path) -> BlobClient:
    """A client on the machine of the fake server."""
    for name in ("blobs", "incoming"):
        (tmp_path / name).mkdir()
    (tmp_path / "incoming" / "proof").write_text("p1", encoding="ascii")
    server.files = SharedDirectories(f"{tmp_path}/blobs/", f"{tmp_path}/incoming/", "p1")
    address = ServerAddress("http://127.0.0.1:8787", ADDRESS.key)
    return BlobClient(Transport(address, Config(), server))


def test_large_blobs_are_files_on_the_servers_machine(
    server: FakeServer, neighbour: BlobClient
) -> None:
    """Several are written, and then named in one request; none is sent."""
    named = _named(*(bytes([n]) * (SMALL_BYTES + 1) for n in range(3)))

    neighbour.ensure(named)

    assert server.blobs == named
    # What is missing, where files are, and what was written.
    assert server.paths() == ["POST /v1/blobs/missing"] * 3

    neighbour.ensure(_named(b"more" * SMALL_BYTES))
    assert server.paths()[3:] == ["POST /v1/blobs/missing"] * 2


def test_what_the_server_does_not_find_is_sent(
    server: FakeServer, neighbour: BlobClient, tmp_path: Path
) -> None:
    """A disk that takes no file ends no program: the bytes travel."""
    neighbour.ensure(_named(b"x" * (SMALL_BYTES + 1)))
    (tmp_path / "incoming").rename(tmp_path / "gone")

    neighbour.ensure(_named(b"y" * (SMALL_BYTES + 1)))

    assert len(server.blobs) == 2
    assert sum(path.startswith("PUT") for path in server.paths()) == 1


def test_large_results_are_read_from_files(
    server: FakeServer, neighbour: BlobClient, tmp_path: Path
) -> None:
    """The server is asked once where they are; damaged bytes are an error."""
    data = b"x" * (SMALL_BYTES + 1)
    content = content_of(data)
    (tmp_path / "blobs" / content.digest).write_bytes(data)

    assert [*neighbour.fetch([content, content])] == [data, data]
    assert server.paths() == ["POST /v1/blobs/missing"]

    (tmp_path / "blobs" / content.digest).write_bytes(data[:-1] + b"y")
    with pytest.raises(CloudException, match="damaged"):
        [*neighbour.fetch([content])]


def test_a_long_pickle_is_not_hashed_twice(server: FakeServer, blobs: BlobClient) -> None:
    """The digest of its blob is enough; a server of before gets a digest in the parcel, too."""
    pickled = Pieces((b"a" * 10, b"b" * 10))

    assert bytes(blobs.seal(pickled)) == UNSEALED + bytes(pickled)
    assert blobs.seal(pickled).parts[1] is pickled.parts[0]
    assert server.paths() == ["POST /v1/blobs/missing"]

    server.reads_unsealed = False
    older = BlobClient(Transport(ADDRESS, Config(), server))
    assert bytes(older.seal(pickled)) == seal(bytes(pickled))
