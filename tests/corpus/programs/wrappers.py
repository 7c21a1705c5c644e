"""Caches, dispatchers and descriptors of the program."""

import abc
import decimal
import functools
import json
import numbers

from tests.corpus.script import check, finish, travels


@functools.lru_cache(maxsize=10, typed=True)
def square(x):
    return x * x


@functools.cache
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


cached_sorted = functools.lru_cache(sorted)
cached_lambda = functools.cache(lambda x: x + 1)


class Box:
    def __init__(self, x):
        self.x = x

    @functools.cached_property
    def doubled(self):
        return self.x * 2

    @functools.lru_cache
    def plus(self, y):
        return self.x + y

    @staticmethod
    @functools.cache
    def fixed(y):
        return y + 1

    @classmethod
    @functools.cache
    def made(cls, x):
        return cls(x).x

    @functools.partialmethod
    def partial(self, y=3):
        return y

    @functools.singledispatchmethod
    def shown(self, value):
        return f"object {value}"

    @shown.register
    def _(self, value: int):
        return f"int {value}"

    @shown.register(str)
    def _(self, value):
        return f"str {value}"


class lazy(functools.cached_property):
    """A cached property of the program's own."""


class classproperty(property):
    def __get__(self, instance, owner=None):
        return self.fget(owner)


class loud(staticmethod):
    mark = "loud"


class tagged(classmethod):
    def __init__(self, function, tag="none"):
        super().__init__(function)
        self.tag = tag


class Upper:
    """A descriptor of the program's own."""

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, instance, owner=None):
        return self if instance is None else instance.__dict__[self.name].upper()

    def __set__(self, instance, value):
        instance.__dict__[self.name] = value


class Others:
    text = Upper()

    def __init__(self):
        self.text = "abc"

    @lazy
    def late(self):
        return 5

    @classproperty
    def name_of_class(cls):
        return cls.__name__

    @loud
    def quiet(x):
        return x

    @tagged
    def tag(cls):
        return cls.__name__

    @property
    def readable(self):
        return self._value

    @readable.setter
    def readable(self, value):
        self._value = value + 1


@functools.singledispatch
def area(shape):
    return "unknown"


@area.register
def _(shape: Box):
    return shape.x**2


@area.register(list)
@area.register(tuple)
def _several(shape):
    return [area(each) for each in shape]


@area.register(numbers.Number)
def _number(shape):
    return float(shape)


class Base(abc.ABC):
    pass


class Virtual:
    pass


Base.register(Virtual)
area.register(Base, lambda shape: "virtual")
area.note = "kept"


@functools.total_ordering
class Version:
    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return self.x == other.x

    def __lt__(self, other):
        return self.x < other.x

    def __hash__(self):
        return self.x


def traced(function):
    @functools.wraps(function)
    def wrapper(*args, **keywords):
        wrapper.calls += 1
        return function(*args, **keywords)

    wrapper.calls = 0
    return wrapper


@traced
def add(x, y):
    return x + y


def set_readable(one):
    one.readable = 4
    return one.readable


travels(
    "lru_cache",
    square,
    lambda given: given(4) == 16 and given.cache_parameters() == {"maxsize": 10, "typed": True},
)
travels("cache of a recursive function", fibonacci, lambda given: given(80) == 23416728348467685)
travels("cache of a built-in", cached_sorted, lambda given: given((2, 1)) == [1, 2])
travels("cache of a lambda", cached_lambda, lambda given: given(1) == 2)
check("a cached function as the function", square, 5, want=25)
check("a cached function that another one calls", lambda: fibonacci(30) + square(2), want=832044)
check(
    "a cache fills in the job",
    lambda: (square(3), square(3), square.cache_info().hits)[2],
    holds=lambda hits: hits >= 1,
)
travels("cached_property", Box(4), lambda given: given.doubled == 8 and given.doubled == 8)
travels(
    "class with cached methods",
    Box,
    lambda given: (given(2).plus(3), given.fixed(1), given.made(7)) == (5, 2, 7),
)
travels(
    "singledispatchmethod",
    Box(1),
    lambda given: [given.shown(v) for v in (1, "a", 2.5)] == ["int 1", "str a", "object 2.5"],
)
travels("partialmethod", Box(1), lambda given: callable(given.partial))
travels(
    "singledispatch",
    area,
    lambda given: given([Box(3), 1, Virtual(), "x"]) == [9, 1.0, "virtual", "unknown"],
)
travels(
    "attribute of a dispatcher",
    area,
    lambda given: given.note == "kept" and given.__name__ == "area",
)
check("a dispatcher as the function", area, (Box(2), decimal.Decimal(3)), want=[4, 3.0])
check("a function that calls a dispatcher", lambda: area(Box(6)), want=36)
travels(
    "descriptors",
    Others(),
    lambda given: (
        (
            given.late,
            given.name_of_class,
            given.quiet(3),
            given.tag(),
            given.text,
            type(given).quiet(4),
        )
        == (5, "Others", 3, "Others", "ABC", 4)
    ),
)
travels(
    "derived descriptors keep their attributes",
    Others,
    lambda given: (
        (vars(given)["quiet"].mark, vars(given)["tag"].tag, vars(given)["late"].attrname)
        == ("loud", "none", "late")
    ),
)
travels("property with a setter", Others(), lambda given: set_readable(given) == 5)
travels("total_ordering", Version(1), lambda given: given < Version(2) and given >= Version(1))
travels(
    "wraps",
    add,
    lambda given: (
        (given(1, 2), given.calls >= 1, given.__wrapped__(1, 1), given.__name__)
        == (3, True, 2, "add")
    ),
)
travels("partial", functools.partial(add, 1, y=2), lambda given: given() == 3)
travels(
    "partial of a partial",
    functools.partial(functools.partial(add, 1), 5),
    lambda given: given() == 6,
)
travels("reduce", functools.reduce, lambda given: given(add, [1, 2, 3]) == 6)
travels(
    "cmp_to_key",
    functools.cmp_to_key(lambda x, y: y - x),
    lambda given: sorted([1, 3, 2], key=given) == [3, 2, 1],
)
travels(
    "method of a dictionary's class",
    vars(dict)["fromkeys"],
    lambda given: given.__get__(None, dict)("ab") == {"a": None, "b": None},
)
travels("bound class method of a built-in", dict.fromkeys, lambda given: given("a") == {"a": None})
travels("method of a built-in", str.upper, lambda given: given("a") == "A")
travels("slot of a built-in", int.__add__, lambda given: given(1, 2) == 3)
travels("bound slot", (5).__add__, lambda given: given(2) == 7)
travels(
    "bound method of an encoder",
    json.JSONEncoder(sort_keys=True).encode,
    lambda given: given({"b": 1, "a": 2}) == '{"a": 2, "b": 1}',
)


def counter():
    number = 0

    def add():
        nonlocal number
        number += 1
        return number

    def current():
        return number

    return add, current


travels("functions that share a variable", counter(), lambda given: given[0]() == given[1]())
finish()
