"""Values of built-in kinds, and classes whose shape matters."""

import abc
import array
import collections
import contextlib
import copyreg
import ctypes
import datetime
import decimal
import enum
import fractions
import inspect
import io
import itertools
import json
import logging
import math
import operator
import pathlib
import re
import struct
import sys
import tempfile
import types
import uuid
import weakref
import zoneinfo

from tests.corpus.script import check, finish, refused, travels


class Slotted:
    __slots__ = ("__private", "late", "x")

    def __init__(self, x):
        self.x = x
        self.__private = x + 1

    def private(self):
        return self.__private


class Derived(Slotted):
    __slots__ = ("y",)


class Open(Slotted):
    pass


class WithWeak:
    __slots__ = ("__weakref__", "x")

    def __init__(self, x):
        self.x = x


class Base:
    limit = 10
    name = "base"
    items: list = []

    def __hash__(self):
        return 3

    def __eq__(self, other):
        return type(self) is type(other)


class Equal(Base):
    limit = 10
    name = "base"
    items = Base.items
    __hash__ = Base.__hash__


class Grand(Equal):
    pass


class Fields:
    third = 3
    first = 1
    second = 2


class Planet(enum.Enum):
    EARTH = (5, 6)
    MARS = (1, 2)
    HOME = (5, 6)

    def __init__(self, mass, radius):
        self.mass, self.radius = mass, radius

    @property
    def ratio(self):
        return self.mass / self.radius


class Permission(enum.Flag):
    R = 1
    W = 2
    RW = 3


class Text(str, enum.Enum):
    A = "a"


class Number(enum.IntEnum):
    ONE = 1
    ALSO = 1


class Coordinate(bytes, enum.Enum):
    def __new__(cls, value, label):
        made = bytes.__new__(cls, [value])
        made._value_ = value
        made.label = label
        return made

    PX = (0, "P.X")
    PY = (1, "P.Y")


class Structure(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("numbers", ctypes.c_double * 2)]


class Nested(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("inner", Structure), ("flag", ctypes.c_uint8)]


class Either(ctypes.Union):
    _fields_ = [("whole", ctypes.c_uint32), ("parts", ctypes.c_uint8 * 4)]


class Big(ctypes.BigEndianStructure):
    _fields_ = [("x", ctypes.c_uint16)]


class Node:
    def __init__(self, next_=None):
        self.next = next_


class Meta(type):
    def __getitem__(cls, item):
        return cls, item

    def __prepare__(name, bases, **keywords):
        return {"prepared": True}

    def __new__(mcs, name, bases, scope, tag="x"):
        made = super().__new__(mcs, name, bases, scope)
        made.tag = tag
        return made

    def __init__(cls, name, bases, scope, tag="x"):
        super().__init__(name, bases, scope)


class Tagged(metaclass=Meta, tag="t"):
    pass


class AbstractMeta(abc.ABCMeta):
    pass


class Abstract(metaclass=AbstractMeta):
    @abc.abstractmethod
    def run(self): ...


class Concrete(Abstract):
    def run(self):
        return 5


class Multiple(dict, contextlib.AbstractContextManager):
    def __exit__(self, *_):
        return True


class OwnInt(int):
    pass


class OwnList(list):
    def __init__(self, *items, mark=0):
        super().__init__(items)
        self.mark = mark


class OwnDict(collections.OrderedDict):
    pass


class Cached:
    kinds = weakref.WeakSet()
    by_name = weakref.WeakValueDictionary()

    def __init__(self, name):
        self.name = name
        Cached.kinds.add(self)
        Cached.by_name[name] = self


kept = [Cached("a"), Cached("b")]
own_set = weakref.WeakSet(kept)
own_values = weakref.WeakValueDictionary({"a": kept[0]})
own_keys = weakref.WeakKeyDictionary({kept[0]: 1, kept[1]: 2})


def nested(depth, make):
    value = make(None)
    for _ in range(depth):
        value = make(value)
    return value


def depth(value, inner):
    count = 0
    while (value := inner(value)) is not None:
        count += 1
    return count


def has_dict(one):
    try:
        one.other = 1
    except AttributeError:
        return False
    return True


travels(
    "slots",
    Slotted(3),
    lambda given: (
        (
            given.x,
            given.private(),
            has_dict(given),
            hasattr(given, "__dict__"),
            hasattr(given, "late"),
        )
        == (3, 4, False, False, False)
    ),
)
travels(
    "derived slots",
    Derived(3),
    lambda given: (given.x, has_dict(given), Derived.__slots__) == (3, False, ("y",)),
)
travels(
    "class without slots over slots", Open(3), lambda given: (given.x, has_dict(given)) == (3, True)
)
travels("weakref in slots", WithWeak(3), lambda given: weakref.ref(given)().x == 3)
travels(
    "attributes equal to the base's",
    Equal(),
    lambda given: all(name in vars(type(given)) for name in ("limit", "name", "items", "__hash__")),
)
check(
    "base that changes",
    lambda: (setattr(Base, "limit", 11), Equal.limit, Grand.limit, vars(Equal)["name"])[1:],
    want=(10, 10, "base"),
)
travels(
    "order of attributes",
    Fields,
    lambda given: (
        [name for name in vars(given) if not name.startswith("_")] == ["third", "first", "second"]
    ),
)
travels(
    "__qualname__",
    (lambda: type("x", (), {}) and Inner)() if False else Base,
    lambda given: given.__qualname__ == "Base",
)
travels(
    "enumeration with __init__",
    Planet.MARS,
    lambda given: (
        (
            given.mass,
            given.ratio,
            Planet.HOME is Planet.EARTH,
            list(Planet.__members__),
            given is Planet.MARS,
        )
        == (1, 0.5, True, ["EARTH", "MARS", "HOME"], True)
    ),
)
travels(
    "flag",
    Permission.R | Permission.W,
    lambda given: (
        given is Permission.RW
        and list(Permission.__members__) == ["R", "W", "RW"]
        and bool(given & Permission.W)
    ),
)
travels("text enumeration", Text.A, lambda given: given == "a" and given is Text.A)
travels(
    "alias of an enumeration",
    Number.ALSO,
    lambda given: given is Number.ONE and Number["ALSO"] is Number.ONE,
)
travels(
    "enumeration with __new__",
    Coordinate.PY,
    lambda given: (
        (given.value, given.label, bytes(given), Coordinate(1) is given)
        == (1, "P.Y", b"\x01", True)
        or (given.value, given.label) == (1, "P.Y")
    ),
)
travels(
    "structure",
    Nested(Structure(5, (1.0, 2.0)), 7),
    lambda given: (
        (given.inner.x, list(given.inner.numbers), given.flag, ctypes.sizeof(given))
        == (5, [1.0, 2.0], 7, ctypes.sizeof(Nested))
    ),
)
travels("union of ctypes", Either(0x01020304), lambda given: sorted(given.parts) == [1, 2, 3, 4])
travels("big endian", Big(258), lambda given: given.x == 258 and bytes(given) == b"\x01\x02")
travels("array of ctypes", (ctypes.c_int * 3)(1, 2, 3), lambda given: list(given) == [1, 2, 3])
travels(
    "array of structures",
    (Structure * 2)(Structure(1), Structure(2)),
    lambda given: [each.x for each in given] == [1, 2],
)
travels("number of ctypes", ctypes.c_double(1.5), lambda given: given.value == 1.5)
travels(
    "pointer type", ctypes.POINTER(Structure), lambda given: given._type_.__name__ == "Structure"
)
travels(
    "metaclass",
    Tagged,
    lambda given: (
        (given.tag, given[3][1], given.prepared, type(given).__name__) == ("t", 3, True, "Meta")
    ),
)
travels(
    "abstract metaclass",
    Concrete(),
    lambda given: given.run() == 5 and isinstance(given, Abstract) and inspect.isabstract(Abstract),
)
travels(
    "several bases", Multiple(a=1), lambda given: given == {"a": 1} and given.__exit__() is True
)
travels(
    "derived from int", OwnInt(5), lambda given: given == 5 and type(given).__name__ == "OwnInt"
)
travels(
    "derived from list",
    OwnList(1, 2, mark=3),
    lambda given: list(given) == [1, 2] and given.mark == 3,
)
travels("derived from OrderedDict", OwnDict(b=1, a=2), lambda given: list(given) == ["b", "a"])
travels(
    "list nested deep",
    nested(500, lambda inner: [inner]),
    lambda given: depth(given, lambda each: each[0]) == 500,
)
travels(
    "tuple nested deep",
    nested(900, lambda inner: (inner,)),
    lambda given: depth(given, lambda each: each[0]) == 900,
)
travels(
    "dictionary nested deep",
    nested(1500, lambda inner: {"a": inner}),
    lambda given: depth(given, lambda each: each["a"]) == 1500,
)
travels(
    "linked objects", nested(500, Node), lambda given: depth(given, lambda each: each.next) == 500
)
refused(
    "nested too deep",
    lambda given: 1,
    nested(100_000, lambda inner: [inner]),
    message="nested too deep",
)
travels("WeakSet", own_set, lambda given: sorted(each.name for each in given) == ["a", "b"])
travels("WeakValueDictionary", own_values, lambda given: given["a"].name == "a")
travels("WeakKeyDictionary", own_keys, lambda given: sorted(given.values()) == [1, 2])
travels(
    "weak containers of a class",
    Cached,
    lambda given: (
        sorted(each.name for each in given.kinds) == ["a", "b"] and given.by_name["b"].name == "b"
    ),
)
travels(
    "memoryview",
    memoryview(b"abc"),
    lambda given: type(given) is memoryview and given.readonly and bytes(given) == b"abc",
)
travels(
    "memoryview that can be written",
    memoryview(bytearray(b"abc")),
    lambda given: not given.readonly and given.tobytes() == b"abc",
)
travels(
    "memoryview of numbers",
    memoryview(array.array("d", [1.5, 2.5])),
    lambda given: given.format == "d" and given.tolist() == [1.5, 2.5],
)
travels(
    "memoryview with a shape",
    memoryview(bytes(range(6))).cast("B", (2, 3)),
    lambda given: given.shape == (2, 3) and given.tolist() == [[0, 1, 2], [3, 4, 5]],
)
travels("memoryview of a part", memoryview(b"abcdef")[::2], lambda given: bytes(given) == b"ace")

# cloudpickle's kinds
numbers = [1, 2, 3]
for name, value, holds in [
    ("bytearray", bytearray(b"x"), lambda given: given == bytearray(b"x")),
    ("complex", 1j, lambda given: given == 1j),
    ("range", range(1, 9, 3), lambda given: list(given) == [1, 4, 7]),
    ("slice", slice(1, 2), lambda given: given == slice(1, 2)),
    ("frozenset", frozenset("ab"), lambda given: given == {"a", "b"}),
    ("dict_keys", {"a": 1}.keys(), lambda given: list(given) == ["a"]),
    ("dict_values", {"a": 1}.values(), lambda given: list(given) == [1]),
    ("dict_items", {"a": 1}.items(), lambda given: list(given) == [("a", 1)]),
    ("OrderedDict's keys", collections.OrderedDict(a=1).keys(), lambda given: list(given) == ["a"]),
    ("mappingproxy", types.MappingProxyType({"a": 1}), lambda given: given["a"] == 1),
    ("SimpleNamespace", types.SimpleNamespace(a=1), lambda given: given.a == 1),
    ("ChainMap", collections.ChainMap({"a": 1}, {"b": 2}), lambda given: given["b"] == 2),
    ("Counter", collections.Counter("aab"), lambda given: given["a"] == 2),
    ("deque", collections.deque([1, 2], maxlen=2), lambda given: given.maxlen == 2),
    ("defaultdict", collections.defaultdict(lambda: 7, a=1), lambda given: given["z"] == 7),
    (
        "namedtuple",
        collections.namedtuple("Row", "a b", defaults=[5])(1),
        lambda given: (given.a, given.b, given._asdict()["b"]) == (1, 5, 5),
    ),
    ("iterator of a list", iter([1, 2]), lambda given: list(given) in ([1, 2], [])),
    ("attrgetter", operator.attrgetter("real", "imag"), lambda given: given(1j) == (0.0, 1.0)),
    ("itemgetter", operator.itemgetter(1), lambda given: given("ab") == "b"),
    ("methodcaller", operator.methodcaller("upper"), lambda given: given("a") == "A"),
    ("pattern", re.compile("a(b)"), lambda given: given.match("ab")[1] == "b"),
    (
        "date and zone",
        datetime.datetime(2020, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")),
        lambda given: given.tzinfo.key == "UTC",
    ),
    ("UTC", datetime.UTC, lambda given: given is datetime.UTC),
    ("Decimal", decimal.Decimal("1.5"), lambda given: given == decimal.Decimal("1.5")),
    ("context of decimals", decimal.Context(prec=5), lambda given: given.prec == 5),
    ("Fraction", fractions.Fraction(1, 3), lambda given: given * 3 == 1),
    ("UUID", uuid.UUID(int=5), lambda given: given.int == 5),
    ("path", pathlib.PurePosixPath("/a/b"), lambda given: given.name == "b"),
    ("StringIO", io.StringIO("ab"), lambda given: given.getvalue() == "ab"),
    ("BytesIO", io.BytesIO(b"ab"), lambda given: given.getvalue() == b"ab"),
    ("array", array.array("i", [1, 2]), lambda given: given.tolist() == [1, 2]),
    ("code", compile("1 + 1", "x", "eval"), lambda given: eval(given) == 2),
    ("cell", (lambda: numbers).__closure__, lambda given: given is None),
    ("formatter", logging.Formatter("%(message)s"), lambda given: given._fmt == "%(message)s"),
    (
        "adapter of a logger",
        logging.LoggerAdapter(logging.getLogger("a"), {}),
        lambda given: given.logger.name == "a",
    ),
    ("exit stack", contextlib.ExitStack, lambda given: given is contextlib.ExitStack),
    ("contextmanager", contextlib.contextmanager(lambda: iter([5])), lambda given: callable(given)),
    ("built-in", math.sqrt, lambda given: given(4) == 2),
    ("type of a function", types.FunctionType, lambda given: given is types.FunctionType),
    ("GenericAlias", list[int], lambda given: given == list[int]),
    (
        "getset descriptor",
        types.FunctionType.__code__,
        lambda given: given is types.FunctionType.__code__,
    ),
    ("member descriptor", Slotted.x, lambda given: given.__get__(Slotted(4)) == 4),
    (
        "property",
        property(lambda self: 5, doc="five"),
        lambda given: given.fget(None) == 5 and given.__doc__ == "five",
    ),
]:
    travels(name, value, holds)

if sys.version_info < (3, 14):
    travels("itertools", itertools.count(3), lambda given: next(given) >= 3)
else:
    refused("itertools", len, itertools.chain([1]), message="itertools.chain.* list of its items")


def registered(value):
    return value.real


class Reduced:
    def __init__(self, x):
        self.x = x


copyreg.pickle(Reduced, lambda one: (Reduced, (one.x + 1,)))
check("copyreg", lambda given: given.x, Reduced(1), want=2)

with tempfile.NamedTemporaryFile("w+", suffix=".txt") as file:
    file.write("a\nb\n")
    file.flush()
    with open(file.name) as text, open(file.name, "rb") as binary:
        travels("text file", text, lambda given: given.seek(0) == 0 and given.read() == "a\nb\n")
        travels(
            "binary file", binary, lambda given: given.seek(0) == 0 and given.read() == b"a\nb\n"
        )

    def opened(mode):
        path = pathlib.Path(tempfile.mkdtemp(), "there.txt")
        path.write_text("xyz")
        return open(path, mode)

    check(
        "binary file of a job",
        opened,
        "rb",
        holds=lambda given: given.read() == b"xyz" and given.name.endswith("there.txt"),
    )
    check("text file of a job", opened, "r", holds=lambda given: given.read() == "xyz")

try:
    import numpy as np
except ImportError:
    pass
else:
    vectorized = np.frompyfunc(lambda x, y: x + y, 2, 1)
    travels(
        "array of numpy",
        np.arange(6).reshape(2, 3),
        lambda given: given.sum() == 15 and given.shape == (2, 3),
    )
    travels(
        "array of objects",
        np.array([Base(), None], dtype=object),
        lambda given: isinstance(given[0], Base),
    )
    travels(
        "structured array",
        np.array([(1, 2.0)], dtype=[("a", int), ("b", float)]),
        lambda given: given["b"][0] == 2.0,
    )
    travels(
        "array in Fortran's order",
        np.asfortranarray(np.ones((2, 3))),
        lambda given: given.flags.f_contiguous,
    )
    travels(
        "frompyfunc", vectorized, lambda given: list(given([1, 2], 3)) == [4, 5] and given.nin == 2
    )
    travels("ufunc", np.sqrt, lambda given: given is np.sqrt)
    travels("vectorize", np.vectorize(lambda x: x + 1), lambda given: list(given([1, 2])) == [2, 3])
    travels(
        "scalar of numpy", np.float64(2.5), lambda given: given == 2.5 and type(given) is np.float64
    )
    travels("dtype", np.dtype("f8"), lambda given: given == np.float64)
    travels("masked array", np.ma.array([1, 2], mask=[0, 1]), lambda given: given.sum() == 1)

# Objects of Python itself, and parts in C
for name in ("version_info", "float_info", "int_info", "hash_info", "thread_info", "flags"):
    value = getattr(sys, name)
    travels(f"sys.{name}", value, lambda given, name=name: given == getattr(sys, name))


class Named(struct.Struct):
    def __init__(self, form):
        super().__init__(form)
        self.fields = ("a", "b")


class Decoder(json.JSONDecoder):
    def __init__(self):
        super().__init__(object_hook=self.made)

    def made(self, given):
        return sorted(given)


header = struct.Struct("<IH")
travels("struct.Struct", header, lambda given: given.pack(1, 2) == b"\1\0\0\0\2\0")
travels("method of a Struct", header.unpack, lambda given: given(header.pack(1, 2)) == (1, 2))
travels("derived Struct", Named("<i"), lambda given: (given.size, given.fields) == (4, ("a", "b")))
travels("JSONDecoder", json.JSONDecoder(), lambda given: given.decode("[1]") == [1])
travels("derived JSONDecoder", Decoder(), lambda given: given.decode('{"b": 1}') == ["b"])
for kind in (type({}.keys()), type(iter([])), type(iter(range(3))), types.GeneratorType):
    travels(f"class {kind.__name__}", kind, lambda given, kind=kind: given is kind)
refused(
    "class without a name", len, type(iter(int, 1)), message="built-in class 'callable_iterator'"
)
finish()
