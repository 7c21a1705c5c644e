"""Dictionaries: small values that jobs and programs of an account share by key."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, MutableMapping, ValuesView
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from picloud_model.wire.dictionary import MAX_DICT_KEY, MAX_VALUE_BYTES

from cloud._arguments.option_values import seconds, whole
from cloud._client.current import client
from cloud._config.border import of_users
from cloud._packing.errors import PackingError
from cloud._resources.dictionary import DictClient, list_dicts
from cloud._sharing.lock import checked_name, holding_of
from cloud.errors import CloudException, CloudTimeoutError, CloudTypeError, CloudValueError

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_model.pack import Envelope
    from picloud_model.wire.dictionary import EntrySet

    from cloud._sharing.lock import Semaphore


class _NoDefault:
    """In place of a default that was not given; `help` and the reference show how it prints."""

    def __repr__(self) -> str:
        return "<no default>"


_NONE: Final = _NoDefault()
_ABSENT: Final = object()


class VersionedValue(NamedTuple):
    """A value of a dictionary, and its version: a number that no later value has."""

    value: Any
    version: int


class Dict(MutableMapping[str, Any]):
    """A dictionary that jobs and programs of your account share, under a name.

    It is for small values: settings, counters, positions. Each access is a request, and returns
    what was stored last. It belongs to the account: it stays when jobs end, until it is removed.

    Args:
        name: Up to 64 letters, digits, dots, hyphens and underscores.

    Raises:
        CloudException: When the name is not allowed.

    >>> state = cloud.Dict("state")
    >>> state["rate"] = 0.5
    >>> cloud.result(cloud.call(lambda: cloud.Dict("state")["rate"]))
    0.5
    >>> state.clear()
    """

    @of_users
    def __init__(self, name: str) -> None:
        self.name = checked_name(name, "dictionary")

    def __repr__(self) -> str:
        return f"Dict({self.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name,)

    @staticmethod
    @of_users
    def names() -> list[str]:
        """Return the names of your dictionaries that have entries.

        >>> cloud.Dict("limits")["depth"] = 3
        >>> "limits" in cloud.Dict.names()
        True
        """
        return [each.name for each in list_dicts(client().transport)]

    @of_users
    def __getitem__(self, key: str) -> Any:
        return self._read(key).value

    @of_users
    def __setitem__(self, key: str, value: Any) -> None:
        self._set(key, value)

    @of_users
    def __delitem__(self, key: str) -> None:
        if not self._empty(key, None, None).version:
            raise KeyError(key)

    @of_users
    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._client().get(_checked(key)).version > 0

    @of_users
    def __iter__(self) -> Iterator[str]:
        return iter(sorted(each.key for each in self._client().entries(with_values=False)))

    @of_users
    def __len__(self) -> int:
        return sum(1 for _ in self._client().entries(with_values=False))

    @of_users
    def copy(self) -> dict[str, Any]:
        """Return all values by key, in order of the keys; each 1 MiB of values is one request.

        >>> limits = cloud.Dict("limits")
        >>> limits.update(depth=3, width=5)
        >>> limits.copy()
        {'depth': 3, 'width': 5}
        """
        return values_of(self)

    def items(self) -> ItemsView[str, Any]:
        """Return the keys with their values, as they are now."""
        return self.copy().items()

    def values(self) -> ValuesView[Any]:
        """Return the values, as they are now."""
        return self.copy().values()

    @of_users
    def clear(self) -> None:
        """Remove all entries, and so the dictionary."""
        self._client().clear()

    @of_users
    def read(self, key: str) -> VersionedValue:
        """Return a value and its version.

        Raises:
            KeyError: When there is no such key.

        >>> limits = cloud.Dict("limits")
        >>> limits["depth"] = 3
        >>> value, version = limits.read("depth")
        >>> limits.set("depth", value + 1, version=version) > version
        True
        """
        return self._read(key)

    @of_users
    def set(
        self,
        key: str,
        value: Any,
        *,
        version: int | None = None,
        lock: Semaphore | None = None,
    ) -> int:
        """Store a value: if it has a version still, or while a lock is held.

        Args:
            key: Up to 200 characters.
            value: Whatever can be pickled, up to 64 KiB.
            version: The version that the entry must have, 0 if it must not exist.
            lock: A lock that is held here. If it was lost meanwhile, nothing is stored: the server
                checks that in the same transaction.

        Returns:
            The version of the entry, higher than any before.

        Raises:
            CloudException: When the entry has another version, or the lock is not held.

        >>> with cloud.Lock("limits") as lock:
        ...     version = cloud.Dict("limits").set("depth", 4, lock=lock)
        """
        done = self._set(key, value, version=_version(version), lock=lock)
        if not done.is_set:
            raise self._changed(key, version, done.version)
        return done.version

    @of_users
    def change(self, key: str, function: Callable[[Any], Any], default: Any = None) -> Any:
        """Replace a value by what a function returns for it; no change of others is lost.

        Args:
            key: The key.
            function: Gets the value. It is called again if others have changed the value meanwhile.
            default: What the function gets if there is no value.

        Returns:
            The new value.

        >>> def count(_):
        ...     cloud.Dict("hits").change("all", lambda number: number + 1, 0)
        >>> cloud.join(cloud.map(count, range(5)))
        >>> cloud.Dict("hits")["all"]
        5
        """
        if not callable(function):
            raise CloudTypeError(
                f"change takes a function that returns the new value, not {function!r:.80}."
            )
        while True:
            found = self._read(key, default)
            value = function(found.value)
            if self._set(key, value, version=found.version).is_set:
                return value

    @of_users
    def setdefault(self, key: str, default: Any = None) -> Any:
        """Return a value; store `default` if there is none, also if many do so at once."""
        while True:
            found = self._read(key, default)
            if found.version:
                return found.value
            if self._set(key, default, version=0).is_set:
                return default

    @of_users
    def pop(self, key: str, default: Any = _NONE) -> Any:
        """Remove a key and return its value, which no other job or program gets by `pop`.

        Raises:
            KeyError: When there is no such key and no default.
        """
        while True:
            found = self._read(key, default)
            if not found.version:
                return found.value
            if self._empty(key, found.version, None).is_set:
                return found.value

    @of_users
    def popitem(self) -> tuple[str, Any]:
        """Remove the first key and return it with its value.

        Raises:
            KeyError: When there is none.
        """
        for key in self:
            value = self.pop(key, _ABSENT)
            if value is not _ABSENT:
                return key, value
        raise KeyError(f"{self!r} is empty")

    @of_users
    def remove(
        self, key: str, *, version: int | None = None, lock: Semaphore | None = None
    ) -> None:
        """Remove a key, which need not exist; see `set` for the conditions.

        Raises:
            CloudException: When the entry has another version, or the lock is not held.
        """
        done = self._empty(key, _version(version), lock)
        if not done.is_set:
            raise self._changed(key, version, done.version)

    @of_users
    def wait(self, key: str, version: int = 0, timeout: float | None = None) -> VersionedValue:
        """Wait until a key has another version; return its value then.

        The waiting is one open request. A job that waits occupies its slot.

        Args:
            key: The key.
            version: The version that is known, 0 for a key that does not exist.
            timeout: How many seconds to wait; None for no limit.

        Raises:
            CloudTimeoutError: When the timeout is reached.
            KeyError: When the key was removed.

        >>> stages = cloud.Dict("stages")
        >>> job = cloud.call(lambda: cloud.Dict("stages").wait("go").value)
        >>> stages["go"] = "now"
        >>> job.result()
        'now'
        >>> stages.clear()
        """
        known, timeout_s, used = _version(version) or 0, seconds(timeout), self._client()
        found = used.get(_checked(key), known)

        def attempt(hold_s: float) -> bool:
            nonlocal found
            found = used.get(key, known, hold_s)
            return found.version != known

        def expired() -> CloudTimeoutError:
            return CloudTimeoutError(f"{key!r} of {self!r} did not change within {timeout_s:g} s.")

        patience = client().waiter.patience()
        if found.version == known:
            patience.until(attempt, patience.deadline(timeout_s), expired)
        if not found.version:
            raise KeyError(key)
        return VersionedValue(self._value(key, found.value, found.envelope), found.version)

    def _client(self) -> DictClient:
        return DictClient(client().transport, self.name)

    def _read(self, key: str, default: Any = _NONE) -> VersionedValue:
        found = self._client().get(_checked(key))
        if found.version:
            return VersionedValue(self._value(key, found.value, found.envelope), found.version)
        if default is _NONE:
            raise KeyError(key)
        return VersionedValue(default, 0)

    def _set(
        self,
        key: str,
        value: Any,
        *,
        version: int | None = None,
        lock: Semaphore | None = None,
    ) -> EntrySet:
        packer, what = client().packer, f"the value of {key!r}"
        try:
            data = packer.pickle(value, what)
        except PackingError as error:
            raise CloudException(str(error)) from error.__cause__
        if len(data) > MAX_VALUE_BYTES:
            raise CloudValueError(
                f"The value of {key!r:.80} is {len(data):,} bytes pickled, and the limit is "
                f"{MAX_VALUE_BYTES:,}: store it in your bucket (cloud.bucket), and its key here."
            )
        return self._client().set(_checked(key), data, packer.envelope, version, holding_of(lock))

    def _empty(self, key: str, version: int | None, lock: Semaphore | None) -> EntrySet:
        envelope = client().packer.envelope
        return self._client().empty(_checked(key), envelope, version, holding_of(lock))

    def _value(self, key: str, data: bytes | None, envelope: Envelope | None) -> Any:
        assert data is not None
        assert envelope is not None
        try:
            (value,) = client().packer.values(data, 1, envelope, f"value of {key!r} in {self!r}")
        except PackingError as error:
            is_module = isinstance(error.__cause__, ModuleNotFoundError)
            cure = " A job has it if its function imports it." if is_module else ""
            raise CloudException(f"{error}{cure}") from error.__cause__
        return value

    def _changed(self, key: str, version: int | None, found: int) -> CloudException:
        has = f"has version {found}" if found else "does not exist"
        wanted = f"version {version}" if version else "none"
        return CloudException(
            f"{key!r} of {self!r} {has}, but {wanted} was expected: it was changed meanwhile; read "
            "it again.",
            code="dict.changed",
        )


def values_of(
    dictionary: Dict, unreadable: Callable[[CloudException], Any] | None = None
) -> dict[str, Any]:
    """Return all values by key, in order of the keys.

    `unreadable` returns what stands in place of a value that cannot be read here, by its error.
    """
    used, values = dictionary._client(), {}  # noqa: SLF001 - of this module
    for each in sorted(used.entries(with_values=True), key=lambda each: each.key):
        try:
            values[each.key] = dictionary._value(each.key, each.value, each.envelope)  # noqa: SLF001
        except CloudException as error:
            if unreadable is None:
                raise
            values[each.key] = unreadable(error)
    return values


def _checked(key: Any) -> str:
    """Return a key.

    Raises:
        CloudException: When it is not allowed.
    """
    if not isinstance(key, str):
        raise CloudTypeError(f"Keys of a dictionary are texts, not {key!r:.80}.")
    if not 1 <= len(key) <= MAX_DICT_KEY or not key.isprintable():
        raise CloudValueError(
            f"{key!r:.80} is not a valid key of a dictionary: use 1 to {MAX_DICT_KEY} characters "
            "that can be printed."
        )
    return key


def _version(version: Any) -> int | None:
    """Return a version, or None.

    Raises:
        CloudException: When it is neither.
    """
    number = whole(version)
    if version is not None and (number is None or number < 0):
        raise CloudValueError(f"version must be a whole number from 0, not {version!r:.80}.")
    return number
