"""Seeds the random generators that all code of a process shares: `random`, NumPy's, PyTorch's.

Without a seed of the user's their states differ from child to child: PyTorch, for one, begins every
process with the same state. With `_seed` each job of a batch has a stream of its own, which depends
on the seed and the job's place in the batch only.
"""

from __future__ import annotations

import random
import struct
import sys
from contextlib import suppress
from hashlib import sha512
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_NUMPY: Final = "numpy.random"
_TORCH: Final = "torch"
_WORDS: Final = struct.Struct("<16I")
_NUMBER_BITS: Final = 63


class RandomStreams:
    """Seeds the generators of one process, and those of modules that are imported later."""

    def __init__(self) -> None:
        self._stream: bytes | None = None

    def watch_imports(self) -> None:
        """Also seed the generators of modules that are imported from now on."""
        sys.meta_path.insert(0, ImportWatch((_NUMPY, _TORCH), self._imported))

    @property
    def seeded(self) -> bool:
        """Whether the generators follow a seed of the user's."""
        return self._stream is not None

    def follow(self, seed: int, index: int) -> int:
        """Begin the stream of the job at `index` of a batch with this seed.

        Returns:
            A number that belongs to the stream, for generators that are seeded in other ways.
        """
        self._stream = stream = sha512(f"{seed}:{index}".encode()).digest()
        random.seed(int.from_bytes(stream))
        for name in (_NUMPY, _TORCH):
            if name in sys.modules:
                _seed(name, stream)
        return _number(stream)

    def diverge(self) -> None:
        """Give every generator a state that no other process and no earlier job has."""
        self._stream = None
        random.seed()
        for name in (_NUMPY, _TORCH):
            if name in sys.modules:
                _seed(name, None)

    def _imported(self, name: str) -> None:
        _seed(name, self._stream)


def _seed(name: str, stream: bytes | None) -> None:
    """Seed the generator of a loaded module; from the system without a stream."""
    module: Any = sys.modules[name]
    # A job may have put another bit generator in place, or be in the middle of the import.
    with suppress(Exception):
        if name == _NUMPY:
            module.seed(stream and _WORDS.unpack(stream))
        elif stream is None:
            module.seed()
        else:
            module.manual_seed(_number(stream))


def _number(stream: bytes) -> int:
    return int.from_bytes(stream) >> 8 * len(stream) - _NUMBER_BITS


class ImportWatch:
    """A finder for `sys.meta_path`: calls back when modules of these names have been imported."""

    def __init__(self, names: Sequence[str], callback: Callable[[str], None]) -> None:
        self._names = set(names)
        self._callback = callback

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that the other finders give, with a loader that calls back at the end."""
        if name not in self._names:
            return None
        self._names.discard(name)  # so that the search below does not come back here
        try:
            spec = find_spec(name)
        finally:
            self._names.add(name)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            self._callback(name)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
