"""Results: pickled, or a reason why not that a user can act on."""

from __future__ import annotations

import pickle
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final

import picloud_pickle
from picloud_model.job import Cause
from picloud_model.pack import Pieces, seal_pieces, sha256_of
from picloud_model.wire import MAX_RESULT_BYTES, Content
from picloud_pickle import Unsendable
from picloud_pickle.results import code

from picloud_worker.failure import RefusedError, safe_text

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLAIN: Final = frozenset((type(None), bool, int, float, str, bytes))
"""Exact types that the C pickler takes as they are: eight times quicker than asking cloudpickle."""

_SIZED: Final = frozenset((str, bytes))
_PLAIN_PICKLE: Final = 2
_LONG: Final = 1_000_000
_DEEPEST: Final = 20
_WIDEST: Final = 1000


def pickled(value: Any, fast: int = 0, most_bytes: int = MAX_RESULT_BYTES) -> bytes:
    """Pickle a result.

    Args:
        value: What a job returned.
        fast: From 1 on a failure is not explained, 2 is plain pickle: `_fast_serialization`.
        most_bytes: Largest pickle that is taken.

    Raises:
        RefusedError: When it cannot be pickled or is too large.

    >>> pickle.loads(pickled(5))
    5
    """
    try:
        data: bytes = (
            _plain(value)
            if type(value) in _PLAIN
            else code.TREES.attach(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))
            if fast >= _PLAIN_PICKLE
            else code.TREES.attach(picloud_pickle.dumps(value))
        )
    except Exception as error:
        reason = f"the result cannot be pickled: {type(error).__name__}: {safe_text(error)}"
        raise RefusedError(Cause.PAYLOAD, reason if fast else _reason(value, error)) from error
    if len(data) > most_bytes:
        raise RefusedError(
            Cause.PAYLOAD,
            f"the result is {len(data):,} bytes pickled, and the limit is {most_bytes:,}: store it "
            "in your bucket (cloud.bucket) and return its key",
        )
    return data


def written(directory: str, pickled: bytes) -> Content | None:
    """Write a large result as a parcel to a file of the server, which runs on this machine.

    Args:
        directory: Where the server expects it.
        pickled: The pickle of the result, which is not copied.

    Returns:
        The name of the blob that it becomes; None if it cannot be written there.
    """
    from picloud_http.shared_files import write_file  # noqa: PLC0415 - few results are large

    parcel = seal_pieces(Pieces((pickled,)))
    digest = sha256_of(parcel)
    return Content(digest, len(parcel)) if write_file(directory, digest, parcel.parts) else None


def _plain(value: Any) -> bytes:
    if type(value) in _SIZED and len(value) >= _LONG:
        return b"".join(picloud_pickle.pickled_pieces(value))
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


def _reason(value: Any, error: Exception) -> str:
    if isinstance(value, GeneratorType):
        return (
            "the result is a generator, which cannot be pickled: return a list of its items, or "
            "use cloud.stream"
        )
    if isinstance(error, RecursionError):  # each of its parts would be nested too deeply, too
        return "the result cannot be pickled: it is nested too deeply (RecursionError)"
    place = culprit(value, "result")
    what = "the result" if place == "result" else f"{place} in the result"
    if isinstance(error, Unsendable):  # it says what the value is, and what to do
        return f"{what} {safe_text(error)}"
    return f"{what} cannot be pickled: {type(error).__name__}: {safe_text(error)}"


def culprit(value: Any, path: str) -> str:
    """Where the innermost part lies that makes `value` unpicklable.

    >>> culprit({"a": [1, (i for i in ())]}, "result")
    "result['a'][1]"
    """
    for _ in range(_DEEPEST):
        part = next((part for part in _parts(value, path) if not _picklable(part[1])), None)
        if part is None:
            break
        path, value = part
    return path


def _parts(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        items = ((f"{path}[{key!r:.40}]", item) for key, item in value.items())
    elif isinstance(value, list | tuple):
        items = ((f"{path}[{at}]", item) for at, item in enumerate(value))
    else:
        own = getattr(value, "__dict__", None)
        fields = own if isinstance(own, dict) else {}
        items = ((f"{path}.{name}", item) for name, item in fields.items())
    for _, item in zip(range(_WIDEST), items, strict=False):
        yield item


def _picklable(value: Any) -> bool:
    try:
        picloud_pickle.dumps(value)
    except Exception:  # noqa: BLE001 - pickling runs user code, which may raise anything
        return False
    return True
