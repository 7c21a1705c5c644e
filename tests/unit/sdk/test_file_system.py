"""The file system of fsspec: what it makes of the replies of the server."""

from __future__ import annotations

import pickle
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import fsspec
import pytest
from cloud._file_system import PiCloudFileSystem
from cloud._resources.bucket import BucketClient
from picloud_model.wire import bucket

from tests.current_client import current_client

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES = [
    bucket.ObjectsListed(
        objects=[bucket.ListedObject("data/", 0, "e", 1.0)], folders=["data/a/"], truncated=True
    ),
    bucket.ObjectsListed(objects=[bucket.ListedObject("data/b", 5, "f", 0.0)], folders=[]),
]


@pytest.fixture
def requests() -> Iterator[list[Any]]:
    """The requests that are sent to a server which answers with these pages."""
    sent: list[Any] = []
    pages = list(PAGES)

    def post(path: str, body: Any, kind: Any) -> Any:
        sent.append(body)
        answer = pages.pop(0)
        assert (path, type(answer)) == ("/v1/bucket/list", kind)
        return answer

    with current_client(SimpleNamespace(bucket=BucketClient(SimpleNamespace(post=post)))):
        yield sent


def test_it_is_found_by_the_scheme_of_its_urls() -> None:
    """By an entry point; it has no state, so that jobs may receive it."""
    fs, path = fsspec.url_to_fs("picloud://data/a b.csv")

    assert (type(fs), path) == (PiCloudFileSystem, "data/a b.csv")
    assert pickle.loads(pickle.dumps(fs)) == fs


def test_a_folder_is_listed_page_by_page(requests: list[Any]) -> None:
    """The object that stands for the folder itself is not in it."""
    entries = PiCloudFileSystem().ls("picloud://data")

    assert [(each["name"], each["type"]) for each in entries] == [
        ("data/a", "directory"),
        ("data/b", "file"),
    ]
    assert (entries[1]["size"], entries[1]["LastModified"].year) == (5, 1970)
    assert [(each.prefix, each.marker) for each in requests] == [
        ("data/", ""),
        ("data/", "data/a/"),
    ]


def test_making_a_folder_stores_nothing(requests: list[Any]) -> None:
    """No request is sent."""
    PiCloudFileSystem().mkdir("data/new")
    PiCloudFileSystem().makedirs("data/new/er")

    assert requests == []
