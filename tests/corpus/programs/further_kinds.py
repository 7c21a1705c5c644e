"""Further kinds of classes, functions and objects of a program."""

import abc
import asyncio
import collections
import contextvars
import dataclasses
import enum
import functools
import inspect
import io
import logging
import math
import operator
import os
import queue
import re
import string
import sys
import tempfile
import threading
import types
import typing
import unittest.mock
import weakref
from typing import *
from tests.corpus.script import check, fails, finish, refused, that, travels


# slots dataclasses
@dataclasses.dataclass(slots=True, frozen=True)
class SF:
    x: int
    y: list = dataclasses.field(default_factory=list, compare=False)


@dataclasses.dataclass(slots=True, weakref_slot=True)
class SW:
    x: int


@dataclasses.dataclass
class CP:
    x: int

    @functools.cached_property
    def double(self):
        return self.x * 2


@dataclasses.dataclass(frozen=True, order=True, kw_only=True)
class KW:
    a: int = 1
    b: "dataclasses.InitVar[int]" = 2

    def __post_init__(self, b):
        object.__setattr__(self, "a", self.a + b)


travels("slots frozen", SF(3), lambda g: (g.x, g.y, hasattr(g, "__dict__")) == (3, [], False))
travels("weakref slot", SW(3), lambda g: weakref.ref(g)() is g)
travels("cached property dataclass", CP(3), lambda g: g.double == 6)
travels("kw", KW(a=1, b=3), lambda g: g.a == 4)


# super(), __class__ cell
class A:
    def hello(self):
        return "A"


class B(A):
    def hello(self):
        return super().hello() + "B"

    def cls(self):
        return __class__.__name__


travels("super", B(), lambda g: g.hello() == "AB" and g.cls() == "B")


# local classes
def make():
    class L:
        shared = []

        def __init__(self):
            self.shared.append(1)

        def other(self):
            return L()

    return L


L = make()
travels("local class", L(), lambda g: type(g.other()).__name__ == "L")
travels("local class qualname", L, lambda g: g.__qualname__ == "make.<locals>.L")
# generic inheritance
T = TypeVar("T")


class Gen(Generic[T], abc.ABC):
    @abc.abstractmethod
    def f(self) -> T: ...


class GI(Gen[int]):
    def f(self):
        return 5


travels("generic abc", GI(), lambda g: g.f() == 5 and GI.__orig_bases__[0].__args__ == (int,))
# mock
m = unittest.mock.sentinel.foo
check("mock sentinel", lambda g: g is unittest.mock.sentinel.foo, m, want=True)


# user singledispatch with Union / ABC
@functools.singledispatch
def disp(x):
    return "o"


@disp.register
def _(x: int | str):
    return "is"


@disp.register(collections.abc.Sequence)
def _(x):
    return "seq"


check(
    "dispatch union",
    lambda: (disp(1), disp("a"), disp([1]), disp(2.0)),
    want=("is", "is", "seq", "o"),
)


# property on class with metaclass abc
class P(abc.ABC):
    @property
    @abc.abstractmethod
    def v(self): ...


class Q(P):
    @property
    def v(self):
        return 3


travels("abstract property", Q(), lambda g: g.v == 3 and inspect.isabstract(P))
# logging config
lg = logging.getLogger("corpus.x")
lg.setLevel(10)
check("logger", lambda: lg.name, want="corpus.x")


# class w/ __class_getitem__, __init_subclass__ classmethod
class R:
    def __class_getitem__(cls, k):
        return (cls.__name__, k)


check("class_getitem", lambda: R[3], want=("R", 3))


# exception class hierarchy w/ attributes and __str__
class E1(Exception):
    def __str__(self):
        return "E1!"


check("exc str", lambda g: str(g), E1(1), want="E1!")


# namedtuple with methods
class NT(collections.namedtuple("NT", "a b")):
    __slots__ = ()

    def s(self):
        return self.a + self.b


travels("nt", NT(1, 2), lambda g: g.s() == 3 and not hasattr(g, "__dict__"))
# ordered dict subclass / defaultdict of lambda / counters
travels(
    "dd", collections.defaultdict(lambda: collections.defaultdict(int)), lambda g: g["a"]["b"] == 0
)


# userdict
class UD(collections.UserDict):
    pass


travels("ud", UD(a=1), lambda g: g["a"] == 1)


# enums
class F(enum.IntFlag):
    A = 1
    B = 2


travels("unnamed flag", F.A | F.B, lambda g: g == 3 and isinstance(g, F))


@enum.unique
class AU(enum.StrEnum):
    X = enum.auto()
    Y = enum.auto()

    @classmethod
    def _missing_(cls, v):
        return cls.X


travels("strenum", AU.Y, lambda g: g == "y" and AU("zz") is AU.X)


class Op(enum.Enum):
    ADD = functools.partial(operator.add)
    LAM = (lambda x: x,)

    def __call__(self, *a):
        return self.value(*a)


travels("enum with functions", Op.ADD, lambda g: g(1, 2) == 3)
try:
    G = enum.global_enum(enum.Enum("G", "AA BB", module="__main__"))
    travels("global enum", G.AA, lambda g: g.value == 1)
except Exception as e:
    print(e, file=sys.stderr)
FE = enum.Enum("FE", "A B")
travels("functional enum", FE.B, lambda g: g.value == 2)


# async
async def co(x):
    return x + 1


check("async lambda inner", lambda: asyncio.run(co(1)), want=2)
# context var
cv = contextvars.ContextVar("cv", default=5)
check("contextvar", lambda: cv.get(), want=5)
# threading local
# recursion in containers
l = []
l.append(l)
travels("self list", l, lambda g: g[0] is g)
d = {}
d["me"] = d
travels("self dict", d, lambda g: g["me"] is g)


# object with __getattr__ recursion hazards
class GA:
    def __init__(self):
        self.data = {"a": 1}

    def __getattr__(self, n):
        return self.data[n]


travels("getattr", GA(), lambda g: g.a == 1)


class GA2:
    def __getattr__(self, n):
        raise RuntimeError(n) if n != "__setstate__" else AttributeError(n)


# eq raising
class NE:
    def __eq__(self, o):
        raise RuntimeError("no eq")

    __hash__ = None


travels("eq raises", NE(), lambda g: type(g).__name__ == "NE")


class HM(type):
    def __eq__(cls, o):
        return type.__eq__(cls, o)

    def __hash__(cls):
        return type.__hash__(cls)


class HK(metaclass=HM):
    x = 4


travels("meta eq", HK(), lambda g: g.x == 4)


# callable instance w/ __call__ default args; __wrapped__ loops
# descriptors w/ weakref keys
class WD:
    def __init__(self):
        self.v = weakref.WeakKeyDictionary()

    def __get__(self, i, o=None):
        return self if i is None else self.v.get(i, 7)

    def __set__(self, i, x):
        self.v[i] = x


class HasWD:
    f = WD()


travels("weak descriptor", HasWD(), lambda g: g.f == 7)
# operator/regex match
refused("match", lambda g: 1, re.match("a", "a"), message="groups")
# types.*
travels("simple ns subclass", types.SimpleNamespace(f=lambda: 3), lambda g: g.f() == 3)


# functions with attributes & kwdefaults & closure of itself
def outer():
    def fact(n):
        return 1 if n < 2 else n * fact(n - 1)

    return fact


travels("self closure", outer(), lambda g: g(5) == 120)


def counter():
    n = 0

    def inc():
        nonlocal n
        n += 1
        return n

    return inc


travels("nonlocal", counter(), lambda g: g() >= 1)
# global mutated function
hits = 0


def hit():
    global hits
    hits += 1
    return hits


check("global stmt", hit, want=1)
# lambda default referencing module
check("default mod", lambda m=math: m.sqrt(4), want=2.0)
# star import names
check("star", lambda: List[int], holds=lambda g: g == List[int])
# bound method of module-level instance, staticmethod object directly
travels("staticmethod obj", staticmethod(lambda x: x + 1), lambda g: g(1) == 2)
travels("classmethod obj", classmethod(lambda c: c), lambda g: g.__func__(3) == 3)
# Template, Formatter
travels("template", string.Template("$a"), lambda g: g.substitute(a=1) == "1")
# traceback objects
try:
    1 / 0
except ZeroDivisionError as e:
    err = e
check("err with tb arg", lambda g: type(g).__name__, err, want="ZeroDivisionError")


# partialmethod, cached methods of subclasses
# warnings category class
class W(UserWarning):
    pass


travels("warning", W("x"), lambda g: g.args == ("x",))
# type() with metaclass conflict etc.
Dyn = type("Dyn", (A,), {"f": lambda self: 9})
travels("type()", Dyn(), lambda g: g.f() == 9 and g.hello() == "A")


# __reduce_ex__ returning self-registered constructor
class RX:
    def __init__(self, x):
        self.x = x

    def __reduce_ex__(self, p):
        return (RX, (self.x,))


travels("reduce_ex", RX(4), lambda g: g.x == 4)


class NA:
    def __new__(cls, a, *, b):
        s = super().__new__(cls)
        s.a = a
        s.b = b
        return s

    def __getnewargs_ex__(self):
        return (self.a,), {"b": self.b}


travels("newargs_ex", NA(1, b=2), lambda g: (g.a, g.b) == (1, 2))


class GS:
    def __init__(self):
        self.x = 1
        self.lock = threading.Lock()

    def __getstate__(self):
        s = self.__dict__.copy()
        del s["lock"]
        return s

    def __setstate__(self, s):
        self.__dict__.update(s)
        self.lock = threading.Lock()


travels("getstate", GS(), lambda g: g.x == 1 and g.lock is not None)


# class attributes that are instances of the class (named constants)
class Color:
    def __init__(self, n):
        self.n = n


Color.RED = Color("red")


# iterator classes, generators functions
class It:
    def __iter__(self):
        yield from (1, 2)


travels("iter", It(), lambda g: list(g) == [1, 2])


# typing.overload, final, no_type_check decorated
@typing.no_type_check
def ntc(x: "undefined thing"):
    return x


check("no type check", ntc, 3, want=3)


# annotation text docs
def doc(x: "a number of things", y: "Undefined" = 3):
    return x


check("free text annotation", doc, 3, want=3)


# functools.wraps on classes; decorator class
class deco:
    def __init__(self, f):
        functools.update_wrapper(self, f)
        self.f = f
        self.n = 0

    def __call__(self, *a):
        self.n += 1
        return self.f(*a)


@deco
def dec(x):
    return x * 3


check("decorator class", dec, 2, want=6)
travels("decorator class value", dec, lambda g: g(2) == 6 and g.__name__ == "dec")


def rec_dec(f):
    @functools.wraps(f)
    def w(n):
        return f(n)

    return w


@rec_dec
def fac(n):
    return 1 if n < 2 else n * fac(n - 1)


check("decorated recursion", fac, 5, want=120)
check("env names", lambda: __name__, want="__main__")
check("file", lambda: os.path.basename(__file__), want=os.path.basename(__file__))
# io
refused("simplequeue", lambda g: 1, queue.SimpleQueue(), message="SimpleQueue")
refused(
    "executor",
    lambda g: 1,
    __import__("concurrent.futures").futures.ThreadPoolExecutor(),
    message="ThreadPoolExecutor",
)
refused(
    "sqlite", lambda g: 1, __import__("sqlite3").connect(":memory:"), message="sqlite3.Connection"
)
c = co(1)
refused("coroutine", lambda g: 1, c, message="coroutine")
c.close()
refused("tempfile", lambda g: 1, tempfile.TemporaryFile(), message="open for writing")
refused("event loop", lambda g: 1, asyncio.new_event_loop(), message="_UnixSelectorEventLoop")
finish()
