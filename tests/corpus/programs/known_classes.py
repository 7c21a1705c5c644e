"""A load leaves alone the classes that a process knows."""

import abc
import dataclasses
import enum
import functools
import threading
import typing

import cloud

from tests.corpus.script import check, finish, that


class Order:
    made = 0
    registry: dict = {}

    def __init__(self, x=1):
        self.x = x

    def total(self):
        return self.x * RATE

    @classmethod
    def fromkeys(cls, *keys):
        return [cls(key) for key in keys]


RATE = 2


class Failed(Exception):
    seen: list = []

    def __init__(self, code, reason):
        super().__init__(code)
        self.reason = reason


class Colour(enum.Enum):
    RED = 1

    def shown(self):
        return PREFIX + self.name


PREFIX = "a "


class Shape(abc.ABC):
    known: set = set()

    @abc.abstractmethod
    def area(self): ...


class Square(Shape):
    def area(self):
        return 4


@dataclasses.dataclass
class Point:
    x: int = 1
    count = 0


class Plugin:
    plugins: list = []

    def __init_subclass__(cls, *, key, **more):
        super().__init_subclass__(**more)
        Plugin.plugins.append((key, cls))


class First(Plugin, key="first"):
    pass


class Second(Plugin, key="second"):
    pass


class Tagged:
    def __init_subclass__(cls, /, tag=None, **more):
        super().__init_subclass__(**more)
        cls.tag = tag


class Mixin:
    pass


class WithTag(Mixin, Tagged, tag=5):
    pass


class Typed(abc.ABC, Tagged, tag=6):
    pass


class Number(int, Tagged, tag=7):
    pass


class Box(typing.Generic[typing.TypeVar("T")], Tagged, tag=8):
    pass


class Below(WithTag, tag=9):
    pass


def subclassed_there():
    class Later(WithTag, tag=10):
        pass

    return Later.tag, [each.tag for each in (WithTag, Typed, Number, Box[int], Below)]


class Meta(type):
    classes: list = []

    def __init__(cls, *args):
        super().__init__(*args)
        Meta.classes.append(cls.__name__)

    def __setattr__(cls, name, value):
        raise TypeError("constant")


class Constant(metaclass=Meta):
    value = 5


class Tree:
    nodes: list = []


Tree.nodes.append(Tree)


def raises():
    raise Failed(3, "x")


jids = [
    cloud.call(lambda: Order()),
    cloud.call(raises),
    cloud.call(lambda: Colour.RED),
    cloud.call(lambda: Square()),
    cloud.call(lambda: Point(2)),
    cloud.call(lambda: [Order(3), First(), Constant()]),
    cloud.call(lambda: Tree()),
]
cloud.join(jids, ignore_errors=True)
lock = threading.Lock()
Order.made, Order.registry["a"], Order.lock = 5, 1, lock
original = Order.total
Order.total = lambda self: "patched"
Failed.seen.append(1)
Shape.known.add(2)
Point.count, PREFIX, RATE = 7, "b ", 3

order = cloud.result(jids[0])
that("counter of a class", Order.made == 5 and type(order) is Order)
that("registry of a class", Order.registry == {"a": 1})
that("patch of a class", order.total() == "patched")
that("lock of a class", Order.lock is lock)
del Order.lock
try:
    cloud.result(jids[1])
except cloud.CloudException as error:
    cause = error.__cause__
    that("exception of the program", type(cause) is Failed and cause.reason == "x")
that("list of an exception class", Failed.seen == [1])
that("enumeration", cloud.result(jids[2]) is Colour.RED and Colour.RED.shown() == "b RED")
that("class of an ABC", type(cloud.result(jids[3])) is Square and Shape.known == {2})
that("dataclass", cloud.result(jids[4]) == Point(2) and Point.count == 7)
Order.total = original
several = cloud.result(jids[5])
that("methods read the program's globals", several[0].total() == 9)
that("subclasses are listed once", [key for key, _ in Plugin.plugins] == ["first", "second"])
that("no class is made for a while", len(Plugin.__subclasses__()) == 2)
that("classes of a metaclass are listed once", Meta.classes == ["Constant"])
that("class that holds itself", cloud.result(jids[6]).nodes == [Tree])
info = cloud.info(jids[0], ["args"])
that("info", Order.made == 5)


def total():
    return RATE


handlers = {"total": total}
RATE = 4
that("a function of the program", cloud.result(cloud.call(lambda: total)) is total)
that("a table of functions", cloud.result(cloud.call(lambda: handlers)) == {"total": total})
that("a bound method", cloud.result(cloud.call(lambda: Order(2).total))() == 8)
that("a class method", cloud.result(cloud.call(lambda: Order.fromkeys)) == Order.fromkeys)
that("an argument comes back", cloud.result(cloud.call(lambda given: given, total)) is total)


# In a slot: what jobs do to a class stays, what the program changes arrives.
class Cache:
    entries: dict = {}
    made = 0
    name = "cache"

    def __init__(self, x):
        Cache.made += 1
        self.x = x

    def get(self):
        Cache.entries[self.x] = Cache.entries.get(self.x, 0) + 1
        return len(Cache.entries), sum(Cache.entries.values()), FACTOR, Cache.name

    @functools.lru_cache
    def slow(self, x):
        return x * FACTOR

    def cached(self):
        self.slow(self.x)
        return Cache.slow.cache_info().misses

    def __eq__(self, other):
        return True

    def __hash__(self):
        return 1


FACTOR = 1


def get(one):
    return one.get()


def cached(one):
    return one.cached()


first = [cloud.result(cloud.call(get, Cache(at))) for at in range(8)]
that("a class in a slot keeps its cache", max(size for size, *_ in first) >= 4)
that("a class in a slot counts on", max(total for _, total, *_ in first) >= 4)
misses = [cloud.result(cloud.call(cached, Cache(1))) for at in range(8)]
that("cached methods in a slot keep their cache", max(misses) == 1)
FACTOR = 9
changed = [cloud.result(cloud.call(get, Cache(1)))[2] for at in range(4)]
that("a global that a class uses arrives anew", changed == [9] * 4)
Cache.name = "other"
changed = [cloud.result(cloud.call(get, Cache(1)))[3] for at in range(4)]
that("an attribute that the program changed arrives", changed == ["other"] * 4)
Cache.get = lambda self: "new"
changed = [cloud.result(cloud.call(get, Cache(1))) for at in range(4)]
that("a method that the program changed arrives", changed == ["new"] * 4)
Cache.entries["from here"] = 1
changed = [
    cloud.result(cloud.call(lambda one: "from here" in type(one).entries, Cache(1)))
    for at in range(4)
]
that("a registry that the program extended arrives", changed == [True] * 4)


def patch(one):
    before = getattr(type(one), "patched", 0)
    type(one).patched = before + 1
    return before + 1


that(
    "an attribute that a job set stays",
    max(cloud.result(cloud.call(patch, Cache(1))) for at in range(6)) >= 3,
)
check("plugins in a job", lambda: [key for key, _ in Plugin.plugins], want=["first", "second"])
check("hooks of subclasses", subclassed_there, want=(10, [5, 6, 7, 8, 9]))
check("metaclass in a job", lambda: (Meta.classes, Constant.value), want=(["Constant"], 5))
check(
    "subclass in a job",
    lambda one: (type(one) is First, len(Plugin.__subclasses__()), Plugin.plugins[0][1] is First),
    First(),
    want=(True, 2, True),
)
finish()
