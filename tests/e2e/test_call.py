"""`cloud.call`: one function, one job."""

from __future__ import annotations

import functools
import operator
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from cloud import CloudException

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud._client.client import Client

    from tests.e2e.stacks import Stack

WAIT_S = 60.0


class Counter:
    """An object with methods of every kind."""

    factor = 3

    def __init__(self, start: int) -> None:
        self.start = start

    def plus(self, more: int) -> int:
        """A method that needs its object."""
        return self.start + more

    @classmethod
    def times(cls, number: int) -> int:
        """A method that needs its class."""
        return cls.factor * number

    @staticmethod
    def minus(number: int) -> int:
        """A method that needs neither."""
        return -number

    def __call__(self, more: int) -> int:
        """An object that is called."""
        return self.start * more


def closure(amount: int) -> Callable[[int], int]:
    """Return a function with a closure."""

    def add(number: int) -> int:
        return number + amount

    return add


def factorial(number: int) -> int:
    """Return a factorial, by recursion."""
    return number * factorial(number - 1) if number else 1


FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "lambda": (lambda x: x + 1, 6, 7),
    "closure": (closure(10), 6, 16),
    "nested in a nested one": (lambda x: closure(x)(x), 6, 12),
    "partial": (functools.partial(operator.sub, 10), 6, 4),
    "bound method": (Counter(5).plus, 6, 11),
    "classmethod": (Counter.times, 6, 18),
    "staticmethod": (Counter.minus, 6, -6),
    "callable object": (Counter(5), 6, 30),
    "recursive": (factorial, 6, 720),
    "builtin": (abs, -6, 6),
    "of the standard library": (operator.neg, 6, -6),
    "method of a builtin": ([3, 6, 6].count, 6, 2),
    "class": (complex, 6, 6),
}


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_any_function_runs_on_the_cloud(client: Client, kind: str) -> None:
    """The promise: "Most users will find that any function they've written can be passed through
    cloud.call()."
    """
    function, argument, wanted = FUNCTIONS[kind]

    result = client.result(client.call(function, argument), WAIT_S)

    assert result == wanted


def test_call_does_not_block(client: Client) -> None:
    """The promise: "call() is non-blocking": it returns a jid long before the function has
    returned.
    """
    started = time.monotonic()

    jid = client.call(time.sleep, 30)

    assert isinstance(jid, int)
    assert time.monotonic() - started < 25
    client.kill(jid)


def test_arguments_arrive_by_position_and_by_name(client: Client) -> None:
    """The promise: "Arguments [...] can be passed by listing them after the function [...] or by
    naming them."
    """

    def show(*args: Any, **kwargs: Any) -> tuple[Any, ...]:
        return args, kwargs

    jid = client.call(show, 1, "zwei", [3.0], x={"four": None}, func=5, self=6)

    assert client.result(jid, WAIT_S) == (
        (1, "zwei", [3.0]),
        {"x": {"four": None}, "func": 5, "self": 6},
    )


def test_a_function_need_not_return_anything(client: Client) -> None:
    """The promise: "it is acceptable to not have a return value": the result is then None."""
    assert client.result(client.call(lambda: None), WAIT_S) is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        0,
        -(2**100),
        float("inf"),
        "\0\ud7ffß\U0001f600",
        b"\xff\x00",
        [],
        {"a": {1: (2, {3})}},
        range(3),
    ],
    ids=repr,
)
def test_values_come_back_as_they_went(client: Client, value: Any) -> None:
    """A value that is sent as an argument and returned as a result is equal and of the
    same type.
    """
    result = client.result(client.call(lambda x: x, value), WAIT_S)

    assert result == value
    assert type(result) is type(value)


def test_jids_are_serial(begin: Callable[..., Stack]) -> None:
    """The promise: "Your first job has jid 1, and it is incremented sequentially with each new
    job."
    """
    client = begin(slots=1).client()

    jids = [
        client.call(abs, 1),
        client.call(abs, 2),
        *client.map(abs, range(3)),
        client.call(abs, 3),
    ]

    assert jids == [1, 2, 3, 4, 5, 6]
    client.join(jids, WAIT_S)
    client.close()


def test_threads_may_share_a_client(client: Client) -> None:
    """Threads that call at the same time get jids and results of their own."""
    by_thread: dict[int, tuple[list[int], list[int]]] = {}

    def work(number: int) -> None:
        jids = [client.call(operator.mul, number, at) for at in range(10)]
        by_thread[number] = jids, client.result(jids, WAIT_S)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)

    assert {number: results for number, (_, results) in by_thread.items()} == {
        number: [number * at for at in range(10)] for number in range(20)
    }
    assert len({jid for jids, _ in by_thread.values() for jid in jids}) == 200


def test_the_same_function_keeps_no_arguments(client: Client) -> None:
    """Each job gets arguments of its own, although one interpreter runs them one after
    the other.
    """

    def grow(items: list[int]) -> int:
        items.append(1)
        return len(items)

    jids = client.map(grow, [[] for _ in range(50)])

    assert client.result(jids, WAIT_S) == [1] * 50


@pytest.mark.parametrize("kind", ["generator", "lock"])
def test_what_cannot_be_pickled_is_named(client: Client, kind: str) -> None:
    """The promise: "call or map: A function or argument cannot be pickled": one sentence says which
    one, and why.
    """
    value = {"generator": (x for x in range(3)), "lock": threading.Lock()}[kind]

    with pytest.raises(CloudException, match=rf"args\[1\].*{kind}"):
        client.call(lambda *_: None, 1, {"deep": [value]})


def test_what_is_no_function_is_refused(client: Client) -> None:
    """An object that cannot be called is refused with a sentence, before anything is sent."""
    with pytest.raises(CloudException, match="must be a function, not 7"):
        client.call(7)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"_type": "c9"}, "_type must be one of the core types c1, c2, f2, m1, s1"),
        ({"_type": "c1", "_cores": 2}, "A job on c1 may have 1 core"),
        ({"_typ": "c1"}, "did you mean _type"),
        ({"_priority": -1}, "_priority must be a whole number from 0"),
        ({"_label": "x" * 201}, "_label must be ASCII text of at most 200"),
        ({"_restartable": 1}, "_restartable must be True or False"),
    ],
)
def test_an_option_that_cannot_be_is_refused(
    client: Client, options: dict[str, Any], sentence: str
) -> None:
    """An option with an impossible value is refused with a sentence that lists the
    possible ones.
    """
    with pytest.raises(CloudException, match=sentence):
        client.call(abs, 1, **options)


@pytest.mark.parametrize(
    "options", [{"_type": "c2", "_cores": 2}, {"_type": "f2"}, {"_type": "s1"}]
)
def test_jobs_of_other_core_types_run(client: Client, options: dict[str, Any]) -> None:
    """The promise: "To use a different core in Python, use the _type keyword." """
    assert client.result(client.call(abs, -4, **options), WAIT_S) == 4


def test_options_are_not_arguments(client: Client) -> None:
    """Keyword arguments that begin with an underscore are options, all others are the
    function's.
    """

    def names(**kwargs: Any) -> list[str]:
        return sorted(kwargs)

    jid = client.call(names, a=1, _label="a job", _priority=1, _restartable=False, b=2)

    assert client.result(jid, WAIT_S) == ["a", "b"]
