"""What every store of buckets promises of keys, listings, and the store itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from picloud_driver.bucket import ObjectPart
from picloud_driver.bucket.key import encoded
from picloud_model.errors import (
    ObjectNotFound,
    RequestRefused,
    Unavailable,
    UploadNotFound,
)

from tests.contract.bucket_adapters import ACCOUNT, BucketSite, all_keys, get, put, stream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from picloud_driver.bucket import BucketPort

HOSTILE = [
    "a",
    "a/",
    "a/b",
    "a//b",
    "a/./b",
    "a/../b",
    "/",
    "/a",
    "//",
    ".",
    "..",
    "../../../etc/passwd",
    "./a",
    ".sgwtmp/x",
    "x//y",
    "x/y",
    "x/",
    "a%20b",
    "a b",
    "a%",
    "a+b",
    "a\\b",
    "a?b#c&d=e;f",
    "<&>'\"",
    "tab\t, newline\n, return\r",
    "\x01\x7f\x85\u2028",
    "é",
    "e\u0301",
    "\ufffd\ufffe\uffff\U0001f600",
    "c" * 255,
    "c" * 256,
    "c" * 300,
    "c" * 300 + "/" + "d" * 300,
    "e" * 1024,
    "é" * 512,
    " " * 600,
    "/" * 400,
    "." * 1024,
]


def every_call(
    buckets: BucketPort, key: str, account: str = ACCOUNT
) -> dict[str, Callable[[], Awaitable[object]]]:
    """Each method that takes a key, ready to be called with this one."""
    part = ObjectPart(1, "0" * 32)
    upload = "0" * 32
    return {
        "put": lambda: buckets.put(account, key, stream(b"x")),
        "get": lambda: buckets.get(account, key),
        "head": lambda: buckets.head(account, key),
        "delete": lambda: buckets.delete(account, ["good", key]),
        "copy from": lambda: buckets.copy(account, key, "good"),
        "copy to": lambda: buckets.copy(account, "good", key),
        "start_upload": lambda: buckets.start_upload(account, key),
        "put_part": lambda: buckets.put_part(account, key, upload, 1, stream(b"x")),
        "parts": lambda: buckets.parts(account, key, upload),
        "finish_upload": lambda: buckets.finish_upload(account, key, upload, [part]),
        "abort_upload": lambda: buckets.abort_upload(account, key, upload),
    }


# --- keys -----------------------------------------------------------------------------------------


async def test_any_text_is_a_key(buckets: BucketPort) -> None:
    """Keys that are hostile paths are all different objects, listed in the order of their bytes."""
    for key in HOSTILE:
        await put(buckets, key, key.encode())

    assert await all_keys(buckets) == sorted(HOSTILE, key=str.encode)
    for key in HOSTILE:
        assert await get(buckets, key) == key.encode()
        assert (await buckets.head(ACCOUNT, key)).size == len(key.encode())
    await buckets.delete(ACCOUNT, HOSTILE[::2])
    assert await all_keys(buckets, limit=3) == sorted(HOSTILE[1::2], key=str.encode)


parts = st.sampled_from([*"a/.% é\uffff", "x" * 251])


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30
)
@given(
    keys=st.lists(
        st.lists(parts, min_size=1, max_size=4).map("".join),
        min_size=1,
        max_size=6,
        unique=True,
    ),
    prefix=st.sampled_from(["", "a", "/", ".", "x", "a/", "x" * 251, "\uffff"]),
    limit=st.integers(1, 4),
)
async def test_random_keys_are_listed_by_prefix(
    buckets: BucketPort, keys: list[str], prefix: str, limit: int
) -> None:
    """Pages of any size have all keys with the prefix, in the order of their bytes."""
    for key in keys:
        await put(buckets, key)

    listed = await all_keys(buckets, prefix, limit)
    await buckets.delete(ACCOUNT, keys)

    assert listed == sorted((key for key in keys if key.startswith(prefix)), key=str.encode)


@pytest.mark.parametrize("key", ["", "x" * 1025, "a\0b", "\ud800"])
async def test_other_keys_are_refused(buckets: BucketPort, key: str) -> None:
    """Every method that takes a key refuses another one with `RequestRefused`."""
    for call in every_call(buckets, key).values():
        with pytest.raises(RequestRefused):
            await call()


@pytest.mark.parametrize("account", ["", "..", "a/b", "a0000001/x", "A", "a\n"])
async def test_an_account_is_a_plain_name(buckets: BucketPort, account: str) -> None:
    """No account id leads to the objects of another account."""
    for call in every_call(buckets, "a", account).values():
        with pytest.raises(RequestRefused):
            await call()
    with pytest.raises(RequestRefused):
        await buckets.page(account)


async def test_an_account_reaches_its_own_objects_only(buckets: BucketPort) -> None:
    """The same key is another object in another account, and an id that begins another is none."""
    await put(buckets, "a", b"mine")

    for other in ("a0000002", "a000000", "a00000011"):
        assert (await buckets.page(other)).objects == []
        with pytest.raises(ObjectNotFound):
            await buckets.head(other, "a")
        await buckets.delete(other, ["a"])
    assert await get(buckets, "a") == b"mine"


# --- listings -------------------------------------------------------------------------------------


NAMES = ["a", "a-b", "a.b", "a/b", "a/b-c", "a/b/c", "a/c", "a0", "aa/b", "b/0", "b/00", "b/1"]


@pytest.mark.parametrize("prefix", ["", "a", "a/", "a/b", "a/b/", "aa", "b/0", "c", "a/b/c/d"])
async def test_a_prefix_selects(buckets: BucketPort, prefix: str) -> None:
    """Every key that begins with the prefix is listed, and no other."""
    for name in reversed(NAMES):
        await put(buckets, name)

    assert await all_keys(buckets, prefix, 2) == [
        name for name in sorted(NAMES) if name.startswith(prefix)
    ]


def rolled_up(keys: list[str], prefix: str) -> list[str]:
    """The names of a listing with folders."""
    names = set()
    for key in keys:
        if key.startswith(prefix):
            rest, slash, _ = key[len(prefix) :].partition("/")
            names.add(prefix + rest + slash)
    return sorted(names, key=str.encode)


@pytest.mark.parametrize("prefix", ["", "a", "a/", "a/b", "x", "x/", "x//", ".", "c" * 255, "/"])
@pytest.mark.parametrize("limit", [1, 3, 1000])
async def test_folders_stand_for_what_is_in_them(
    buckets: BucketPort, prefix: str, limit: int
) -> None:
    """What has a `/` after the prefix is listed once, in its place, on one page only."""
    keys = [*NAMES, *HOSTILE, "x//y/z", "c" * 300 + "/e", "c" * 251 + "/e", "c" * 251 + "/f/g"]
    for key in keys:
        await put(buckets, key)
    names: list[str] = []

    truncated = True
    while truncated:
        after = names[-1] if names else ""
        page = await buckets.page(ACCOUNT, prefix, after, folders=True, limit=limit)
        objects = [each.key for each in page.objects]
        assert len(objects) + len(page.folders) <= limit
        assert page.folders == sorted(page.folders, key=str.encode)
        names += sorted(objects + page.folders, key=str.encode)
        truncated = page.truncated

    assert names == rolled_up(keys, prefix)


@pytest.mark.parametrize(
    ("after", "names"),
    [("a/b/c", ["a0", "b/"]), ("a/", ["a0", "b/"]), ("a", ["a/", "a0", "b/"]), ("c", [])],
)
async def test_a_listing_begins_after_a_name(
    buckets: BucketPort, after: str, names: list[str]
) -> None:
    """The name need not exist; a key in a folder stands for the folder."""
    for key in ("a", "a/b/c", "a/d", "a0", "b/c"):
        await put(buckets, key)

    page = await buckets.page(ACCOUNT, "", after, folders=True)

    assert sorted([*page.folders, *(each.key for each in page.objects)]) == names
    assert page.truncated is False


async def test_an_entry_says_what_head_says(buckets: BucketPort) -> None:
    """Size, ETag and time are those of the object."""
    written = await put(buckets, "a", b"bytes")

    page = await buckets.page(ACCOUNT)
    info = await buckets.head(ACCOUNT, "a")

    (entry,) = page.objects
    assert (entry.key, entry.size, entry.etag) == ("a", 5, info.etag)
    assert entry.etag == written.etag == "4b3a6218bb3e3a7303e8a171a60fcf92"
    assert abs(entry.modified - info.modified) < 1


@pytest.mark.parametrize("limit", [0, -1, 1001])
async def test_a_page_has_1_to_1000_names(buckets: BucketPort, limit: int) -> None:
    """Another limit is refused."""
    with pytest.raises(RequestRefused, match="1 to 1000"):
        await buckets.page(ACCOUNT, limit=limit)


async def test_a_thousand_objects_are_deleted_at_once(buckets: BucketPort) -> None:
    """1,000 keys are one call, missing ones among them; more are refused."""
    for number in range(5):
        await put(buckets, f"many/{number}")
    keys = [f"many/{number}" for number in range(1000)]

    await buckets.delete(ACCOUNT, keys)
    await buckets.delete(ACCOUNT, [])

    assert await all_keys(buckets) == []
    with pytest.raises(RequestRefused):
        await buckets.delete(ACCOUNT, [*keys, "one more"])


async def test_a_removed_object_leaves_nothing_in_the_way(buckets: BucketPort) -> None:
    """Its folder is no longer listed, and its name and its folder's are free."""
    await put(buckets, "a/b/c")

    await buckets.delete(ACCOUNT, ["a/b/c"])

    assert (await buckets.page(ACCOUNT, folders=True)).folders == []
    await put(buckets, "a/b", b"new")
    assert await get(buckets, "a/b") == b"new"


# --- the store itself -----------------------------------------------------------------------------


async def test_presigned_urls_are_none_or_urls(buckets: BucketPort) -> None:
    """Where clients go through the API, there are no URLs."""
    await put(buckets, "a", b"bytes")

    presigned = await buckets.presign_get(ACCOUNT, "a")

    assert presigned is None or presigned.url.startswith("http")


async def test_a_store_that_cannot_answer_is_unavailable(
    object_site: BucketSite, buckets: BucketPort
) -> None:
    """Every method raises `Unavailable`; nothing is said to be missing, nothing to be written."""
    await put(buckets, "a", b"bytes")

    object_site.make_unavailable()

    for name, call in every_call(buckets, "a").items():
        with pytest.raises((Unavailable, UploadNotFound) if "upload" in name else Unavailable):
            await call()
    with pytest.raises(Unavailable):
        await buckets.page(ACCOUNT)


def test_paths_of_keys_are_what_the_stores_use() -> None:
    """Objects that an earlier version stored are found by this one: paths must not change."""
    assert [encoded(key) for key in ("a/b", "x//y", "../a b", "c" * 252, "\uffff")] == [
        "a/b%",
        "x/.~/y%",
        ".!./a%20b%",
        "c" * 251 + "0/c%",
        "\ufffd2%",
    ]
