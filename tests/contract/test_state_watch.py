"""What every state store promises of watches and locks, as `StatePort` and `StateLock` say."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from picloud_driver.state import Delete, Put, StateLock, StatePort

from tests.contract.state_adapters import StateSite, another_process, hold_a_lock, said

SOON_S = 10.0
SHORT_S = 0.2


@contextlib.asynccontextmanager
async def watching(state: StatePort, prefix: str, after: int) -> AsyncIterator[asyncio.Task[int]]:
    """A watch that has begun before the block does, and has to end soon after it."""
    watch = asyncio.create_task(state.watch(prefix, after, SOON_S))
    # Long enough to be asked; where it is not, the watch finds the change a moment later.
    await asyncio.wait([watch], timeout=0.05)
    assert not watch.done()
    yield watch
    async with asyncio.timeout(SOON_S / 2):
        await watch


# --- watch ----------------------------------------------------------------------------------------


async def test_a_first_watch_answers_at_once(state: StatePort) -> None:
    """After 0 comes the present moment, which is not 0, in an empty store too."""
    async with asyncio.timeout(SOON_S / 2):
        first = await state.watch("bell/", 0, SOON_S)

        assert first > 0
        assert await state.watch("bell/", 0, SOON_S) > 0


async def test_a_put_wakes_a_watch(state: StatePort, other: StatePort) -> None:
    """A new key and a new value of a key, put by any process."""
    moment = await state.watch("bell/", 0, 0.0)

    for value in (b"one", b"two", b"two"):
        async with watching(state, "bell/", moment) as watch:
            await other.commit([Put("bell/1", value)])
        assert watch.result() > moment
        moment = watch.result()


async def test_a_delete_wakes_a_watch(state: StatePort, other: StatePort) -> None:
    """The last key of a prefix too, and one among others."""
    await other.commit([Put("bell/1", b""), Put("bell/2", b"")])
    moment = await state.watch("bell/", 0, 0.0)

    for key in ("bell/1", "bell/2"):
        async with watching(state, "bell/", moment) as watch:
            await other.commit([Delete(key)])
        assert watch.result() > moment
        moment = watch.result()


async def test_a_change_before_the_watch_is_not_missed(state: StatePort, other: StatePort) -> None:
    """A change later than `after` is returned at once, even of a key that was put and deleted."""
    await state.commit([Put("bell/1", b"")])
    moment = await state.watch("bell/", 0, 0.0)
    for change in (Put("bell/1", b"new"), Delete("bell/1"), Put("bell/2", b"")):
        await other.commit([change])

        async with asyncio.timeout(SOON_S / 2):
            later = await state.watch("bell/", moment, SOON_S)

        assert later > moment
        moment = later


async def test_nothing_happened_in_time(state: StatePort) -> None:
    """After the timeout the answer is `after`; changes elsewhere do not wake."""
    await state.commit([Put("bell/1", b"")])
    moment = await state.watch("bell/", 0, 0.0)
    began = time.monotonic()

    async with asyncio.timeout(SOON_S):
        watch = asyncio.create_task(state.watch("bell/", moment, SHORT_S))
        await state.commit([Put("bell", b""), Put("bell0", b""), Delete("bell/2")])
        answered = await watch

    assert answered == moment
    assert time.monotonic() - began >= SHORT_S
    assert await state.watch("bell/", moment, 0.0) == moment


async def test_one_change_wakes_every_watch_it_concerns(state: StatePort) -> None:
    """Watches of the same prefix, of longer and of shorter ones."""
    await state.commit([Put("bell/1", b"")])
    prefixes = ["", "b", "bell/", "bell/", "bell/1"]
    moments = [await state.watch(prefix, 0, 0.0) for prefix in prefixes]

    async with contextlib.AsyncExitStack() as all_of_them:
        for prefix, moment in zip(prefixes, moments, strict=True):
            await all_of_them.enter_async_context(watching(state, prefix, moment))
        await state.commit([Put("bell/1", b"new")])


async def test_moments_lead_from_change_to_change(state: StatePort, other: StatePort) -> None:
    """A reader that reads after each wake-up sees the last change, however fast they come."""
    seen = b""

    async def follow() -> None:
        nonlocal seen
        moment = 0
        while seen != b"99":
            moment = await state.watch("bell/", moment, SOON_S)
            found = await state.get(["bell/1"])
            seen = found["bell/1"].value if found else b""

    async def ring() -> None:
        for number in range(100):
            await other.commit([Put("bell/1", str(number).encode())])

    async with asyncio.timeout(SOON_S):
        await asyncio.gather(follow(), ring())

    assert seen == b"99"


async def test_a_moment_of_an_earlier_life_wakes(state: StatePort) -> None:
    """A moment later than any of this store, as after a restore, does not put a watch to sleep."""
    await state.commit([Put("bell/1", b"")])

    async with asyncio.timeout(SOON_S):
        assert await state.watch("bell/", 10**12, SOON_S * 2) < 10**12


async def test_a_watch_given_up_leaves_nothing(state: StatePort) -> None:
    """After its task was cancelled the store still works, and the next watch wakes."""
    moment = await state.watch("bell/", 0, 0.0)
    watch = asyncio.create_task(state.watch("bell/", moment, SOON_S))
    await asyncio.wait([watch], timeout=0.05)

    watch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watch

    async with watching(state, "bell/", moment):
        await state.commit([Put("bell/1", b"")])


# --- lock -----------------------------------------------------------------------------------------


async def taken(state: StatePort, name: str = "cleaning") -> StateLock:
    """A lock that has to be free."""
    lock = await state.lock(name, 20.0)
    assert lock is not None
    return lock


async def test_a_lock_has_one_holder(state: StatePort, other: StatePort) -> None:
    """Another holder, and the same one again, get None; another name is another lock."""
    lock = await taken(state)

    assert await lock.held()
    assert await state.lock("cleaning", 20.0) is None
    assert await other.lock("cleaning", 20.0) is None
    await taken(other, "cleaning//odd name/..")


async def test_of_many_takers_one_gets_the_lock(state: StatePort, other: StatePort) -> None:
    """Of many concurrent requests of two processes, one gets it."""
    asked = [(state, other)[number % 2].lock("cleaning", 20.0) for number in range(10)]

    answers = await asyncio.gather(*asked)

    assert len([lock for lock in answers if lock]) == 1


async def test_a_released_lock_is_free_at_once(state: StatePort, other: StatePort) -> None:
    """Releasing it twice does nothing, also when another holder has it by then."""
    first = await taken(state)
    await first.release()
    assert not await first.held()

    second = await taken(other)
    await first.release()

    assert await second.held()
    assert not await first.held()


async def test_a_closed_port_gives_its_locks_back(state_site: StateSite) -> None:
    """The next process that opens the store finds them free."""
    first = state_site.open()
    await taken(first)
    await first.close()

    second = state_site.open()

    await taken(second)
    await second.close()


async def test_locks_are_no_keys(state: StatePort) -> None:
    """What the store keeps for locks is found by no scan and wakes no watch."""
    await state.commit([Put("key", b"")])
    moment = await state.watch("", 0, 0.0)

    await taken(state)

    assert [entry.key for entry in await state.scan("")] == ["key"]
    assert await state.watch("", moment, SHORT_S) == moment


async def test_a_lock_lives_as_long_as_its_holder(state_site: StateSite) -> None:
    """A dead holder's lock ends about `ttl_s` later; a living one's is kept alive beyond that."""
    with another_process(hold_a_lock, state_site) as (process, tell):
        assert tell.recv() is True
        process.kill()
        assert said(tell) == []
    state = state_site.open()
    ours = await taken(state, "ours")

    async with asyncio.timeout(state_site.lock_ends_s):
        # No port tells when a lock ends.
        while await state.lock("cleaning", 20.0) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.2)

    assert await ours.held()
    await state.close()
