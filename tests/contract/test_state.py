"""What every state store promises of keys, reads and scans: sentences of `StatePort`.

Commits, watches and locks have files of their own, and so has the comparison with a model.
"""

import asyncio
import os
from typing import Any

import pytest
from picloud_driver.state import Put, StateEntry, StatePort
from picloud_model.errors import Unavailable

from tests.contract.state_adapters import LONGEST_KEY, StateSite, fill

ODD_KEYS = [
    "a b",
    "a%41",
    "a//b",
    "a/./b",
    "a/../b",
    "/a",
    "a/",
    "a?x=1#y",
    'a"\\',
    "a\x00\n\x7f",
    "~",
    LONGEST_KEY,
]


# --- keys and values ------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ODD_KEYS)
async def test_any_ascii_is_a_key(state: StatePort, key: str) -> None:
    """Keys are ASCII of at most 512 characters, whatever they mean in a URL or a path."""
    await state.commit([Put(key, b"value")])

    assert [entry.key for entry in await state.scan(key)] == [key]
    assert (await state.get([key]))[key].value == b"value"


async def test_keys_are_ordered_as_bytes(state: StatePort) -> None:
    """A scan is ascending by bytes, so that `a!` is between `a` and `a/`."""
    keys = ["a", "a!", "a/b", "a0", "B", "b", *ODD_KEYS]
    await fill(state, keys)

    found = [entry.key for entry in await state.scan("")]

    assert found == sorted(keys, key=str.encode)


@pytest.mark.parametrize("size", [0, 1, 20_000, 262_144])
async def test_a_value_comes_back_as_it_was_put(state: StatePort, size: int) -> None:
    """Values are bytes, empty ones included."""
    value = os.urandom(size)
    versions = await state.commit([Put("key", value)])

    assert await state.get(["key"]) == {"key": StateEntry("key", value, versions["key"])}
    assert await state.scan("key") == [StateEntry("key", value, versions["key"])]


# --- get ------------------------------------------------------------------------------------------


async def test_keys_that_do_not_exist_are_left_out(state: StatePort) -> None:
    """A read of some missing keys, of missing keys only, or of none is not an error."""
    await fill(state, ["a", "c"])

    assert list(await state.get(["a", "b", "c", "d"])) == ["a", "c"]
    assert await state.get(["b"]) == {}
    assert await state.get([]) == {}


async def test_many_keys_are_read_at_once(state: StatePort) -> None:
    """There is no limit to how many keys one read names."""
    keys = [f"key/{number}" for number in range(300)]
    versions = await fill(state, keys)

    found = await state.get(keys)

    assert {key: entry.version for key, entry in found.items()} == versions
    assert all(entry.value == key.encode() for key, entry in found.items())


async def test_a_read_sees_what_was_committed_before(state: StatePort, other: StatePort) -> None:
    """Each commit is seen by the next read, by every process."""
    for number in range(30):
        value = str(number).encode()
        await state.commit([Put("key", value)])

        assert (await other.get(["key"]))["key"].value == value
        assert (await other.scan("key"))[0].value == value


# --- scan -----------------------------------------------------------------------------------------


async def test_a_scan_finds_what_begins_with_the_prefix(state: StatePort) -> None:
    """Only those, be the prefix a path, a part of a name, a whole key or nothing."""
    await fill(state, ["job/1", "job/10", "job/2", "jobs", "page/1"])

    async def keys(prefix: str) -> list[str]:
        return [entry.key for entry in await state.scan(prefix)]

    assert await keys("job/") == ["job/1", "job/10", "job/2"]
    assert await keys("job/1") == ["job/1", "job/10"]
    assert await keys("page/1") == ["page/1"]
    assert await keys("queue") == []
    assert len(await keys("")) == 5


async def test_a_scan_begins_behind_after(state: StatePort) -> None:
    """`after` need not exist, and may sort before or after all keys with the prefix."""
    await fill(state, ["a/1", "a/2", "a/3", "b/1"])

    async def keys(after: str) -> list[str]:
        return [entry.key for entry in await state.scan("a/", after)]

    assert await keys("a/1") == ["a/2", "a/3"]
    assert await keys("a/1x") == ["a/2", "a/3"]
    assert await keys("A") == ["a/1", "a/2", "a/3"]
    assert await keys("a/3") == []
    assert await keys("b/") == []


async def test_pages_of_a_scan_hold_each_key_once(state: StatePort) -> None:
    """A page holds up to `limit` keys; the last one of a page leads to the next page."""
    keys = [f"key/{number:03d}" for number in range(150)]
    await fill(state, [*keys, "kez"])

    pages = [await state.scan("key/", limit=40)]
    while len(pages[-1]) == 40:
        pages.append(await state.scan("key/", pages[-1][-1].key, limit=40))

    assert [len(page) for page in pages] == [40, 40, 40, 30]
    assert [entry.key for page in pages for entry in page] == keys


# --- ping, and when there is no answer ------------------------------------------------------------


async def test_a_ping_answers(state: StatePort) -> None:
    """It returns when the store can be read, an empty one too."""
    await state.ping()


async def test_a_store_that_cannot_answer_says_so(state_site: StateSite) -> None:
    """Each method that needs the store raises `Unavailable`, with one line for people."""
    broken = await state_site.broken()
    calls: list[Any] = [
        broken.get(["key"]),
        broken.scan("key"),
        broken.commit([Put("key", b"")]),
        broken.ping(),
    ]
    # Where one process is all, these need no store.
    if broken.shared:
        calls += [broken.watch("key", 0, 0.0), broken.lock("name", 20.0)]

    answers = await asyncio.gather(*calls, return_exceptions=True)

    for answer in answers:
        assert isinstance(answer, Unavailable)
        assert "\n" not in answer.message
    await broken.close()
