"""`cloud.iresult` and `cloud.wait_for`: results as they arrive, and statuses as they change."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cloud import CloudException, CloudTimeoutError

from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud._client.client import Client

    from tests.e2e.stacks import Stack

WAIT_S = 60.0


def held(path: str) -> str:
    """Wait for a file."""
    until(Path(path).exists, "the file is there", WAIT_S)
    return path


def first_or(number: int, path: str) -> int:
    """Wait for a file, unless this is one of the first jobs."""
    if number >= 3:
        held(path)
    return number


def test_results_come_while_others_run(client: Client, stack: Stack, tmp_path: Path) -> None:
    """The promise: "cloud.iresult may come in handy if you wish to iterate through the results of
    cloud.map()": a result is available before later jobs have ended.
    """
    path = stack.shared / tmp_path.name
    jids = client.map(first_or, range(5), [str(path)] * 5)

    results = client.iresult(jids, WAIT_S)
    early = [next(results) for _ in range(3)]
    with pytest.raises(CloudTimeoutError):
        next(client.iresult(jids[3:], 0.1))
    path.touch()

    assert early == [0, 1, 2]
    assert list(results) == [3, 4]


def test_results_come_in_the_order_asked(client: Client) -> None:
    """Any iterable of jids is accepted, with repeated jids; a single jid is a sequence of one."""
    jids = client.map(abs, range(2500))

    assert list(client.iresult(jids)) == list(range(2500))
    assert list(client.iresult([jids[7], jids[3], jids[7]])) == [7, 3, 7]
    assert list(client.iresult(jids[5])) == [5]
    assert list(client.iresult([])) == []


def inverse(number: int) -> float:
    """Return the inverse; fail for 0."""
    return 1 / number


def test_an_error_is_raised_at_its_turn(client: Client) -> None:
    """An error does not end the iteration: `next` continues after it."""
    jids = client.map(inverse, [1, 0, 2])
    results = client.iresult(jids, WAIT_S)

    assert next(results) == 1
    with pytest.raises(CloudException, match="division by zero") as caught:
        next(results)
    assert caught.value.jid == jids[1]
    assert list(results) == [0.5]


def test_errors_can_be_ignored(client: Client) -> None:
    """`ignore_errors=`: the CloudException of a job that failed takes the place of its result."""
    jids = client.map(inverse, [1, 0, 2])

    one, error, half = client.iresult(jids, ignore_errors=True)

    assert (one, half) == (1, 0.5)
    assert isinstance(error, CloudException)
    assert error.jid == jids[1]
    assert isinstance(error.__cause__, ZeroDivisionError)


def test_unordered_results_come_as_jobs_end(client: Client, stack: Stack, tmp_path: Path) -> None:
    """Pairs of jid and result, in the order in which jobs end; a job that fails is left out."""
    path = stack.shared / tmp_path.name
    slow = client.call(held, str(path))
    jids = [slow, *client.map(inverse, [0, 1])]

    results = client.iresult_unordered(jids)
    early = next(results)
    path.touch()

    assert early == (jids[2], 1.0)
    assert list(results) == [(slow, str(path))]


def test_results_come_as_jobs_end(client: Client, stack: Stack, tmp_path: Path) -> None:
    """`unordered=True`: the result of a quick job comes before that of a slow one."""
    path = stack.shared / tmp_path.name
    slow = client.call(held, str(path))
    jids = [slow, *client.map(inverse, [0, 1])]

    results = client.iresult(jids, WAIT_S, return_exceptions=True, unordered=True)
    early = [next(results), next(results)]
    path.touch()

    assert 1.0 in early
    assert sum(isinstance(each, CloudException) for each in early) == 1
    assert list(results) == [str(path)]


def test_large_results_can_be_fetched_with_the_most_at_once(client: Client) -> None:
    """`num_in_parallel=0` takes the most, as the help of old scripts says."""
    jids = client.map(large, range(5))

    assert [result[0] for result in client.iresult(jids, num_in_parallel=0)] == list(range(5))


def large(number: int) -> bytes:
    """Return a result that is sent as a blob."""
    return bytes([number]) * 3_000_000


def test_results_are_not_held(client: Client) -> None:
    """Memory follows what is consumed, not the total: 90 MB pass through a few."""
    jids = client.map(large, range(30))
    client.join(jids, WAIT_S)
    tracemalloc.start()

    sizes = sum(len(result) for result in client.iresult(jids, num_in_parallel=2))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert sizes == 90_000_000
    assert peak < 40_000_000


def test_wait_for_a_status(client: Client, stack: Stack, tmp_path: Path) -> None:
    """`wait_for.status(jid, test_status)` blocks until the job has that status, one of several, and
    for several jobs until all have.
    """
    path = stack.shared / tmp_path.name
    jids = client.map(held, [str(path)] * 2)

    running = client.wait_for_status(jids[0], "processing", WAIT_S)
    with pytest.raises(CloudTimeoutError, match="still processing"):
        client.wait_for_status(jids[0], "done", 0.1)
    path.touch()

    assert running == "processing"
    assert client.wait_for_status(jids, ["done", "error"], WAIT_S) == ["done", "done"]


def test_waiting_for_a_status_that_cannot_come(client: Client) -> None:
    """A final status never changes: waiting for another one is an error at once."""
    jid = client.call(inverse, 0)

    with pytest.raises(CloudException, match=f"Job {jid} failed: ended as error and will never be"):
        client.wait_for_status(jid, "done", WAIT_S)


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda client: client.iresult("1"), "jids must be whole numbers"),
        (lambda client: client.iresult([1], timeout="soon"), "timeout must be seconds"),
        (
            lambda client: client.iresult([1], num_in_parallel=-1),
            "num_in_parallel must be at least 0",
        ),
        (lambda client: client.iresult([1], num_in_parallel="2"), "must be a number"),
        (lambda client: next(client.iresult(10**9)), "There is no job 1000000000"),
        (lambda client: next(client.iresult_unordered([10**9])), "There is no job 1000000000"),
        (lambda client: client.wait_for_status(1, "finished"), "waiting, queued, processing"),
        (lambda client: client.wait_for_status(1, []), "must be one of"),
        (lambda client: client.wait_for_status(1, 7), "must be one of"),
        (lambda client: client.wait_for_status(10**9, "done", 1.0), "There is no job"),
        (lambda client: client.wait_for_status(1, "done", -1), "timeout must be seconds"),
    ],
)
def test_bad_questions_are_refused(
    client: Client, ask: Callable[[Client], object], sentence: str
) -> None:
    """Each wrong argument gets one clear sentence; closed lists are shown."""
    with pytest.raises(CloudException, match=sentence):
        ask(client)
