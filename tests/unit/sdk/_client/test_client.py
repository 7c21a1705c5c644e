"""What users pass to a client, and what it sends."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from cloud import CloudException
from picloud_model import wire

if TYPE_CHECKING:
    from cloud._client.client import Client

    from tests.unit.sdk.fake_server import FakeServer


def test_keyword_arguments_travel_and_options_do_not(server: FakeServer, client: Client) -> None:
    """Keyword arguments are the function's, except for those that begin with an underscore."""
    client.call(dict, a=1, _label="first job", _type="f2", _cores=4, _priority=1)

    assert server.arguments() == [((), {"a": 1})]
    assert server.batch().options == wire.Options(
        core_type="f2", cores=4, label="first job", priority=1
    )


def test_a_function_may_take_an_argument_called_func(server: FakeServer, client: Client) -> None:
    """No name of the SDK's own parameters is taken from the user's function."""
    client.call(dict, func=1, self=2)

    assert server.arguments() == [((), {"func": 1, "self": 2})]


@pytest.mark.parametrize(
    ("iterables", "expected"),
    [
        (([1, 2, 3], [4]), [(1, 4), (2, None), (3, None)]),
        (("ab",), [("a",), ("b",)]),
        (((n * n for n in range(3)),), [(0,), (1,), (4,)]),
        ((iter([1]), {"x": 0}), [(1, "x")]),
    ],
)
def test_map_takes_any_iterables_and_pads_the_shorter(
    server: FakeServer, client: Client, iterables: tuple[Any, ...], expected: list[tuple[Any, ...]]
) -> None:
    """Each job gets one item of each iterable; where one has ended, None."""
    jids = client.map(print, *iterables)

    assert jids == range(1, 1 + len(expected))
    assert [args for args, _ in server.arguments()] == expected


def test_map_gives_keyword_arguments_to_every_job(server: FakeServer, client: Client) -> None:
    """Keyword arguments of a map are the same for all its jobs."""
    client.map(print, [1, 2], sep="-")

    assert server.arguments() == [((1,), {"sep": "-"}), ((2,), {"sep": "-"})]


def test_an_empty_map_sends_nothing(server: FakeServer, client: Client) -> None:
    """An empty map has no jobs and sends no request."""
    jids = client.map(print, [])

    assert jids == range(0)
    assert server.sent == []


@pytest.mark.parametrize("arguments", [(), (3,), ([1], None)])
def test_map_refuses_what_it_cannot_iterate(
    server: FakeServer, client: Client, arguments: tuple[Any, ...]
) -> None:
    """A map without iterables, or with something else among them, is refused."""
    with pytest.raises(CloudException, match="iterable"):
        client.map(print, *arguments)

    assert server.sent == []


def test_what_is_no_function_is_refused(server: FakeServer, client: Client) -> None:
    """Only what can be called can be run."""
    with pytest.raises(CloudException, match="function"):
        client.call(3)

    assert server.sent == []


def test_threads_may_call_at_once(server: FakeServer, client: Client) -> None:
    """One client serves many threads; every call has its jid."""
    found = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(client.call(abs, n))) for n in range(16)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(found) == list(range(1, 17))


def test_no_jids_send_nothing(server: FakeServer, client: Client) -> None:
    """Empty sequences have empty answers."""
    assert client.result([]) == []
    assert client.status([]) == []
    assert client.kill([]) == 0
    assert server.sent == []


def test_statuses_come_in_the_order_asked(server: FakeServer, client: Client) -> None:
    """One status for one jid, a list for several, unknown jids are an error."""
    client.map(abs, [1, 2, 3])
    server.done(2, None)

    assert client.status(2) == "done"
    assert client.status([3, 2, 3]) == ["queued", "done", "queued"]
    with pytest.raises(CloudException, match="no job 9"):
        client.status(9)


def test_kill_names_jobs_or_all(server: FakeServer, client: Client) -> None:
    """Nothing named means all unfinished jobs; an empty list means none."""
    client.kill()
    client.kill(5)
    client.kill([9, 8])
    client.kill([])

    assert server.killed == [None, [(5, 5)], [(8, 9)]]
