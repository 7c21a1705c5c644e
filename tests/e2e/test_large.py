"""Large arguments and results, and their limits."""

from __future__ import annotations

import os
import time
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cloud import CloudException
from cloud._client.client import Client
from cloud._config.configuration import Config

from tests.polling import until

if TYPE_CHECKING:
    from tests.e2e.stacks import Stack

WAIT_S = 60.0
MEGABYTE = 1_000_000


def digest(data: bytes) -> str:
    """Return the SHA-256 of some bytes."""
    return sha256(data).hexdigest()


def test_an_argument_just_within_the_limit_arrives(client: Client) -> None:
    """The promise: "Inputs are by default restricted to 1MB": an argument just below arrives
    unchanged.
    """
    data = os.urandom(MEGABYTE - 200)

    assert client.result(client.call(digest, data), WAIT_S) == digest(data)


def until_exists(path: str) -> None:
    """Hold a slot until a file exists."""
    while not Path(path).exists():
        time.sleep(0.01)


def test_queued_calls_with_large_arguments_arrive(client: Client, stack: Stack) -> None:
    """A slot that leases several quick calls at once has the arguments of each of them."""
    client.result([client.call(digest, b"x") for _ in range(20)], WAIT_S)
    gate = stack.shared / "large-arguments"
    held = client.map(until_exists, [str(gate)] * 2)
    until(lambda: set(client.status(held)) == {"processing"}, "the slots are busy")
    arguments = [os.urandom(300_000) for _ in range(12)]

    jobs = [client.call(digest, each) for each in arguments]
    gate.touch()

    assert client.result(jobs, WAIT_S) == [digest(each) for each in arguments]


@pytest.mark.parametrize("size", [MEGABYTE, 200 * MEGABYTE])
def test_an_argument_over_the_limit_is_refused_before_it_is_sent(client: Client, size: int) -> None:
    """An argument that is too large is refused at once; the error has its size, the limit and the
    remedy.
    """
    data = bytes(size)
    before = client.call(abs, 1)
    started = time.monotonic()

    with pytest.raises(CloudException) as refused:
        client.call(len, data)

    text = str(refused.value)
    assert time.monotonic() - started < 60
    assert f"{size // 1000000:,},000," in text.replace("001,000,", "000,")
    assert "the limit is 1,000,000" in text
    assert "max_transmit_data (to 16,000,000 at most)" in text
    assert client.call(abs, 1) == before + 1


def test_an_item_of_a_map_over_the_limit_is_named(client: Client) -> None:
    """The error names the item of a map that is too large, and no job of the map is made."""
    before = client.call(abs, 1)

    with pytest.raises(CloudException, match="The arguments of item 7 are 1,000,"):
        client.map(len, [b""] * 7 + [bytes(MEGABYTE)])

    assert client.call(abs, 1) == before + 1


def test_a_function_over_the_limit_is_refused(client: Client) -> None:
    """The promise: "you might be passing a function that uses a global variable which refers to
    some management object": a function that is too large is refused in the same way.
    """
    baggage = bytes(2 * MEGABYTE)

    with pytest.raises(CloudException, match=r"2,000,.* bytes pickled, and the limit is 1,000,000"):
        client.call(lambda: len(baggage))


def test_the_limit_can_be_raised_to_16_megabytes(stack: Stack) -> None:
    """The limit "can be increased to 16MB", and no further."""
    config = Config()
    config.max_transmit_data = 16_000_000
    client = Client(stack.client().address, config)
    data = os.urandom(15_900_000)

    assert client.result(client.call(digest, data), WAIT_S) == digest(data)
    with pytest.raises(CloudException, match="16,000,000"):
        config.max_transmit_data = 16_000_001
    client.close()


def test_a_large_function_travels(client: Client) -> None:
    """A function with a large closure runs, any number of times."""
    baggage = os.urandom(MEGABYTE // 2)

    jids = [client.call(lambda: digest(baggage)) for _ in range(3)]

    assert client.result(jids, WAIT_S) == [digest(baggage)] * 3


@pytest.mark.parametrize("size", [256 * 1024, 300_000, 5 * MEGABYTE, 20 * MEGABYTE])
def test_large_results_come_back(client: Client, size: int) -> None:
    """The promise: "outputs are bounded to 128MB": results much larger than arguments arrive
    unchanged.
    """
    result = client.result(client.call(bytes, size), WAIT_S)

    assert result == bytes(size)


def test_a_result_over_the_limit_is_an_error_with_its_size(client: Client) -> None:
    """A result of more than 128 MiB is refused in the slot, with its size; nothing is sent."""
    with pytest.raises(CloudException, match=r"141,557,769 bytes pickled.*134,217,728"):
        client.result(client.call(bytes, 135 * 1024 * 1024), WAIT_S)

    assert client.result(client.call(abs, -1), WAIT_S) == 1


def test_many_large_results_come_back_in_order(client: Client) -> None:
    """Results that are too large for one answer arrive in several, each for its own job."""
    jids = client.map(lambda n: bytes([n]) * 400_000, range(40))

    results = client.result(jids, WAIT_S)

    assert results == [bytes([n]) * 400_000 for n in range(40)]


def test_many_middling_arguments_travel(client: Client) -> None:
    """A map whose arguments make many packs, larger together than one request, arrives complete."""
    items = [os.urandom(20_000) for _ in range(1200)]

    results = client.result(client.map(digest, items), WAIT_S)

    assert results == [digest(item) for item in items]


def test_jobs_share_a_large_argument(stack: Stack) -> None:
    """64 jobs with the same argument of 8 MB send it once, and each gets all of it."""
    config = Config()
    config.max_transmit_data = 16_000_000
    client = Client(stack.client().address, config)
    shared = os.urandom(8_000_000)
    client.join(client.call(abs, 1), WAIT_S)
    started = time.monotonic()

    jids = client.map(lambda data: (len(data), data[-8:]), [shared] * 64)
    results = client.result(jids, WAIT_S)

    assert results == [(len(shared), shared[-8:])] * 64
    assert time.monotonic() - started < 60
    client.close()
