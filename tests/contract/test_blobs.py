"""What every blob store promises: the sentences of `BlobPort` about names and the store itself."""

import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from picloud_driver.blob import BlobPort
from picloud_driver.blob.name import checked_name
from picloud_driver.blob.port import BlobTotals
from picloud_model.errors import RequestRefused, Unavailable

from tests.contract.blob_adapters import Site, collected, file_in

GOOD_NAMES = [
    "a",
    "a0000001/0f3b",
    "UPPER/lower/0-9_.x",
    ".hidden",
    "...",
    "a.b/..c/d..",
    "x" * 200,
    "/".join(["y" * 199] * 4),
]
BAD_NAMES = [
    "",
    ".",
    "..",
    "/",
    "/etc/passwd",
    "a/",
    "a//b",
    "a/./b",
    "a/../b",
    "../a",
    "a/..",
    "a\\b",
    "a b",
    "a\n",
    "a\x00b",
    "a%2e%2e",
    "a+b",
    "é",
    "a:b",
    "~",
    "x" * 201,
    "/".join(["y" * 199] * 5),
]


def every_call(blobs: BlobPort, name: str) -> dict[str, Callable[[], Awaitable[Any]]]:
    """Each method that takes a name, ready to be called with this one."""
    return {
        "put": lambda: blobs.put(name, b"x"),
        "get": lambda: blobs.get(name),
        "missing": lambda: blobs.missing(["good", name]),
        "delete": lambda: blobs.delete(name),
        "presign_put": lambda: blobs.presign_put(name, 1, "0" * 64),
        "adopt": lambda: blobs.adopt(name, 1),
        "size": lambda: blobs.size(name),
        "presign_get": lambda: blobs.presign_get(name),
    }


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOOD_NAMES)
async def test_good_names_hold_blobs(blobs: BlobPort, name: str) -> None:
    """Parts of letters, digits, `-`, `_` and `.`, up to 200 characters each and 800 in all."""
    await blobs.put(name, b"bytes")

    assert await blobs.get(name) == b"bytes"
    assert await collected(blobs.names("")) == [name]


@pytest.mark.parametrize("name", BAD_NAMES)
async def test_other_names_are_refused(blobs: BlobPort, name: str) -> None:
    """Every method that takes a name refuses another one with `RequestRefused`."""
    for call in every_call(blobs, name).values():
        with pytest.raises(RequestRefused):
            await call()


@given(name=st.text(alphabet="ab./\\-_+\n\x00é", max_size=12))
def test_a_name_that_passes_stays_below_its_root(name: str) -> None:
    """Whatever passes the check names a path below the root, itself unchanged."""
    try:
        checked = checked_name(name)
    except RequestRefused:
        return

    assert os.path.normpath("/root/" + checked) == "/root/" + name


async def test_a_name_may_begin_another(blobs: BlobPort) -> None:
    """`a` and `a/b` are two blobs."""
    await blobs.put("a/b/c", b"three")
    await blobs.put("a", b"one")
    await blobs.put("a/b", b"two")

    await blobs.delete("a")

    assert [await blobs.get(name) for name in ("a/b", "a/b/c")] == [b"two", b"three"]
    assert await blobs.missing(["a"]) == ["a"]


async def test_usage_counts_blobs_and_bytes(blobs: BlobPort) -> None:
    """Of the names that begin with a prefix; of none there are none."""
    await blobs.put("a/b", b"12345")
    await blobs.put("a/bc/d", b"67")
    await blobs.put("b", b"8")

    assert await blobs.usage("a/") == BlobTotals(2, 7)
    assert await blobs.usage("") == BlobTotals(3, 8)
    assert await blobs.usage("c/") == BlobTotals()


# --- missing, delete, names -----------------------------------------------------------------------


async def test_missing_keeps_the_order(blobs: BlobPort) -> None:
    """It returns the names under which no blob exists, in the order given."""
    await blobs.put("a/2", b"")
    await blobs.put("a/4", b"")

    assert await blobs.missing(["a/5", "a/4", "a/1", "a/2", "a/3"]) == ["a/5", "a/1", "a/3"]
    assert await blobs.missing([]) == []


async def test_missing_takes_thousands(blobs: BlobPort) -> None:
    """Ten thousand names are one call."""
    names = [f"a/{number}" for number in range(10_000)]
    await blobs.put("a/77", b"")

    assert await blobs.missing(names) == [name for name in names if name != "a/77"]


async def test_a_deleted_name_is_free(blobs: BlobPort) -> None:
    """After `delete` the blob is missing, deleting it again is not an error, and it can be put."""
    await blobs.put("a/b", b"old")

    await blobs.delete("a/b")
    await blobs.delete("a/b")

    assert await blobs.missing(["a/b"]) == ["a/b"]
    assert await blobs.put("a/b", b"new") is True
    assert await blobs.get("a/b") == b"new"


NAMES = ["a", "a-b", "a.b", "a/b", "a/b-c", "a/b/c", "a/c", "a0", "aa/b", "b/0", "b/00", "b/1"]


@pytest.mark.parametrize("prefix", ["", "a", "a/", "a/b", "a/b/", "aa", "b/0", "c", "a/b/c/d"])
async def test_names_ascend(blobs: BlobPort, prefix: str) -> None:
    """Every name that begins with the prefix comes, ascending by its bytes, and no other."""
    for name in reversed(NAMES):
        await blobs.put(name, b"")

    assert await collected(blobs.names(prefix)) == [
        name for name in sorted(NAMES) if name.startswith(prefix)
    ]


@pytest.mark.parametrize("prefix", ["../", "/", "a//", "a/../", "..", "a+", "a/./b", "\x00"])
async def test_a_prefix_of_no_name_finds_nothing(blobs: BlobPort, prefix: str) -> None:
    """What no name begins with leads nowhere, least of all out of the store."""
    await blobs.put("a/b", b"")

    assert await collected(blobs.names(prefix)) == []


# --- the store itself -----------------------------------------------------------------------------


async def test_presigned_urls_are_none_or_urls(blobs: BlobPort) -> None:
    """Where clients go through the API, `presign_put` and `presign_get` answer None."""
    await blobs.put("a/b", b"bytes")

    for presigned in (await blobs.presign_put("a/c", 1, "0" * 64), await blobs.presign_get("a/b")):
        assert presigned is None or presigned.url.startswith("http")


async def test_files_are_none_or_where_blobs_are(blobs: BlobPort) -> None:
    """Where blobs are files, others read them, and what they leave is adopted, unless it exists."""
    await blobs.put("a/x", b"stored")
    files = await blobs.files("a")

    if files is None:
        assert not await blobs.adopt("a/new", 4)
        return
    assert file_in(files.blobs, "x").read_bytes() == b"stored"
    assert file_in(files.incoming, "proof").read_text(encoding="ascii") == files.proof
    assert await blobs.files("a") == files
    for name, data in (("new", b"left"), ("x", b"other"), ("short", b"lef")):
        file_in(files.incoming, name).write_bytes(data)
    assert await blobs.adopt("a/new", 4)
    assert await blobs.adopt("a/x", 5)
    assert not await blobs.adopt("a/short", 4)
    assert not await blobs.adopt("a/nothing", 4)
    assert [await blobs.get(name) for name in ("a/new", "a/x")] == [b"left", b"stored"]
    assert await collected(blobs.names("a/")) == ["a/new", "a/x"]


async def test_ping_answers(blobs: BlobPort) -> None:
    """`ping` returns while blobs can be read."""
    await blobs.ping()


async def test_a_store_that_cannot_answer_is_unavailable(blob_site: Site, blobs: BlobPort) -> None:
    """Every method raises `Unavailable`; nothing is said to be missing, nothing to be written."""
    await blobs.put("a", b"bytes")
    calls = every_call(blobs, "a")
    del calls["presign_put"], calls["presign_get"]

    blob_site.make_unavailable()

    async def list_names() -> None:
        await collected(blobs.names(""))

    for call in (*calls.values(), blobs.ping, list_names):
        with pytest.raises(Unavailable):
            await call()
