"""Small objects: which of them are sent in the request, and which straight to the store."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cloud._resources.small_object import SmallUploader
from cloud.errors import CloudException
from picloud_model.wire import bucket as wire


class FakeTransport:
    """Answers puts, the first one only once `released`; refuses a key `bad`."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.began, self.released = threading.Event(), threading.Event()
        self.sent: list[tuple[str, str, bytes]] = []

    def post(self, path: str, body: wire.PutObjectRequest, kind: Any) -> wire.ObjectPut:
        assert (path, kind) == ("/v1/bucket/put", wire.ObjectPut)
        if body.key == "bad":
            raise CloudException("refused")
        if body.key == "first":
            self.began.set()
            assert self.released.wait(30)
        if body.data is not None:
            self.sent.append((body.key, "request", body.data))
            stored = wire.ObjectDescription(body.key, body.size, "e", 0.0, md5=body.md5)
            return wire.ObjectPut(stored=stored)
        return wire.ObjectPut(target=wire.WriteTarget(f"{self.target}{body.key}", {"a": "b"}))

    def put(self, url: str, data: bytes, headers: dict[str, str]) -> None:
        assert headers == {"a": "b"}
        self.sent.append((url.rpartition("/")[2], "store", data))


def put_beside_another(transport: FakeTransport, *keys: str) -> list[tuple[str, str, bytes]]:
    """Put objects while another thread puts one; return how they were sent."""
    uploader = SmallUploader(transport)  # type: ignore[arg-type]
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(uploader.put, "first", b"1", {})
        assert transport.began.wait(30)
        for key in keys:
            uploader.put(key, b"2", {})
        transport.released.set()
        first.result()
    uploader.put("last", b"3", {})
    return transport.sent


def test_objects_of_several_threads_go_straight_to_the_store() -> None:
    """One that is alone is sent in the request."""
    assert put_beside_another(FakeTransport("https://s3/"), "second") == [
        ("second", "store", b"2"),
        ("first", "request", b"1"),
        ("last", "request", b"3"),
    ]


def test_a_server_that_is_the_store_receives_objects_in_the_request() -> None:
    """Once it has named itself as the target of one."""
    assert put_beside_another(FakeTransport("/"), "second", "third") == [
        ("second", "store", b"2"),
        ("third", "request", b"2"),
        ("first", "request", b"1"),
        ("last", "request", b"3"),
    ]


def test_an_object_that_is_refused_is_under_way_no_longer() -> None:
    """The next one is alone again."""
    transport = FakeTransport("https://s3/")
    transport.released.set()
    uploader = SmallUploader(transport)  # type: ignore[arg-type]

    with pytest.raises(CloudException, match="refused"):
        uploader.put("bad", b"1", {})
    uploader.put("first", b"1", {})

    assert transport.sent == [("first", "request", b"1")]
