"""Instances that Python's own way of pickling makes wrong: the copies are as the originals."""

import contextlib
import dataclasses
import enum
import typing

import msgspec

from tests.corpus.script import check, finish, refused, travels


# Constructors that take something else than the value
class Pair(tuple):
    def __new__(cls, *items):
        return super().__new__(cls, items)


class Twice(bytes):
    def __new__(cls, content):
        return super().__new__(cls, content * 2)


class Celsius(float):
    def __new__(cls, fahrenheit):
        return super().__new__(cls, (fahrenheit - 32) / 1.8)


class Number(int):
    def __new__(cls, text):
        return super().__new__(cls, text.strip("#"))


class Loud(str):
    def __new__(cls, text, *, suffix):
        made = super().__new__(cls, text.upper() + suffix)
        made.suffix = suffix
        return made


class Symbol(str):
    known = {}

    def __new__(cls, text):
        if text not in cls.known:
            cls.known[text] = super().__new__(cls, text)
        return cls.known[text]


class Needs:
    def __new__(cls, x):
        made = super().__new__(cls)
        made.x = x
        return made


class NeedsWithSlots:
    __slots__ = ("x", "y")

    def __new__(cls, x):
        made = super().__new__(cls)
        made.x = x
        return made


class One:
    one = None

    def __new__(cls):
        if cls.one is None:
            cls.one = super().__new__(cls)
            cls.one.items = [1]
        return cls.one


travels("tuple of several arguments", Pair(1, 2), lambda given: given == (1, 2))
travels("bytes made of others", Twice(b"a"), lambda given: given == b"aa")
travels("converted number", Celsius(212), lambda given: given == 100)
travels("number made of a text", Number("#5"), lambda given: given == 5)
travels(
    "text with a keyword",
    Loud("a", suffix="!"),
    lambda given: (given, given.suffix) == ("A!", "!"),
)
travels("interned text", Symbol("q"), lambda given: given is Symbol("q"))
travels("argument without a default", Needs(3), lambda given: given.x == 3)
travels("slots, too", NeedsWithSlots(3), lambda given: (given.x, hasattr(given, "y")) == (3, False))
travels("one instance with a state", One(), lambda given: given is One() and given.items == [1])


# Dictionaries that are their own attributes
class Settings(dict):
    def __init__(self, *args, **keywords):
        super().__init__(*args, **keywords)
        self.__dict__ = self


circular = Settings()
circular["me"] = circular


def set_both(given):
    given.x = 5
    given["y"] = 6
    return given["x"], given.y


travels("own attributes", Settings(a=1, b=Settings(c=2)), lambda given: given.b.c == 2)
check("own attributes, set in the job", set_both, Settings(), want=(5, 6))
travels("own attributes, circular", circular, lambda given: given.me is given)


# Graphs in sets and dictionaries whose nodes are hashed by an attribute
class Node:
    def __init__(self, name):
        self.name = name
        self.near = set()
        self.roads = {}

    def __hash__(self):
        return hash((type(self).__name__, self.name))

    def __eq__(self, other):
        return self.name == other.name


@dataclasses.dataclass(frozen=True)
class Place:
    name: str
    near: list = dataclasses.field(default_factory=list, hash=False, compare=False)


first, second = Node("a"), Node(("b", 1))
first.near.add(second)
second.near.add(first)
second.roads[second] = first
here, there = Place("here"), Place("there")
here.near.append({there})
there.near.append({here: 1})
travels(
    "nodes in sets",
    first,
    lambda given: next(iter(next(iter(given.near)).near)) is given,
)
travels("node as a key of its own", second, lambda given: given.roads[given].name == "a")
travels(
    "frozen dataclass in a set",
    here,
    lambda given: given in next(iter(given.near[0])).near[0],
)


# Objects that say they are of another class
class Proxy:
    def __init__(self, target):
        object.__setattr__(self, "target", target)

    def __getattr__(self, name):
        return getattr(object.__getattribute__(self, "target"), name)

    def __getitem__(self, key):
        return self.target[key]

    @property
    def __class__(self):
        return type(self.target)


class Likeness:
    __class__ = int


travels("proxy", Proxy([1, 2]), lambda given: (given[1], isinstance(given, list)) == (2, True))
travels("a class for another", Likeness(), lambda given: isinstance(given, int))


# Context managers as decorators
@contextlib.contextmanager
def noted(x):
    notes.append(x)
    yield
    notes.append(-x)


@contextlib.asynccontextmanager
async def noted_too(x):
    with noted(x):
        yield


notes = []


@noted(4)
def decorated():
    return notes[-1]


@noted_too(5)
async def decorated_too():
    return notes[-1]


def entered():
    manager = noted(1)
    manager.__enter__()
    return manager


check("context manager as a decorator", decorated, want=4)
check("asynchronous one", decorated_too, want=5)
refused("one in use", len, entered(), message="a context manager that is in use")


# Structures of msgspec
class Colour(enum.Enum):
    RED = "r"


class Tree(msgspec.Struct, tag=True):
    value: int
    below: "list[Tree]" = []
    colour: "Colour | None" = None


class Options(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    max_size: int = 3
    other: str = "x"


class Base(msgspec.Struct, order=True):
    x: int
    table: dict = msgspec.field(default_factory=lambda: {"k": 1})


class Derived(Base):
    limit: typing.ClassVar[int] = 9
    z: int = 1

    def __post_init__(self):
        self.z = self.x * 2

    @property
    def total(self):
        return self.x + self.limit

    @classmethod
    def five(cls):
        return cls(5)


T = typing.TypeVar("T")


class Box(msgspec.Struct, typing.Generic[T]):
    content: T


@dataclasses.dataclass
class Plain:
    colour: Colour


def decoded():
    texts = {Tree: b'{"type":"Tree","value":1,"below":[{"type":"Tree","value":2}],"colour":"r"}'}
    texts |= {Plain: b'{"colour":"r"}', Box[str]: b'{"content":"1"}', Options: b'{"maxSize":4}'}
    return [msgspec.json.decode(text, type=kind) for kind, text in texts.items()]


travels("struct", Tree(1, [Tree(2)]), lambda given: given.below[0] == Tree(2))
travels(
    "keywords",
    Options(max_size=4),
    lambda given: (
        (given.max_size, b'"maxSize":4' in msgspec.json.encode(given), {given})
        == (4, True, {given})
    ),
)
travels(
    "derived struct",
    Derived(2),
    lambda given: (
        ([given.z, given.table, given.total, type(given).five().z], given < Derived(3))
        == ([4, {"k": 1}, 11, 10], True)
    ),
)
travels("generic struct", Box(3), lambda given: given.content == 3)
check("decoded", decoded, want=decoded())

try:
    import jinja2
except ImportError:
    pass
else:
    template = jinja2.Template("hi {{ x }}")
    check("object of a library that needs an argument", lambda: template.render(x=1), want="hi 1")
finish()
