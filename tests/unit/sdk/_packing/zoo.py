"""Every kind of function a main program can hold: run as a script, typed in, read, imported."""

# Written as users write, not as this project does:
# ruff: noqa: ANN001, ANN002, ANN201, ANN204, ANN205, ANN206, D103, PLW0108
# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, disallow-incomplete-defs=False

import dataclasses
import enum
import functools
import os
import sys
from pathlib import Path

from tests.unit.sdk._packing.travel import post

luggage = Path(os.environ["LUGGAGE"])
k = 2


def add(x, y=1, *, z: int = 1):
    return x + y + z


def uses_global(x):
    return x * k


def outer(n):
    def inner(x):
        return x + n + k

    return inner


def factorial(n):
    return 1 if n < 2 else n * factorial(n - 1)


def even(n):
    return n == 0 or odd(n - 1)


def odd(n):
    return n != 0 and even(n - 1)


def doubled(func):
    @functools.wraps(func)
    def wrapper(*args):
        return 2 * func(*args)

    return wrapper


@doubled
def one_more(x):
    return x + 1


@dataclasses.dataclass
class Point:
    x: int
    y: int = 5

    def total(self):
        return self.x + self.y

    @classmethod
    def make(cls, x):
        return cls(x).total()

    @staticmethod
    def negative(x):
        return -x

    def __call__(self, x):
        return self.x * x


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


def lazily(x):
    import json

    return json.dumps(x)


post(luggage, "lambda", lambda x: x + k, 1)
post(luggage, "keywords", add, 1, z=3)
post(luggage, "global", uses_global, 21)
post(luggage, "closure", outer(10), 1)
post(luggage, "partial", functools.partial(add, 1, z=5), y=2)
post(luggage, "bound", Point(2).total)
post(luggage, "classmethod", Point.make, 3)
post(luggage, "staticmethod", Point.negative, 3)
post(luggage, "callable", Point(7), 6)
post(luggage, "class", lambda kind: kind(1).total(), Point)
post(luggage, "instance", lambda point: dataclasses.asdict(point), Point(8))
post(luggage, "enum", lambda colour: (colour.name, colour is Colour.RED), Colour.RED)
post(luggage, "recursive", factorial, 5)
post(luggage, "mutual", even, 7)
post(luggage, "decorated", one_more, 4)
post(luggage, "builtin", sum, [1, 2, 3])
post(luggage, "method of builtin", "a,b".split, ",")
post(luggage, "lazy import", lazily, [1])
post(luggage, "range", lambda numbers: list(numbers), range(2, 8, 3))
print("all posted", file=sys.stderr)
