"""`cloud.map`: one function, many jobs."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import pytest
from cloud import CloudException

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloud._client.client import Client

    from tests.e2e.stacks import Stack

WAIT_S = 60.0


def pair(x: Any, y: Any) -> tuple[Any, Any]:
    """Return both arguments."""
    return x, y


def test_map_mimics_the_builtin(client: Client) -> None:
    """The promise: "newlist = map(func,sequence) will return a list where newlist[i] =
    func(sequence[i])."
    """
    numbers = [3, -1, 4, -1, 5]

    jids = client.map(abs, numbers)

    assert client.result(jids, WAIT_S) == list(map(abs, numbers))


def test_several_lists_are_walked_together(client: Client) -> None:
    """The promise: "products = cloud.map(lambda x,y: x*y, xlist, ylist)" """
    jids = client.map(lambda x, y: x * y, [1, 2, 3], [4, 5, 6])

    assert client.result(jids, WAIT_S) == [4, 10, 18]


def test_shorter_lists_are_padded_with_none(client: Client) -> None:
    """The promise: "cloud.map() will increase the argument lists to the maximum length [...],
    inserting None."
    """
    jids = client.map(pair, [1, 2, 3], "a")

    assert client.result(jids, WAIT_S) == [(1, "a"), (2, None), (3, None)]


def test_jids_of_a_map_are_consecutive_and_in_order(client: Client) -> None:
    """The promise: "an ordered sequence of jids where jid[i] corresponds to func(sequence[i])" """
    jids = client.map(operator.neg, range(2500))

    assert list(jids) == list(range(jids[0], jids[0] + 2500))
    assert client.result(jids[2345], WAIT_S) == -2345
    assert client.result(reversed(jids), WAIT_S) == [-x for x in reversed(range(2500))]


def test_every_job_gets_the_keyword_arguments(client: Client) -> None:
    """Keyword arguments of a map are passed to each of its jobs."""
    jids = client.map(int, ["10", "11"], base=2, _label="binary")

    assert client.result(jids, WAIT_S) == [2, 3]


def test_a_map_over_nothing_makes_no_job(client: Client) -> None:
    """A map over an empty list makes no job and waits for none."""
    assert list(client.map(abs, [])) == []
    assert client.result([]) == []


def test_a_map_takes_any_iterable(client: Client) -> None:
    """The promise: "One job is created per element of an_iterator": a generator is as good as a
    list.
    """

    def squares() -> Iterator[int]:
        for x in range(25_000):
            yield x * x

    jids = client.map(abs, squares())

    assert len(jids) == 25_000
    assert client.result(jids, 2 * WAIT_S) == [x * x for x in range(25_000)]


def test_a_generator_that_fails_makes_no_job(begin: Callable[..., Stack]) -> None:
    """An exception of an argument's iterator reaches the caller, and no job of the map is made."""
    client = begin(slots=1).client()

    def broken() -> Iterator[int]:
        yield from range(5)
        raise KeyError("no more")

    with pytest.raises(KeyError, match="no more"):
        client.map(abs, broken())

    assert client.call(abs, 1) == 1
    client.close()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [((), "at least one iterable"), ((5,), "Argument 1 of map must be an iterable, not 5")],
)
def test_a_map_without_iterables_is_refused(
    client: Client, arguments: tuple[Any, ...], sentence: str
) -> None:
    """A map without iterables is refused with a sentence."""
    with pytest.raises(CloudException, match=sentence):
        client.map(abs, *arguments)


def test_other_jobs_are_not_held_up_by_a_large_map(client: Client) -> None:
    """The promise: "PiCloud will attempt to schedule jobs with the lower priority number first" """
    large = client.map(lambda x: __import__("time").sleep(0.002), range(2000))

    urgent = client.call(abs, -1, _priority=0)

    assert client.result(urgent, WAIT_S) == 1
    assert client.status(large[-1]) != "done"
    client.kill(large)
