"""From a function and arguments to requests."""

from __future__ import annotations

import itertools
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from cloud import CloudException
from cloud._arguments.options import CallOptions
from cloud._config.configuration import Config
from cloud._jobs.submit import INLINE_FUNCTION_BYTES, Submitter
from cloud._packing.packer import Packer
from cloud._resources.blob import REQUEST_BYTES, BlobClient
from hypothesis import given, settings
from hypothesis import strategies as st
from picloud_model import wire
from picloud_model.errors import AccountBusy, BlobMissing, SubmitChanged

from tests.unit.sdk.fake_server import FakeServer, client_for, problem, transport_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloud._client.client import Client


def test_a_warm_call_is_one_request(server: FakeServer, client: Client) -> None:
    """A call of a small function needs a single request, and answers the jid."""
    jid = client.call(pow, 2, 10)

    assert jid == 1
    assert server.paths() == ["POST /v1/jobs"]
    assert server.arguments() == [((2, 10), {})]


def test_what_cannot_be_pickled_is_refused(server: FakeServer, client: Client) -> None:
    """An argument that cannot travel is a CloudException that names it."""
    with pytest.raises(CloudException, match="args"):
        client.call(print, threading.Lock())

    assert server.sent == []


def test_the_item_of_a_map_that_cannot_be_pickled_is_named(
    server: FakeServer, client: Client
) -> None:
    """By its position in the map, and by the way through it."""
    with pytest.raises(CloudException, match=r"arguments of item 1: args\[0\] -> item 0 is a _thr"):
        client.map(len, [[1], [threading.Lock()], [3]])

    assert server.sent == []


def test_an_argument_over_the_limit_is_refused_before_anything_is_sent(
    server: FakeServer, client: Client
) -> None:
    """The message has the size, the limit and the name of the setting."""
    with pytest.raises(CloudException, match=r"1,000,\d+ bytes.*1,000,000.*max_transmit_data"):
        client.call(len, b"x" * 1_000_000)

    assert server.sent == []


def test_the_limit_holds_for_functions(server: FakeServer, client: Client) -> None:
    """A function that drags much data along is refused like an argument."""
    ballast = b"x" * 1_000_000

    with pytest.raises(CloudException, match="max_transmit_data"):
        client.call(lambda: ballast)

    assert server.sent == []


def test_the_limit_can_be_raised(server: FakeServer) -> None:
    """With a higher max_transmit_data the same argument travels, as a blob."""
    config = Config()
    config.max_transmit_data = 16_000_000

    client_for(server, config).call(len, b"x" * 1_000_000)

    assert server.arguments() == [((b"x" * 1_000_000,), {})]
    assert server.paths()[0] == "POST /v1/blobs/missing"
    assert server.paths()[-1] == "POST /v1/jobs"


def test_a_large_function_is_uploaded_once(server: FakeServer, client: Client) -> None:
    """A function over 16 KiB is a blob; a second call finds it there without asking."""
    ballast = b"x" * INLINE_FUNCTION_BYTES
    func = lambda: ballast  # noqa: E731 - a closure with data

    client.call(func)
    first = len(server.sent)
    client.call(func)

    assert first == 3
    assert server.paths()[first:] == ["POST /v1/jobs"]


def test_blobs_the_server_lost_are_uploaded_again(server: FakeServer, client: Client) -> None:
    """When the server lacks what was there before, it is sent and the same request repeated."""
    ballast = b"x" * INLINE_FUNCTION_BYTES
    func = lambda: ballast  # noqa: E731 - a closure with data
    client.call(func)
    server.blobs.clear()
    server.sent.clear()

    jid = client.call(func)

    submits = [sent.body for sent in server.sent if sent.url == "/v1/jobs"]
    assert jid == 2
    assert len(submits) == 2
    assert submits[0] == submits[1]


def test_blobs_that_stay_missing_are_told(server: FakeServer, client: Client) -> None:
    """If bytes are missing twice, the error is raised."""
    server.faults = [problem(BlobMissing(digests=("0" * 64,)), 409)] * 2

    with pytest.raises(CloudException, match="does not hold these bytes"):
        client.call(pow, 2, 10)


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_lost_submit_is_repeated_byte_for_byte(
    server: FakeServer, client: Client, fault: Any
) -> None:
    """Whether the request or its answer was lost: the same jid, one batch, the same bytes."""
    server.faults = [fault, fault]

    jid = client.call(pow, 2, 10)

    bodies = {sent.body for sent in server.sent}
    assert jid == 1
    assert len(server.sent) == 3
    assert len(bodies) == 1
    assert len(server.batches) == 1


def test_every_batch_has_an_id_of_its_own(server: FakeServer, client: Client) -> None:
    """Two equal calls are two jobs."""
    jids = [client.call(pow, 2, 10), client.call(pow, 2, 10)]

    assert jids == [1, 2]
    assert len(server.batches) == 2


def test_a_changed_submit_is_told(server: FakeServer, client: Client) -> None:
    """An error the server answers becomes a CloudException with its sentence and code."""
    server.faults = [problem(SubmitChanged())]

    with pytest.raises(CloudException, match="used before") as caught:
        client.call(pow, 2, 10)

    assert caught.value.code == "submit.changed"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 700), st.sampled_from([0, 10, 300, 70_000, 300_000]))),
)
def test_arguments_arrive_whole_and_in_order_whatever_their_sizes(
    runs: list[tuple[int, int]],
) -> None:
    """Cutting into packs, pages, blobs and staged requests loses and reorders nothing."""
    runs = [(min(count, 3) if size > 10_000 else count, size) for count, size in runs]
    sizes = [size for count, size in runs for _ in range(count)]
    server = FakeServer()

    jids = client_for(server).map(len, (b"." * size for size in sizes))

    assert len(jids) == len(sizes)
    if sizes:
        assert [len(args[0]) for args, _ in server.arguments()] == sizes
    assert all(len(sent.body or b"") < 2 * REQUEST_BYTES for sent in server.sent)


def test_a_large_map_is_staged_as_its_arguments_come(server: FakeServer, client: Client) -> None:
    """The first pieces leave before the last arguments are made: memory stays bounded."""
    seen = []

    def items():
        for number in range(60):
            seen.append(len(server.sent))
            yield number.to_bytes(2) * 50_000

    jids = client.map(len, items())

    assert len(jids) == 60
    assert seen[-1] > 0
    assert "POST /v1/jobs/staged" in server.paths()
    assert len(server.arguments()) == 60


class Tracked:
    """An item of a map; `alive` counts those that are in memory."""

    alive = 0

    def __init__(self, number: int) -> None:
        self._number = number
        Tracked.alive += 1
        weakref.finalize(self, self._end)

    @staticmethod
    def _end() -> None:
        Tracked.alive -= 1

    def __reduce__(self) -> tuple[Any, ...]:
        return int, (self._number,)


def test_items_of_a_generator_are_never_in_memory_together(
    server: FakeServer, client: Client
) -> None:
    """However many there are: each is let go once it is pickled."""
    most = 0

    def items() -> Iterator[Tracked]:
        nonlocal most
        for number in range(5_000):
            yield Tracked(number)
            most = max(most, Tracked.alive)

    client.map(pow, items(), itertools.repeat(2, 5_000))

    assert most <= 3
    assert [args for args, _ in server.arguments()] == [(number, 2) for number in range(5_000)]


def test_uploads_name_the_jobs_that_they_are_for(server: FakeServer) -> None:
    """A budget that is reached refuses these, before anything is sent."""
    config = Config()
    config.max_transmit_data = 16_000_000
    client = client_for(server, config)
    client.map(len, (number.to_bytes(2) * 50_000 for number in range(60)), _label="train")
    client.map(len, [b"x" * 8_000_000] * 2, _label="train")

    assert "POST /v1/jobs/staged" in server.paths()
    assert "POST /v1/blobs/missing" in server.paths()
    assert set(server.uploads_for) == {wire.PricedJobs("c1", "train")}


def test_a_staged_map_whose_answers_were_lost_is_the_same_map(
    server: FakeServer, client: Client
) -> None:
    """Repeated pieces are the same pieces."""
    server.faults = ["after", None, "after", None, "after"]

    client.map(len, (number.to_bytes(2) * 50_000 for number in range(60)))

    assert [args[0][:2] for args, _ in server.arguments()] == [n.to_bytes(2) for n in range(60)]


def test_one_large_argument_of_many_jobs_is_uploaded_once(server: FakeServer) -> None:
    """64 jobs that share an object share its blob."""
    config = Config()
    config.max_transmit_data = 16_000_000
    shared = b"x" * 8_000_000

    client_for(server, config).map(len, [shared] * 64)

    assert len(server.blobs) == 1
    assert sum(path.startswith("PUT") for path in server.paths()) == 1
    assert len(server.batch().parts) == 64


def test_a_generator_may_change_what_it_yields(server: FakeServer, client: Client) -> None:
    """The same object with other content is other content: only lists are trusted to stay."""
    held = [0] * 50_000

    def items():
        for number in range(3):
            held[0] = number
            yield held

    client.map(len, items())

    assert [args[0][0] for args, _ in server.arguments()] == [0, 1, 2]


def test_a_map_has_an_upper_limit(server: FakeServer) -> None:
    """An endless generator ends in an error, not in a full disk."""
    transport = transport_for(server)
    submitter = Submitter(transport, BlobClient(transport), Packer(), Config(), max_jobs=100)

    with pytest.raises(CloudException, match="100 jobs at most"):
        submitter.map(abs, [iter(int, 1)], {}, CallOptions())

    assert server.batches == {}


def test_a_submit_waits_while_the_account_has_too_much(server: FakeServer, client: Client) -> None:
    """It is sent again with the same bytes, as long as the patience of the configuration lasts."""
    attempts = Config().retry_attempts + 1
    client.call(pow, 2, 10)
    server.faults = [problem(AccountBusy(), 429)] * (attempts + 1)

    assert client.call(pow, 2, 11) == 2
    assert len({sent.body for sent in server.sent}) == 2


def test_a_submit_without_patience_says_of_what_there_is_too_much(server: FakeServer) -> None:
    """The sentence of the server is the error."""
    config = Config()
    config.patience_s = 0
    client = client_for(server, config)
    client.call(pow, 2, 10)
    server.faults = [problem(AccountBusy("An account may have 5 jobs."), 429)] * 50

    with pytest.raises(CloudException, match="An account may have 5 jobs"):
        client.call(pow, 2, 11)
