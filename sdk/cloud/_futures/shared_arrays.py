"""Arrays that several jobs of one call of joblib have: they travel once, with the function."""

from __future__ import annotations

import functools
import threading
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Self
from weakref import WeakValueDictionary

from picloud_model.job import MAX_ARGUMENT_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LEAST_BYTES: Final = 64 * 1024
"""Smaller arrays travel with each job: to find out that they are equal would save little."""
MOST_BYTES: Final = MAX_ARGUMENT_BYTES - 1_000_000
"""Bytes of all arrays that travel with a function; others travel with each job."""


class SharedArrays:
    """Finds the arrays that several jobs of one function have.

    The function and its arrays are one blob, which a slot fetches once. Each job gets arrays of its
    own, which it may change. An array that a second job has, too, is one of them: it is compared by
    its digest whenever it is sent, as it may have changed.

    Args:
        function: The function.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._seen: set[str] = set()
        self._kept: dict[str, bytes] = {}
        self._bytes = 0
        self._packed: tuple[int, Any] = (0, None)
        self._lock = threading.Lock()

    def reduced(self, array: Any) -> Any:
        """Return how an array is pickled in arguments; NotImplemented for with its data."""
        flags = array.flags
        if array.nbytes < LEAST_BYTES or array.dtype.hasobject or not flags.forc:
            return NotImplemented
        reduced = array.__reduce_ex__(5)
        if type(reduced[1][0]).__name__ != "PickleBuffer":
            return NotImplemented
        function, (buffer, *others) = reduced
        data = buffer.raw()
        digest = sha256(data).hexdigest()
        if not self._is_kept(digest, data):
            return NotImplemented
        return function, (_Sent(digest), *others)

    def packed(self, pack: Callable[[Callable[..., Any]], Any]) -> Any:
        """Return the function with the arrays, packed; None if there are no such arrays."""
        with self._lock:
            count, packed = self._packed
            if count != len(self._kept):
                packed = pack(WithArrays(self._function, self._kept.copy()))
                self._packed = len(self._kept), packed
            return packed

    def _is_kept(self, digest: str, data: memoryview) -> bool:
        """Whether an array travels with the function."""
        with self._lock:
            if digest in self._kept:
                return True
            if digest not in self._seen or self._bytes + len(data) > MOST_BYTES:
                self._seen.add(digest)
                return False
            self._kept[digest] = bytes(data)
            self._bytes += len(data)
            return True


class _Sent:
    """An array's data in a pickle."""

    def __init__(self, digest: str) -> None:
        self._digest = digest

    def __reduce__(self) -> tuple[Any, ...]:
        return array_data, (self._digest,)


class WithArrays(functools.partial[Any]):
    """A function, and the data of arrays that its arguments have.

    Args:
        function: The function.
        arrays: The data by its digest.
    """

    arrays: dict[str, _Known]

    def __new__(cls, function: Callable[..., Any], arrays: Mapping[str, bytes]) -> Self:
        """Make the arrays known, for arguments that are unpickled while this exists."""
        made = super().__new__(cls, function)
        made.arrays = {digest: _known(digest, data) for digest, data in arrays.items()}
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        data = {digest: known.data for digest, known in self.arrays.items()}
        return WithArrays, (self.func, data)


class _Known:
    """The data of an array."""

    def __init__(self, data: bytes) -> None:
        self.data = data


_known_arrays: WeakValueDictionary[str, _Known] = WeakValueDictionary()


def _known(digest: str, data: bytes) -> _Known:
    known = _known_arrays.get(digest)
    if known is None:
        known = _known_arrays[digest] = _Known(data)
    return known


def array_data(digest: str) -> bytearray:
    """Return the data of an array, of which each job has a copy.

    Raises:
        LookupError: When the function that it came with is not there.
    """
    known = _known_arrays.get(digest)
    if known is None:
        raise LookupError("this array travelled with the function of its job; read that first")
    return bytearray(known.data)
