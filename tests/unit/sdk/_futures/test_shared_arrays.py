"""Arrays that several jobs have: how often they travel, and that each job has its own."""

from __future__ import annotations

import gc
import pickle
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from cloud._futures.joblib_backend import JoblibBackend
from cloud._futures.shared_arrays import LEAST_BYTES, MOST_BYTES, SharedArrays, WithArrays
from cloud._packing.packer import Packer
from cloud._packing.values import Needs
from picloud_model import pack

from tests.current_client import current_client
from tests.unit.sdk.fake_server import FakeServer, client_for

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT_S = 60


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server that the current client talks to."""
    found = FakeServer()
    with current_client(client_for(found)):
        yield found


def sent(sharing: SharedArrays, value: Any) -> bytes:
    """Pickle an argument; a large one is not sealed yet."""
    parcel = Packer().arguments((value,), {}, Needs(arrays=sharing.reduced))
    return bytes(pack.unseal(parcel) if isinstance(parcel, bytes) else parcel)


def read(data: bytes) -> Any:
    """Unpickle the argument."""
    ((value,), _) = pickle.loads(data)
    return value


def function_of(sharing: SharedArrays) -> Any:
    """The function as a job has it."""
    packed = sharing.packed(Packer().function)
    return pickle.loads(bytes(pack.unseal(packed.parcel)))


@pytest.mark.parametrize(
    "array",
    [
        np.arange(100_000.0),
        np.asfortranarray(np.arange(100_000.0).reshape(100, 1000)),
        np.arange(100_000).reshape(10, 100, 100).astype("datetime64[s]"),
        np.zeros(10_000, dtype=[("a", "i4"), ("b", "f8")]),
    ],
    ids=["plain", "fortran", "dates", "records"],
)
def test_an_array_arrives_as_it_was(array: np.ndarray[Any, Any]) -> None:
    """Nested, of any kind, in each of several jobs, which may change it."""
    sharing = SharedArrays(len)
    pickles = [sent(sharing, {"nested": [array, 1]}) for _ in range(3)]

    function = function_of(sharing) if sharing.packed(Packer().function) else len
    values = [read(data)["nested"][0] for data in pickles]

    assert function([1, 2]) == 2
    for value in values:
        assert (value == array).all()
        assert (value.dtype, value.flags.f_contiguous) == (array.dtype, array.flags.f_contiguous)
        value[...] = np.zeros_like(value)
    assert (read(pickles[-1])["nested"][0] == array).all()


def test_small_arrays_and_those_of_one_job_travel_with_it() -> None:
    """There is nothing to share; arrays of objects are pickled anyway."""
    sharing = SharedArrays(len)
    small, objects = np.zeros(LEAST_BYTES // 8 - 1), np.array(["x" * 10] * 10_000, dtype=object)

    for number in range(3):
        sent(sharing, [small, objects, np.full(LEAST_BYTES, number)])

    assert sharing.packed(Packer().function) is None


def test_an_array_that_changes_is_sent_again() -> None:
    """The same object with other data is another array."""
    sharing, array = SharedArrays(len), np.zeros(LEAST_BYTES)
    first, second = sent(sharing, array), sent(sharing, array)
    array[7] = 1.0
    third = sent(sharing, array)

    function = function_of(sharing)

    assert [read(data)[7] for data in (first, second, third)] == [0.0, 0.0, 1.0]
    assert len(second) < 1000 < LEAST_BYTES < len(third)
    del function


def test_what_travels_with_a_function_is_limited() -> None:
    """Arrays that are too large together travel with each job."""
    sharing = SharedArrays(len)
    large = [np.full(MOST_BYTES // 2, number, dtype="u1") for number in range(1, 4)]

    sizes = [[len(sent(sharing, array)) for array in large] for _ in range(3)][-1]

    assert [size > LEAST_BYTES for size in sizes] == [False, False, True]


def test_the_data_lives_as_long_as_its_function() -> None:
    """Without it, an error says where the array is."""
    sharing, array = SharedArrays(len), np.zeros(LEAST_BYTES)
    data = [sent(sharing, array) for _ in range(2)][1]
    function = function_of(sharing)
    assert type(function) is WithArrays
    assert read(data)[0] == 0.0

    del function
    gc.collect()

    with pytest.raises(LookupError, match="travelled with the function of its job"):
        read(data)


def test_an_array_of_many_jobs_travels_twice(server: FakeServer) -> None:
    """With the first of them, and with the function of the others; it is not packed again."""
    backend, array = JoblibBackend(nesting_level=0), np.zeros(200_000)

    for number in range(50):
        backend.submit(partial(np.add, array, number)).result(WAIT_S)

    assert sum(len(blob) for blob in server.blobs.values()) < 2.1 * array.nbytes
    assert sum(len(sent.body or b"") for sent in server.sent) < 2.3 * array.nbytes
    assert len({batch.function.digest for batch in server.batches.values()}) == 2
