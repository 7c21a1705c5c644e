"""What every state store promises of versions and transactions: sentences of `StatePort`."""

import os

import pytest
from picloud_driver.state import ANY, Check, Conflict, Delete, Operation, Put, StatePort
from picloud_model.errors import TooLarge

from tests.contract.state_adapters import LONGEST_KEY, StateSite, fill

STALE = 1
"""As an expected version: one that no key ever has."""


# --- versions -------------------------------------------------------------------------------------


async def test_a_version_is_that_of_the_commit(state: StatePort) -> None:
    """The version that a commit returns for a key is that of the next read, never 0."""
    versions = await state.commit([Put("a", b""), Put("b", b""), Delete("c")])

    found = await state.get(["a", "b"])

    assert set(versions) == {"a", "b"}
    assert {key: entry.version for key, entry in found.items()} == versions
    assert min(versions.values()) > 0


async def test_every_put_makes_a_greater_version(state: StatePort, other: StatePort) -> None:
    """Greater than any returned before, for any key, even if the value is the same."""
    latest = 0
    for number in range(20):
        writer = (state, other)[number % 2]
        versions = await writer.commit([Put(f"key/{number % 3}", b"same"), Put("key", b"same")])

        assert min(versions.values()) > latest
        latest = max(versions.values())


async def test_no_version_comes_back(state_site: StateSite) -> None:
    """Neither after a delete nor when the process that knew it is gone."""
    first = state_site.open()
    before = (await first.commit([Put("key", b"one")]))["key"]
    await first.commit([Delete("key")])
    await first.close()

    second = state_site.open()
    after = (await second.commit([Put("key", b"two")]))["key"]

    with pytest.raises(Conflict):
        await second.commit([Delete("key", before)])
    await second.close()
    assert after > before


async def test_what_was_committed_outlives_its_process(state_site: StateSite) -> None:
    """A port opened later finds every key as it was left."""
    first = state_site.open()
    versions = await fill(first, ["a", "b"])
    await first.close()

    second = state_site.open()

    found = await second.get(["a", "b"])
    await second.close()
    assert {key: entry.version for key, entry in found.items()} == versions


# --- commit ---------------------------------------------------------------------------------------


async def test_expectations_that_are_met(state: StatePort) -> None:
    """A key may be expected at a version, or missing (0), or in any way."""
    version = (await fill(state, ["a", "b", "c"]))["a"]

    await state.commit(
        [
            Put("a", b"1", version),
            Put("new", b"2", 0),
            Put("b", b"3", ANY),
            Delete("c", version),
            Delete("none", 0),
            Check("none either", 0),
        ]
    )

    found = await state.get(["a", "b", "c", "new"])
    assert {key: entry.value for key, entry in found.items()} == {
        "a": b"1",
        "b": b"3",
        "new": b"2",
    }


@pytest.mark.parametrize(
    "failing",
    [
        Put("there", b"", 0),
        Put("there", b"", STALE),
        Put("gone", b"", STALE),
        Delete("there", 0),
        Delete("there", STALE),
        Delete("gone", STALE),
        Check("there", 0),
        Check("there", STALE),
        Check("gone", STALE),
    ],
    ids=repr,
)
async def test_a_conflict_names_its_key_and_changes_nothing(
    state: StatePort, failing: Operation
) -> None:
    """When one expectation is not met no operation happens, those before it included."""
    version = (await fill(state, ["there", "gone", "kept"]))["kept"]
    await state.commit([Delete("gone")])
    before = await state.scan("")

    with pytest.raises(Conflict) as refused:
        await state.commit([Put("kept", b"", version), Put("new", b"", 0), failing])

    assert refused.value.keys == (failing.key,)
    assert await state.scan("") == before


async def test_a_delete_of_a_missing_key_is_no_error(state: StatePort) -> None:
    """With `ANY` it makes no difference whether there was such a key."""
    await fill(state, ["a"])

    assert await state.commit([Delete("a"), Delete("b")]) == {}
    assert await state.scan("") == []


async def test_a_check_changes_nothing(state: StatePort) -> None:
    """A key that was only checked keeps its version."""
    versions = await fill(state, ["a"])

    assert await state.commit([Check("a", versions["a"]), Check("a", ANY)]) == {}
    assert (await state.get(["a"]))["a"].version == versions["a"]


async def test_a_commit_of_nothing_is_done(state: StatePort) -> None:
    """An empty list of operations is not an error."""
    assert await state.commit([]) == {}


async def test_the_largest_transaction_is_taken(state: StatePort) -> None:
    """`max_operations` with the longest keys and `max_bytes` of values fit at once."""
    most = state.max_operations
    keys = [f"{number:04d}{LONGEST_KEY}"[:512] for number in range(most)]
    value = os.urandom(state.max_bytes // most)

    versions = await state.commit([Put(key, value, 0) for key in keys])
    replaced: list[Operation] = [Delete(key, versions[key]) for key in keys[1:]]
    await state.commit([*replaced, Put(keys[0], os.urandom(state.max_bytes), versions[keys[0]])])

    (left,) = await state.scan("")
    assert (left.key, len(left.value)) == (keys[0], state.max_bytes)


async def test_a_larger_transaction_is_refused(state: StatePort) -> None:
    """One operation or one byte more raises `TooLarge`, and nothing is changed."""
    most, most_bytes = state.max_operations, state.max_bytes

    with pytest.raises(TooLarge, match=f"{most} operations"):
        await state.commit([Put(f"{number}", b"") for number in range(most + 1)])
    with pytest.raises(TooLarge, match=f"{most_bytes} bytes"):
        await state.commit([Put("a", b""), Put("b", bytes(most_bytes)), Put("c", b"1")])

    assert await state.scan("") == []
