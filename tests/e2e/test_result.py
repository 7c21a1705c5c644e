"""`cloud.result`, `cloud.join` and `cloud.status`: how jobs end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from cloud import CloudException, CloudTimeoutError

from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from cloud._client.client import Client

    from tests.e2e.stacks import Stack

WAIT_S = 60.0


def until_there(path: str) -> str:
    """A job that lasts until a file exists."""
    while not __import__("os").path.exists(path):
        time.sleep(0.01)
    return path


def fail_at(number: int) -> int:
    """A job that fails for 3 and 5, sooner for 5."""
    time.sleep(0.3 if number == 3 else 0)
    if number in (3, 5):
        raise ValueError(f"not {number}")
    return number


def test_status_follows_the_job(client: Client, stack: Stack) -> None:
    """The promise: "The path [...] queued -> processing -> done, is the most common." """
    flag = stack.shared / "status"
    jid = client.call(until_there, str(flag))
    until(lambda: client.status(jid) == "processing", "the job runs")

    flag.touch()

    assert client.result(jid, WAIT_S) == str(flag)
    assert client.status(jid) == "done"


@pytest.mark.parametrize("kind", [list, tuple, iter, set, lambda jids: (jid for jid in jids)])
def test_a_sequence_of_jids_is_answered_by_a_list(
    client: Client, kind: Callable[[Iterable[int]], Any]
) -> None:
    """The promise: "In Python, you can use any iterable"; the results are in its order."""
    jids = client.map(abs, [-1, -2, -3])
    jids_of_kind = kind(jids)
    order = list(jids_of_kind) if isinstance(jids_of_kind, set) else list(jids)

    results = client.result(jids_of_kind, WAIT_S)

    assert results == [jid - jids[0] + 1 for jid in order]
    assert client.status(kind(jids)) == ["done"] * 3


def test_a_jid_may_be_asked_for_twice(client: Client) -> None:
    """A jid that is repeated gets its result as often, in any order."""
    one, two = client.map(abs, [-1, -2])

    assert client.result([two, one, two], WAIT_S) == [2, 1, 2]


def test_a_result_can_be_had_again_and_again(client: Client) -> None:
    """The promise: "the jid can be placed safely into a database and checked days later" """
    jid = client.call(lambda: {"a": [1]})

    assert client.result(jid, WAIT_S) == client.result(jid, WAIT_S) == {"a": [1]}


def test_join_waits_without_results(client: Client, stack: Stack) -> None:
    """The promise: "Use cloud.join(jid) to block until the job with jid jid has a 'complete'
    status"
    """
    flag = stack.shared / "join"
    jids = [client.call(until_there, str(flag)), client.call(abs, 1)]
    client.join(jids[1], WAIT_S)

    with pytest.raises(CloudTimeoutError):
        client.join(jids, timeout=0.3)
    flag.touch()

    client.join(jids, WAIT_S)
    assert client.status(jids) == ["done", "done"]


@pytest.mark.parametrize("timeout", [0, 0.2])
def test_a_timeout_ends_the_wait_and_not_the_job(
    client: Client, stack: Stack, timeout: float
) -> None:
    """The promise: "If the join takes longer than timeout seconds, it will abort by throwing a
    cloud.CloudTimeoutError."
    """
    flag = stack.shared / f"timeout-{timeout}"
    jid = client.call(until_there, str(flag))
    started = time.monotonic()

    with pytest.raises(CloudTimeoutError, match=f"Job {jid}: unfinished after {timeout:g} s"):
        client.result(jid, timeout=timeout)

    assert time.monotonic() - started < timeout + 30
    flag.touch()
    assert client.result(jid, WAIT_S) == str(flag)


def test_the_first_error_in_sequence_order_is_raised(client: Client) -> None:
    """The promise: "the exception thrown will describe the first (in sequence order) job that
    errored", though another one failed sooner.
    """
    jids = client.map(fail_at, range(8))

    with pytest.raises(CloudException, match="not 3") as forward:
        client.result(jids, WAIT_S)
    with pytest.raises(CloudException, match="not 5") as backward:
        client.join(list(reversed(jids)), WAIT_S)

    assert forward.value.jid == jids[3]
    assert backward.value.jid == jids[5]


def test_ignored_errors_take_the_place_of_results(client: Client) -> None:
    """With `ignore_errors` failed jobs raise nothing; their errors are in the list of results."""
    jids = client.map(fail_at, range(7))

    results = client.result(jids, WAIT_S, ignore_errors=True)

    assert [each for each in results if not isinstance(each, CloudException)] == [0, 1, 2, 4, 6]
    assert [each.jid for each in results if isinstance(each, CloudException)] == [jids[3], jids[5]]
    client.join(jids, WAIT_S, ignore_errors=True)
    assert client.status([jids[3], jids[4]]) == ["error", "done"]


def test_no_job_is_the_same_for_everybody(stack: Stack, client: Client, other: Client) -> None:
    """A jid that does not exist and one of another account look the same in every request."""
    mine = client.call(abs, 1)
    theirs = other.map(abs, range(mine + 1000))
    messages = set()

    for jid in (int(theirs[-1]), 2**53 - 1):
        for ask in (client.status, client.result, client.join, client.kill):
            with pytest.raises(CloudException) as refused:
                ask(jid)
            assert refused.value.code == "job.not_found"
            messages.add(str(refused.value).replace(str(jid), "N"))

    assert messages == {"There is no job N in your account."}
    assert other.result(theirs[-1], WAIT_S) == mine + 999


@pytest.mark.parametrize("jids", [0, -1, "1", 1.0, None, [1, "2"], True, 2**53])
def test_what_is_no_jid_is_refused(client: Client, jids: Any) -> None:
    """A value that cannot be a jid is refused with a sentence, before any request."""
    with pytest.raises(CloudException, match="jids must be whole numbers from 1"):
        client.result(jids)


@pytest.mark.parametrize("timeout", [-1, "1", float("nan"), True])
def test_what_is_no_timeout_is_refused(client: Client, timeout: Any) -> None:
    """A timeout is a number of seconds from 0, or None."""
    with pytest.raises(CloudException, match="timeout must be seconds from 0, or None"):
        client.result(1, timeout=timeout)


def test_many_may_wait_for_one_job(stack: Stack, client: Client, tmp_path: Path) -> None:
    """Several clients that wait for the same job are all woken when it ends."""
    from concurrent.futures import ThreadPoolExecutor

    flag = stack.shared / "many"
    jid = client.call(until_there, str(flag))
    clients = [stack.client() for _ in range(20)]

    with ThreadPoolExecutor(len(clients)) as pool:
        waits = [pool.submit(each.result, jid, WAIT_S) for each in clients]
        until(lambda: client.status(jid) == "processing", "the job runs")
        flag.touch()
        assert [wait.result(WAIT_S) for wait in waits] == [str(flag)] * 20

    for each in clients:
        each.close()
