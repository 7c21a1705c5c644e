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
from functools import partial
from hashlib import sha512
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_NUMPY: Final = "numpy.random"
_TORCH: Final = "torch"
_WORDS: Final = struct.Struct("<16I")
_NUMBER_BITS: Final = 63


class RandomStreams:
    """Seeds the generators of one process, and those of modules that are imported later."""

    def __init__(self) -> None:
        self._stream: bytes | None = None

    @property
    def imported(self) -> dict[str, Callable[[], None]]:
        """What to call when a library was imported, by its name: its generator is seeded, too."""
        return {name: partial(self._seed, name) for name in (_NUMPY, _TORCH)}

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

    def _seed(self, name: str) -> None:
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
