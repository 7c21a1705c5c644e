"""The HTTP client of a slot, which raises every failure as one of three kinds of error."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest
from picloud_model import wire
from picloud_model.errors import BlobMissing, PiCloudError, SlotRefused, Unavailable
from picloud_worker.api.client import ApiClient

from tests.unit.worker.fake_api import FakeApi

if TYPE_CHECKING:
    from collections.abc import Iterator

PROOF = wire.SlotRequest(proof="p")


@pytest.fixture
def client(api: FakeApi) -> Iterator[ApiClient]:
    """The connection of a slot."""
    connection = ApiClient(f"http://127.0.0.1:{api.port}", "the-token")
    yield connection
    connection.close()


@pytest.fixture
def store() -> Iterator[FakeApi]:
    """Another server, to which presigned URLs lead."""
    other = FakeApi()
    other.start()
    yield other
    other.stop()


def test_answers_are_decoded(api: FakeApi, client: ApiClient) -> None:
    """An answer is decoded as the type that the request names."""
    assert client.post("/v1/slots", PROOF, wire.SlotGranted) == api.granted


def test_a_refusal_is_its_error(api: FakeApi, client: ApiClient) -> None:
    """An error answer raises the error of its code."""
    api.refuse_slots = True

    with pytest.raises(SlotRefused, match="this slot is unknown"):
        client.post("/v1/slots", PROOF, wire.SlotGranted)


def test_a_fault_means_ask_again(api: FakeApi, client: ApiClient) -> None:
    """Statuses from 500 on raise Unavailable, as does a missing response."""
    api.faults = 1
    with pytest.raises(Unavailable, match="not now"):
        client.post("/v1/slots", PROOF, wire.SlotGranted)
    api.stop()
    with pytest.raises(Unavailable, match="no response from"):
        client.post("/v1/slots", PROOF, wire.SlotGranted)


def test_a_closed_connection_is_reopened(api: FakeApi, client: ApiClient) -> None:
    """A server that closes the connection between two requests is not a failure."""
    client.post("/v1/slots", PROOF, wire.SlotGranted)
    api.stop()
    api.start()

    assert client.post("/v1/slots", PROOF, wire.SlotGranted) == api.granted


def test_a_wait_can_be_interrupted(client: ApiClient) -> None:
    """Another thread can abort a long poll."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        waiting = ApiClient(f"http://127.0.0.1:{silent.getsockname()[1]}")
        raised: list[BaseException] = []

        def ask() -> None:
            try:
                waiting.post("/v1/slots", PROOF, wire.SlotGranted, 30.0)
            except Unavailable as error:
                raised.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        accepted, _ = silent.accept()
        accepted.recv(1)
        waiting.interrupt()
        thread.join(5)
        accepted.close()

    assert raised


def test_downloads_follow_redirects(api: FakeApi, store: FakeApi, client: ApiClient) -> None:
    """The token is not sent to the other server."""
    digest = store.store(b"content")
    api.presigned["get"] = f"http://127.0.0.1:{store.port}/bucket/"

    assert b"".join(client.download(digest)) == b"content"
    assert api.requests[-1][1]["authorization"] == "Bearer the-token"
    assert "authorization" not in {name.lower() for name in store.requests[-1][1]}


def test_a_missing_blob_is_an_error(api: FakeApi, store: FakeApi, client: ApiClient) -> None:
    """So it is when another server lacks it."""
    with pytest.raises(BlobMissing):
        list(client.download("0" * 64))
    api.presigned["get"] = f"http://127.0.0.1:{store.port}/bucket/"
    with pytest.raises(BlobMissing):
        list(client.download("0" * 64))


def test_an_abandoned_download_does_not_spoil_the_next_request(
    api: FakeApi, client: ApiClient
) -> None:
    """The unread part of a body is never taken for the next response."""
    digest = api.store(bytes(5_000_000))
    download = client.download(digest)
    next(download)
    download.close()  # type: ignore[attr-defined]

    assert client.post("/v1/slots", PROOF, wire.SlotGranted) == api.granted


def test_presigned_uploads_carry_their_headers_only(
    api: FakeApi, store: FakeApi, client: ApiClient
) -> None:
    """An absolute URL gets the headers that came with it, without the token."""
    client.upload(f"http://127.0.0.1:{store.port}/bucket/x", {"x-amz": "1"}, b"content")
    client.upload("/v1/blobs/x", {}, b"content")

    ((_, there),) = store.requests
    ((_, here),) = api.requests
    assert there["x-amz"] == "1"
    assert "authorization" not in {name.lower() for name in there}
    assert here["authorization"] == "Bearer the-token"


def test_a_refused_presigned_url_is_not_a_refused_slot(store: FakeApi, client: ApiClient) -> None:
    """With another URL the bytes may be stored; other errors name the store's code."""
    url = f"http://127.0.0.1:{store.port}/bucket/x"
    store.refusals = [
        (400, b"<Error><Code>BadDigest</Code></Error>"),
        (403, b"<Error><Code>AccessDenied</Code></Error>"),
    ]

    with pytest.raises(Unavailable, match=r"refused a presigned URL \(403 AccessDenied\): it has"):
        client.upload(url, {}, b"content")
    with pytest.raises(PiCloudError, match=r"^the blob store answered 400 BadDigest\.$"):
        client.upload(url, {}, b"content")
    client.upload(url, {}, b"content")


def test_a_connection_to_another_server_is_kept(store: FakeApi, client: ApiClient) -> None:
    """Until it closes it, or a response is not read to its end."""
    digest = store.store(bytes(3_000_000))
    url = f"http://127.0.0.1:{store.port}/v1/blobs/{digest}"

    for _ in range(2):
        assert client.fetch(url, {}) == (200, bytes(3_000_000))
    assert store.connections == 1
    with client.stream(url, {}) as response:
        assert response.read_into(memoryview(bytearray(5))) == 5
    assert client.fetch(url, {})[0] == 200
    assert store.connections == 2
    store.stop()
    store.start()
    assert client.fetch(url, {})[0] == 200


def test_the_thread_of_a_request_looks_around(api: FakeApi, client: ApiClient) -> None:
    """While the server holds a request, what is to be done meanwhile is called."""
    looks: list[float] = []
    client.on_wait = lambda: looks.append(time.monotonic())

    client.post("/v1/work", wire.WorkRequest(wait_s=1.0), wire.WorkAnswer, 1.0)
    count = len(looks)
    client.post("/v1/work", wire.WorkRequest(lease=False), wire.WorkAnswer)

    assert count == len(looks) >= 1
