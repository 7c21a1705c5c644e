"""Packs functions and arguments, and unpacks results and exceptions.

The only place in the SDK that unpickles, and only after the envelope and the digest were checked.
"""

from __future__ import annotations

import dis
import io
import logging
import pickle
import signal
import sys
import time
from collections import deque
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import cloudpickle
import msgspec
import picloud_pickle
from picloud_model import pack
from picloud_model.errors import RequestRefused
from picloud_model.wire import bundles_of
from picloud_pickle import PROTOCOL, pickled, pickled_pieces

from cloud._packing.bundler import Bundle, Bundler
from cloud._packing.errors import PackingError
from cloud._packing.module_source import may_be_local
from cloud._packing.pickler import ArrayPickler, ScanningPickler
from cloud._packing.shipped_code import ShippedCode
from cloud._packing.unpicklable import FAILURES, explain, named_parts, parts_of
from cloud._packing.values import PICKLING, Needs, WithValues
from cloud.errors import CloudConnectionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from picloud_model.wire import Content

log = logging.getLogger(__name__)

_PLAIN: Final = frozenset((int, float, str, bytes, bool, type(None)))
_SIZED: Final = frozenset((str, bytes))
"""Types whose values pickle the same way with or without cloudpickle."""
PLAIN_PICKLE: Final = 2
"""The value of `_fast_serialization` that selects plain pickle."""
_NAME_LENGTH: Final = 300
DEFAULT_PACKAGE_DATA_BYTES: Final = 10_000_000
"""The data files that a package may have, in bytes in total, to travel with them."""
_LARGE: Final = 1_000_000
"""Pickles of more bytes are not copied; their pickler is not reused, as its memo keeps its size."""


class PackedFunction(msgspec.Struct, frozen=True):
    """A function that is ready to be sent.

    `parcel` is its sealed pickle and `digest` the SHA-256 of that in hex, `name` is for messages,
    `bundle` the modules it needs, `modules` the names they were found from.
    """

    parcel: bytes
    digest: str
    name: str
    bundle: Bundle
    modules: frozenset[str]


class Packer:
    """Packs for one client; thread-safe.

    Args:
        read: Yields blobs of the account, for the modules of results.
        now: The time in ns since the epoch, as files' times of change have it.
        data_limit: Returns how many bytes of data files a package may have to travel with them.

    >>> packer = Packer()
    >>> packed = packer.function(lambda x: x + 1)
    >>> packed.name, packer.result(packed.parcel, packer.envelope)(1)
    ('lambda', 2)
    """

    def __init__(
        self,
        read: Callable[[Sequence[Content]], Iterator[bytes]] = lambda _: iter(()),
        *,
        now: Callable[[], int] = time.time_ns,
        data_limit: Callable[[], int] = lambda: DEFAULT_PACKAGE_DATA_BYTES,
    ) -> None:
        self.envelope: Final = pack.Envelope.here(cloudpickle.__version__)
        self._bundler = Bundler(now, data_limit)
        self._code = ShippedCode(read)
        self._idle: deque[ScanningPickler] = deque()
        self._warned: set[str] = set()
        main = sys.modules.get("__mp_main__")
        if main is not None:  # what multiprocessing calls __main__ in a spawned process
            cloudpickle.register_pickle_by_value(main)

    def function(self, func: Callable[..., Any]) -> PackedFunction:
        """Pack a function with the local modules it needs.

        Raises:
            PackingError: When a part of it cannot be pickled, or its modules cannot be sent.
        """
        name = name_of(func)
        if not callable(func):
            raise PackingError(
                f"Cannot send {func!r:.80}: it is not a function and cannot be called."
            )
        try:
            data, modules = self._pickled(func)
        except FAILURES as error:
            what = name.removeprefix("__main__.")
            raise explain(what, func, parts_of(func), error) from error
        parcel = pack.seal(data)
        digest = sha256(parcel).hexdigest()
        return PackedFunction(
            parcel=parcel,
            digest=digest,
            name=name,
            bundle=self._bundler.bundle(modules),
            modules=modules,
        )

    def arguments(
        self,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        needs: Needs | None = None,
        fast: int = 0,
    ) -> bytes | pack.Pieces:
        """Pack the arguments of one job: a parcel; a pickle of more than 1 MB is not sealed yet.

        Args:
            args: Positional arguments.
            kwargs: Keyword arguments.
            needs: Is given what the arguments need besides.
            fast: From 1 on a failure is not explained, 2 is plain pickle, which also tells nothing
                of modules, and has no values.

        Raises:
            PackingError: When an argument cannot be pickled; it is named.
        """
        if not kwargs:
            for value in args:
                if type(value) not in _PLAIN:
                    break
            else:
                return _plain_parcel(args)
        pair = args, dict(kwargs)
        needs = needs or Needs()
        try:
            if fast >= PLAIN_PICKLE and not needs.jobs_as_values:
                return pack.seal(pickle.dumps(pair, PROTOCOL))
            data, modules = self._pickled_with(pair, needs)
        except FAILURES as error:
            if fast:
                raise PackingError(
                    f"Cannot send the arguments: {type(error).__name__}: {error} "
                    "(leave out _fast_serialization to see which part it is)."
                ) from error
            raise explain("the arguments", pair, named_parts(*pair), error) from error
        needs.modules |= modules
        return pack.seal(data) if len(data) <= _LARGE else pack.Pieces((data,))

    def value(self, value: object, what: str) -> bytes:
        """Pack one value: a parcel. Errors call it `what`.

        Raises:
            PackingError: When it cannot be pickled; the part that cannot is named.
        """
        return pack.seal(self.pickle(value, what))

    def pickle(self, value: object, what: str) -> bytes:
        """Pickle one value, without a digest. Errors call it `what`.

        Raises:
            PackingError: When it cannot be pickled; the part that cannot is named.
        """
        if type(value) in _PLAIN:
            return pickle.dumps(value, PROTOCOL)
        try:
            return picloud_pickle.dumps(value)
        except FAILURES as error:
            raise explain(what, value, parts_of(value), error) from error

    def bundle(self, function: PackedFunction, seen: set[str]) -> Bundle:
        """Return the modules that a function and its arguments need together.

        Raises:
            PackingError: When they cannot be sent.
        """
        if seen <= function.modules:
            return function.bundle
        return self._bundler.bundle(function.modules | seen)

    def result(
        self,
        parcel: bytes | memoryview,
        envelope: pack.Envelope,
        what: str = "result",
        *,
        checked: bool = False,
    ) -> Any:
        """Unpickle the result of a job; errors call it `what`.

        Modules that it needs and this process does not find are fetched from the server. Whether it
        is a blob whose digest was `checked` is for `unseal`.

        Raises:
            PackingError: When another Python pickled it, it is damaged, or does not unpickle here.
            CloudConnectionError: When it needs modules, and the server does not answer.
        """
        if envelope != self.envelope:
            self._admit(envelope, what)
        try:
            body = pack.unseal(parcel, checked=checked)
            try:
                return pickle.loads(body)
            except ModuleNotFoundError:
                if not self._code.provide(bundles_of(body)):
                    raise
                return pickle.loads(body)
        except CloudConnectionError:
            raise
        except PackingError as error:
            raise PackingError(f"Cannot read the {what}: {error}") from error.__cause__
        except RequestRefused as refused:
            raise PackingError(f"Cannot read the {what}: {refused.message}") from refused
        except FAILURES as error:
            raise PackingError(f"Cannot read the {what}: {_unreadable(error)}.") from error
        except KeyboardInterrupt as error:
            if not _is_of_code(error):
                raise
            raise PackingError(f"Cannot read the {what}: {_unreadable(error)}.") from error

    def values(self, pickles: bytes, count: int, envelope: pack.Envelope, what: str) -> list[Any]:
        """Unpickle values whose pickles follow each other; errors call them `what`.

        Raises:
            PackingError: When another Python pickled them, or one does not unpickle here.
        """
        if envelope != self.envelope:
            self._admit(envelope, what)
        file = io.BytesIO(pickles)
        try:
            return [pickle.load(file) for _ in range(count)]
        except FAILURES as error:
            raise PackingError(f"Cannot read the {what}: {_unreadable(error)}.") from error

    def exception(
        self, parcel: bytes | memoryview, envelope: pack.Envelope
    ) -> BaseException | None:
        """Unpickle the exception of a job; None if that fails on this machine."""
        try:
            raised = self.result(parcel, envelope)
        except PackingError as error:
            log.debug("a remote exception stays text: %s", error)
            return None
        return raised if isinstance(raised, BaseException) else None

    def _pickled_with(self, pair: object, needs: Needs) -> tuple[bytes, frozenset[str]]:
        """Pickle arguments, with an order to read the results that they need, if they need any."""
        before, PICKLING.needs, count = PICKLING.needs, needs, len(needs.jobs)
        pickled_by = self._pickled if needs.arrays is None else _pickled_with_arrays
        try:
            data, modules = pickled_by(pair)
            if len(needs.jobs) > count:
                found = needs.jobs[count:]
                data, modules = pickled_by(WithValues(found, pair))
                needs.jobs[count:] = found
            return data, modules
        finally:
            PICKLING.needs = before

    def _pickled(self, value: object) -> tuple[bytes, frozenset[str]]:
        try:
            pickler = self._idle.pop()  # one a thread at a time, and another if pickling calls us
        except IndexError:
            pickler = ScanningPickler()
        data, pickler = pickled(pickler, value)
        modules = frozenset(filter(may_be_local, pickler.modules))
        pickler.modules.clear()
        if len(data) <= _LARGE and pickler.extras:
            self._idle.append(pickler)
        return data, modules

    def _admit(self, envelope: pack.Envelope, what: str) -> None:
        refusal = envelope.refusal(self.envelope)
        if refusal:
            raise PackingError(f"Cannot read the {what}: {refusal}.")
        version = envelope.cloudpickle
        if version not in self._warned:
            self._warned.add(version)
            log.warning(
                "results were pickled by cloudpickle %s, but this is %s: classes made in __main__ "
                "may not unpickle; install the same version on both sides",
                version,
                self.envelope.cloudpickle,
            )


def _plain_parcel(args: tuple[Any, ...]) -> bytes | pack.Pieces:
    """Pack arguments that are plain, of which there may be millions; long ones are not copied."""
    size = 0
    for each in args:
        if type(each) in _SIZED:
            size += len(each)
    if size <= _LARGE:
        return pack.seal(pickle.dumps((args, {}), PROTOCOL))
    return pack.Pieces(pickled_pieces((args, {})))


def _pickled_with_arrays(value: object) -> tuple[bytes, frozenset[str]]:
    """Pickle arguments; what they need says how the arrays in them are pickled."""
    data, pickler = pickled(ArrayPickler(), value)
    return data, frozenset(filter(may_be_local, pickler.modules))


def _is_of_code(error: KeyboardInterrupt) -> bool:
    """Whether code raised an interrupt by `raise`, other than the program's handler of Ctrl-C."""
    handler = getattr(signal.getsignal(signal.SIGINT), "__code__", None)
    operation = ""
    at = error.__traceback__
    while at is not None:
        code = at.tb_frame.f_code
        if code is handler:
            return False
        operation, at = dis.opname[code.co_code[at.tb_lasti]], at.tb_next
    return operation == "RAISE_VARARGS"


def _unreadable(error: BaseException) -> str:
    """Say why a pickle does not unpickle, and what to do where modules are the reason."""
    reason = f"{type(error).__name__}: {error}"
    name = error.name if isinstance(error, ImportError) else None
    if isinstance(error, ModuleNotFoundError) and name:
        top = sys.modules.get(name.partition(".")[0])
        if top is None:
            return f"it needs the module {name!r}, which is not installed here"
        file = getattr(top, "__file__", None)
        return (
            f"it needs the module {name!r}, but {top.__name__!r} of this process "
            f"({file or 'without a file'}) has no such module; the job used another version"
        )
    if isinstance(error, AttributeError) and "on <module" in str(error):
        return f"{reason}; the job used another version of this module"
    return f"it does not unpickle here ({reason})"


def name_of(func: Any) -> str:
    """Return the name of a function in messages.

    >>> from functools import partial
    >>> name_of(partial(sorted, reverse=True)), name_of(lambda: 0)
    ('builtins.sorted', 'lambda')
    """
    while isinstance(func, partial):
        func = func.func
    named = isinstance(getattr(func, "__qualname__", None), str)
    holder = func if named else type(func)
    if getattr(holder, "__name__", "") == "<lambda>":
        return "lambda"
    module = getattr(holder, "__module__", None)
    name = f"{module}.{holder.__qualname__}" if isinstance(module, str) else holder.__qualname__
    return "".join(filter(str.isprintable, name))[:_NAME_LENGTH]
