"""Asynchronous functions as jobs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picloud_model.job import Cause
from picloud_model.wire import Options

from tests.unit.worker.jobs import appears, pid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.unit.worker.fake_api import FakeApi
    from tests.unit.worker.worker import Worker


async def add(a: int, b: int) -> int:
    """Add two numbers after a moment."""
    await asyncio.sleep(0.001)
    return a + b


async def count(upto: int) -> AsyncIterator[int]:
    """Count after moments."""
    for number in range(upto):
        await asyncio.sleep(0)
        yield number


async def wait_for_ever(path: str) -> None:
    """Wait in a function that another calls."""
    Path(path).touch()  # noqa: ASYNC240 - nothing else runs
    await _inner()


async def _inner() -> None:
    await asyncio.sleep(600)


async def generate_for_ever(path: str) -> AsyncIterator[int]:
    """The same in a generator."""
    Path(path).touch()  # noqa: ASYNC240 - nothing else runs
    await _inner()
    yield 1


def test_asynchronous_functions_run_to_their_end(api: FakeApi, worker: Worker) -> None:
    """A coroutine is awaited in the job, an asynchronous generator gives a list."""

    async def gather() -> list[int]:
        return list(await asyncio.gather(*(add(n, n) for n in range(3))))

    assert api.result(api.submit(add, [(1, 2)])) == 3
    assert api.result(api.submit(count, [(3,)])) == [0, 1, 2]
    assert api.result(api.submit(gather)) == [0, 2, 4]
    assert api.result(api.submit(lambda: add(2, 2))) == 4


def test_asynchronous_jobs_leave_the_interpreter_as_it_was(api: FakeApi, worker: Worker) -> None:
    """Tasks that were not awaited, and threads of the loop, end with the job."""

    async def leave() -> None:
        asyncio.get_running_loop().create_task(asyncio.sleep(600))
        await asyncio.to_thread(sum, [1, 2])

    before = api.result(api.submit(pid))
    api.result(api.submit(leave))

    assert api.result(api.submit(pid)) == before


def test_the_traceback_of_a_coroutine_begins_in_user_code(api: FakeApi, worker: Worker) -> None:
    """The event loop is none of its user's."""

    async def fail() -> None:
        await asyncio.sleep(0)
        raise KeyError("gone")

    failure = api.failure(api.submit(fail))

    assert failure.message == "KeyError: 'gone'"
    assert "asyncio" not in failure.traceback.split("in fail")[0]
    assert "in fail" in failure.traceback


def test_a_kill_shows_where_a_coroutine_waits(api: FakeApi, worker: Worker) -> None:
    """Down to the innermost function of the user's."""
    for number, function in enumerate((wait_for_ever, generate_for_ever)):
        path = worker.workdir / f"began{number}"
        batch = api.submit(function, [(str(path),)])
        appears(path)
        api.until(lambda batch=batch: (batch, 0) in api.held)
        api.kill(batch, 0)
        failure = api.failure(batch)

        assert failure.cause == Cause.KILLED
        assert f"in {function.__name__}" in failure.traceback
        assert "in _inner" in failure.traceback
        assert "run_until_complete" not in failure.traceback


def test_a_profile_shows_what_a_coroutine_did(api: FakeApi, worker: Worker) -> None:
    """Not merely that it was made."""

    async def work() -> Any:
        return sorted(range(10))

    batch = api.submit(work, options=Options(profile=True))
    assert api.result(batch) == list(range(10))
    info = api.outcome(batch).info

    assert info is not None
