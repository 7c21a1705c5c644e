"""`cloud.Executor`, `cloud.as_completed` and `cloud.wait` on every stack.

The tests of the executor are in the spirit of CPython's own for its executors.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import multiprocessing
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloud
import pytest

from tests.polling import until

if TYPE_CHECKING:
    from tests.e2e.stacks import Stack

WAIT_S = 60.0


pytestmark = pytest.mark.usefixtures("as_current")


def held(path: str, value: Any) -> Any:
    """Return a value once a file exists."""
    until(Path(path).exists, "the file is there", WAIT_S)
    return value


def set_up(name: str, value: str) -> None:
    """Initialize a process."""
    assert name not in os.environ, "the initializer ran twice"
    os.environ[name] = value


def test_submit_returns_futures_of_the_standard_library() -> None:
    """Results, exceptions, callbacks, and the waits of `concurrent.futures` and asyncio."""
    called: list[Any] = []

    async def wrapped(future: Any) -> Any:
        return await asyncio.wrap_future(future)

    with cloud.Executor() as executor:
        good, bad = executor.submit(pow, 2, exp=5), executor.submit(divmod, 1, 0)
        good.add_done_callback(called.append)
        assert concurrent.futures.wait([good, bad], WAIT_S).not_done == set()
        again = [executor.submit(abs, -each) for each in range(5)]
        ended = list(concurrent.futures.as_completed(again, WAIT_S))
        assert asyncio.run(wrapped(executor.submit(abs, -7))) == 7

    assert {each.result() for each in ended} == set(range(5))
    assert (good.result(), good.exception(), good.done(), good.cancelled()) == (
        *(32, None, True, False),
    )
    with pytest.raises(ZeroDivisionError):
        bad.result()
    assert isinstance(bad.exception(), ZeroDivisionError)
    until(lambda: called == [good], "the callback was called", WAIT_S)


def test_map_is_ordered_and_ends_with_the_shortest() -> None:
    """In chunks, too; an exception comes at its turn, and bad chunks are refused."""
    with cloud.Executor() as executor:
        assert list(executor.map(pow, range(10), range(10))) == [n**n for n in range(10)]
        assert list(executor.map(pow, range(7), range(9), chunksize=3)) == [n**n for n in range(7)]
        assert list(executor.map(abs, [])) == []
        results = executor.map(divmod, [1, 1, 1], [1, 0, 1])
        assert next(results) == (1, 0)
        with pytest.raises(ZeroDivisionError):
            next(results)
        with pytest.raises(ValueError, match="chunksize must be >= 1"):
            executor.map(abs, [1], chunksize=-1)


@pytest.mark.parametrize("chunksize", [1, 2])
def test_exceptions_are_returned_in_place_of_results(chunksize: int) -> None:
    """Those of items one by one, and that of a job which has ended without results for each."""

    def invert(number: int) -> float:
        if number < 0:
            os._exit(1)
        return 1 / number

    with cloud.Executor() as executor:
        results = list(
            executor.map(invert, [1, 0, 2, -1, 4], chunksize=chunksize, return_exceptions=True)
        )

    assert (results[0], type(results[1]), results[4]) == (1, ZeroDivisionError, 0.25)
    assert isinstance(results[3], cloud.CloudException)
    assert results[2] == (0.5 if chunksize == 1 else results[3])


def test_a_timeout_is_for_all_results(stack: Stack, tmp_path: Path) -> None:
    """The results before it are given; the jobs go on."""
    gate = stack.shared / f"{tmp_path.name}-gate"
    with cloud.Executor() as executor:
        executor.submit(held, "/", 0).result(WAIT_S)  # there is a slot now
        results = executor.map(held, ["/", str(gate)], [1, 2], timeout=2)
        assert next(results) == 1
        with pytest.raises(TimeoutError):
            next(results)
        gate.touch()


def test_cancelled_is_killed() -> None:
    """From either side."""
    with cloud.Executor() as executor:
        first, second = (executor.submit(time.sleep, 600) for _ in range(2))
        assert first.cancel()
        cloud.kill(second.job)
        for future in (first, second):
            with pytest.raises(concurrent.futures.CancelledError):
                future.result(WAIT_S)
            assert future.cancelled()
            assert not future.running()


def test_nothing_can_be_submitted_after_shutdown() -> None:
    """`shutdown` may be called again, and can kill what has not begun."""
    executor = cloud.Executor()
    first = executor.submit(abs, -1)
    second = executor.submit(lambda: None)
    executor.shutdown(wait=True, cancel_futures=True)
    executor.shutdown()

    assert first.done()
    assert second.done()
    for use in (executor.submit, executor.map):
        with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
            use(abs, [1])


def test_an_initializer_runs_once_in_each_job() -> None:
    """And before its function; once for a chunk."""
    name = f"EXECUTOR_{os.urandom(4).hex()}"
    with cloud.Executor(initializer=set_up, initargs=(name, "yes"), _label="x") as executor:
        assert set(executor.map(os.getenv, [name] * 10, chunksize=5)) == {"yes"}
        assert executor.submit(os.getenv, name).result(WAIT_S) == "yes"
        assert executor.submit(abs, -1).job.info("label") == {"label": "x"}


def refuse() -> None:
    """Fail as an initializer."""
    message = "no licence"
    raise OSError(message)


@pytest.mark.parametrize("use", ["submit", "map"])
def test_a_failed_initializer_breaks_the_executor(
    use: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As those of the standard library: its results say so, it says so in the log, and ends."""
    with cloud.Executor(initializer=refuse) as executor:
        with pytest.raises(concurrent.futures.BrokenExecutor, match="OSError: no licence"):
            if use == "submit":
                executor.submit(abs, -1).result(WAIT_S)
            else:
                list(executor.map(abs, [-1, -2]))
        with pytest.raises(concurrent.futures.BrokenExecutor, match="OSError: no licence"):
            executor.submit(abs, -1)
    assert [each.levelname for each in caplog.records if each.name == "concurrent.futures"] == [
        "CRITICAL"
    ]


def test_jobs_are_given_as_they_end(stack: Stack, tmp_path: Path) -> None:
    """With their results, also to event loops; a failed job is one of them."""
    gate = stack.shared / f"{tmp_path.name}-gate"
    slow, quick, bad = (
        cloud.call(held, str(gate), 1), cloud.call(abs, -2), cloud.call(divmod, 1, 0)
    )  # fmt: skip
    jobs = [slow, quick, bad]

    ended = cloud.as_completed(jobs, timeout=WAIT_S)
    early = {next(ended), next(ended)}
    done, not_done = cloud.wait(jobs, WAIT_S, return_when="FIRST_EXCEPTION")
    with pytest.raises(TimeoutError):
        next(cloud.as_completed([slow], timeout=0.1))
    gate.touch()

    assert early == {quick, bad}
    assert slow in not_done
    assert bad in done
    assert next(ended).result() == 1
    assert cloud.wait(jobs) == ({*jobs}, set())

    async def main() -> list[Any]:
        return [job.result(return_exceptions=True) async for job in cloud.as_completed(jobs)]

    values = asyncio.run(main())
    assert {1, 2} <= {value for value in values if isinstance(value, int)}
    assert [type(value) for value in values if not isinstance(value, int)] == [ZeroDivisionError]
    for found in (
        cloud.as_completed([bad], return_exceptions=True),
        cloud.wait([bad], return_exceptions=True).done,
    ):
        assert [type(job.result()) for job in found] == [ZeroDivisionError]


def test_a_pool_has_the_methods_of_multiprocessing() -> None:
    """Results in order or as they end, callbacks, and the function's own exception."""
    called: list[Any] = []
    with cloud.Pool(initializer=set_up, initargs=(f"POOL_{os.urandom(4).hex()}", "x")) as pool:
        many = pool.map_async(abs, range(-5, 0), 2, callback=called.append)
        bad = pool.apply_async(divmod, (1, 0), error_callback=called.append)
        assert pool.apply(dict, (), {"a": 1}) == {"a": 1}
        assert pool.starmap(pow, [(2, 3), (2, 3, 5)], 2) == [8, 3]
        assert list(pool.imap(abs, range(-3, 0), 2)) == [3, 2, 1]
        assert sorted(pool.imap_unordered(abs, [-1, -2])) == [1, 2]
        assert many.get(WAIT_S) == [5, 4, 3, 2, 1]
        with pytest.raises(ZeroDivisionError):
            bad.get(WAIT_S)
        assert (many.successful(), bad.successful()) == (True, False)
        until(lambda: len(called) == 2, "both callbacks were called", WAIT_S)
        assert pool.map(abs, []) == []
        pool.close()
        pool.join()


def invert(number: float) -> float:
    """The inverse of a number, after a while if it is small."""
    time.sleep(2 if number < 1 else 0)
    return 1 / number


def test_iterators_of_a_pool_lose_nothing() -> None:
    """After the error of an item, and after a timeout, the results that follow can be read."""
    with cloud.Pool() as pool:
        ordered = pool.imap(invert, [1, 0, 2])
        assert ordered.next(WAIT_S) == 1
        with pytest.raises(ZeroDivisionError):
            next(ordered)
        assert list(ordered) == [0.5]

        results: list[Any] = []
        unordered = pool.imap_unordered(invert, [1, 0, 2, 4])
        while len(results) < 4:
            try:
                results.append(unordered.next(WAIT_S))
            except ZeroDivisionError:
                results.append(0)
        assert sorted(results) == [0, 0.25, 0.5, 1]
        with pytest.raises(StopIteration):
            unordered.next()

        slow = pool.imap(invert, [0.5])
        with pytest.raises(multiprocessing.TimeoutError):
            slow.next(timeout=0.1)
        assert slow.next() == 2
