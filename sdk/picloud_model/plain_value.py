"""Plain values: reads what JSON can hold out of a pickle, without unpickling it.

A pickle is a program that imports and calls. Here none of it runs: the opcodes are read one by one,
those that build None, numbers, text, bytes, lists, tuples and dicts are followed, and every other
one is refused. So a server may read the pickle of a job, which is untrusted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from picloud_model.errors import RequestRefused

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BYTES: Final = 4 * 1024 * 1024
"""The largest pickle that is read, and the largest value: what is shared counts each time."""
MAX_DEPTH: Final = 100
"""How deep lists, tuples and dicts may be nested."""
_NEWEST_PROTOCOL: Final = 5
_MAX_OPCODES: Final = 2**20
"""More than the values of the largest list of text need; this many take about a second."""
_VALUE_BYTES: Final = 8
"""What each value counts, besides the length of its text."""
_KEY_TYPES: Final = (str, int, float)
_KEYS: Final = range(-(2**63), 2**64)
"""The whole numbers that may be keys: few of them share a hash, so that no dict is slow."""


class NotPlain(RequestRefused):
    """The value is a Python object."""

    def __init__(self, predicate: str = "is a Python object") -> None:
        super().__init__(f"The value {predicate}.")
        self.predicate = predicate


def plain_value(pickled: bytes) -> Any:
    """Return the value in a pickle of protocol 3 to 5, if it is a plain one.

    Raises:
        NotPlain: When it is not, or too large or nested too deep; its `predicate` says which.

    >>> import pickle
    >>> plain_value(pickle.dumps({"a": [1, 2.5, None], "b": (b"x", True)}))
    {'a': [1, 2.5, None], 'b': (b'x', True)}
    """
    if len(pickled) > MAX_BYTES:
        raise NotPlain(_LARGE)
    try:
        value = _Reader().read(pickled)
    except (ValueError, LookupError, TypeError, AssertionError, Warning) as error:
        # These are the errors of genops and of the reader if the bytes are not a pickle.
        raise NotPlain from error
    _remaining(value, MAX_DEPTH, MAX_BYTES)
    return value


class _Reader:
    """The state of one reading: the stack, the stacks below each mark, and the memo."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._steps: dict[str, Callable[[Any], object]] = {
            "PROTO": self._protocol,
            "FRAME": self._frame,
            "MARK": self._mark,
            "POP": self._pop,
            "POP_MARK": self._pop_mark,
            "MEMOIZE": self._memoize,
            "BINPUT": self._put,
            "LONG_BINPUT": self._put,
            "BINGET": self._get,
            "LONG_BINGET": self._get,
            "EMPTY_LIST": self._list,
            "APPEND": self._append,
            "APPENDS": self._extend,
            "EMPTY_DICT": self._dict,
            "SETITEM": self._set,
            "SETITEMS": self._set_all,
            "EMPTY_TUPLE": self._tuple_0,
            "TUPLE": self._tuple,
            "TUPLE1": self._tuple_1,
            "TUPLE2": self._tuple_2,
            "TUPLE3": self._tuple_3,
        }

    def read(self, pickled: bytes) -> Any:
        """Return the value in a pickle, of any size and depth."""
        from pickletools import genops  # noqa: PLC0415 - half a megabyte that few servers need

        for count, (opcode, argument, _) in enumerate(genops(pickled)):
            name = opcode.name
            if name in _LITERALS:
                self._stack.append(argument)
            elif name in _CONSTANTS:
                self._stack.append(_CONSTANTS[name])
            elif name == "STOP":
                break
            else:
                self._steps[name](argument)
            if count >= _MAX_OPCODES:
                raise NotPlain(_LARGE)
        (value,) = self._stack
        return value

    def _protocol(self, number: int) -> None:
        if number > _NEWEST_PROTOCOL:
            raise NotPlain

    def _frame(self, _: object) -> None:
        """Do nothing: a frame only groups the opcodes that follow."""

    def _mark(self, _: object) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _pop_mark(self, _: object = None) -> list[Any]:
        items, self._stack = self._stack, self._below.pop()
        return items

    def _pop(self, _: object) -> None:
        # The pickler drops the parts of a tuple that it has pickled in the meantime.
        if self._stack:
            self._stack.pop()
        else:
            self._pop_mark()

    def _memoize(self, _: object) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def _get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    def _list(self, _: object) -> None:
        self._stack.append([])

    def _append(self, _: object) -> None:
        item = self._stack.pop()
        _only(list, self._stack[-1]).append(item)

    def _extend(self, _: object) -> None:
        items = self._pop_mark()
        _only(list, self._stack[-1]).extend(items)

    def _dict(self, _: object) -> None:
        self._stack.append({})

    def _set(self, _: object) -> None:
        value = self._stack.pop()
        key = self._stack.pop()
        self._update(iter((key, value)))

    def _set_all(self, _: object) -> None:
        self._update(iter(self._pop_mark()))

    def _update(self, items: Any) -> None:
        target = _only(dict, self._stack[-1])
        for key, value in zip(items, items, strict=True):
            if type(key) not in _KEY_TYPES or (type(key) is int and key not in _KEYS):
                raise NotPlain("has a dict whose keys are not all text or numbers")
            target[key] = value

    def _tuple(self, _: object) -> None:
        items = tuple(self._pop_mark())
        self._stack.append(items)

    def _tuple_0(self, _: object) -> None:
        self._stack.append(())

    def _tuple_1(self, _: object) -> None:
        self._stack[-1:] = [(self._stack[-1],)]

    def _tuple_2(self, _: object) -> None:
        first, second = self._stack[-2:]
        self._stack[-2:] = [(first, second)]

    def _tuple_3(self, _: object) -> None:
        first, second, third = self._stack[-3:]
        self._stack[-3:] = [(first, second, third)]


def _only(kind: type, value: Any) -> Any:
    """Return a value of one type; an opcode that expects it has nothing else to change."""
    if type(value) is not kind:
        raise NotPlain
    return value


def _remaining(value: Any, depth: int, size: int) -> int:
    """Return how many of `size` bytes are left after a value.

    A list within itself is refused, too, as it has no end.
    """
    size -= _VALUE_BYTES
    kind = type(value)
    if kind is str or kind is bytes:
        size -= len(value)
    elif kind is int:
        size -= value.bit_length() >> 3
    elif kind is list or kind is tuple or kind is dict:
        if not depth:
            raise NotPlain(f"is nested more than {MAX_DEPTH} deep")
        if kind is dict and len({str(key) for key in value}) < len(value):
            raise NotPlain("has a dict in which a number and a text are the same key")
        for each in value:
            size = _remaining(each, depth - 1, size)
        if kind is dict:
            for each in value.values():
                size = _remaining(each, depth - 1, size)
    if size < 0:
        raise NotPlain(_LARGE)
    return size


_LARGE: Final = f"is larger than {MAX_BYTES // 2**20} MiB"
_CONSTANTS: Final = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS: Final = frozenset(
    (
        "BININT",
        "BININT1",
        "BININT2",
        "LONG1",
        "LONG4",
        "BINFLOAT",
        "SHORT_BINUNICODE",
        "BINUNICODE",
        "BINUNICODE8",
        "SHORT_BINBYTES",
        "BINBYTES",
        "BINBYTES8",
    )
)
"""Opcodes whose argument is the value."""
