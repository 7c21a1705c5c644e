"""What a program registers with modules, and what it takes from them by name."""

import codecs
import collections.abc
import contextlib
import copy
import copyreg
import functools
import io
import json
import numbers
import os
import pathlib
import pickle
import queue
import shutil
import sqlite3
import threading
import xml.dom.minidom
import xml.etree.ElementTree

import cloud

import tests
from tests.corpus import shapes
from tests.corpus.more_shapes import Triangle
from tests.corpus.script import check, finish, that, travels
from tests.corpus.shapes import MISSING, area, cached, is_missing, total


class Circle:
    def __init__(self, radius):
        self.radius = radius


class Square(Circle):
    pass


@area.register
def _(shape: Circle):
    return 3 * shape.radius**2


@area.register(list)
def _several(shape):
    return [area(each) for each in shape]


area.register(str, lambda shape: len(shape))
always = {"_kill_process": True}

check("dispatcher", area, Circle(2), want=12, **always)
check("dispatcher of a module", lambda shape: shapes.area(shape), Circle(1), want=3, **always)
check("derived class", lambda: area(Square(2)), want=12, **always)
check("lambda that was registered", lambda: area("abc"), want=3, **always)
check("function that was registered", lambda: area([Circle(1), 5]), want=[3, 5], **always)
check("function of the module", total, [Circle(1), "ab", 7], want=[3, 2, 7], **always)
check("partial", functools.partial(total, [Circle(1)]), want=[3], **always)
check("dispatcher as an argument", lambda given: given(Circle(1)), area, want=3, **always)
check("what another module registered", lambda shape: area(shape), Triangle(), want=3, **always)
check("class that was not registered", area, 1.5, want="no area of float", **always)
check("dispatcher comes back", lambda: area, holds=lambda given: given is area)
that("dispatcher here", area(Circle(1)) == 3 and len(area.registry) == 6)

check("marker of a module", is_missing, MISSING, want=True)
check("marker of a module, left out", is_missing, want=True)
check("marker of a module, inside", lambda: is_missing(MISSING), want=True)
check("marker of a module comes back", lambda: MISSING, holds=lambda given: given is MISSING)
check("cache of a module", cached, 4, want=8)
check("cache of a module comes back", lambda: cached, holds=lambda given: given is cached)
shapes.Registry.kinds = ("changed",)
check("class of a module is the module's", lambda given: given.kinds, shapes.Registry, want=())


# Classes of the program that it registers with classes of modules, and with copyreg.
class Row:
    pass


class Amount:
    pass


class Located:
    pass


class Locked:
    def __init__(self, x):
        self.x = x
        self.lock = threading.Lock()


class LockedToo(Locked):
    __slots__ = ()


def locked_reduced(one):
    return type(one), (one.x,)


collections.abc.Sequence.register(Row)
numbers.Real.register(Amount)
os.PathLike.register(Located)
io.IOBase.register(Located)
contextlib.AbstractContextManager.register(Amount)
copyreg.pickle(Locked, locked_reduced)
copyreg.pickle(LockedToo, lambda one: (LockedToo, (one.x,)))
check(
    "registered sequence", lambda one: isinstance(one, collections.abc.Sequence), Row(), want=True
)
check("other abstract class", lambda one: isinstance(one, collections.abc.Set), Row(), want=False)
check("registered number", lambda: isinstance(Amount(), numbers.Number), want=True)
check("registered path", lambda: isinstance(Located(), (os.PathLike, bytes)), want=True)
check("registered stream", lambda: isinstance(Located(), io.IOBase), want=True)
check(
    "registered context", lambda: issubclass(Amount, contextlib.AbstractContextManager), want=True
)
travels("reducer of copyreg", Locked(3), lambda given: given.x == 3 and given.lock is not None)
travels("lambda of copyreg", LockedToo(4), lambda given: given.x == 4)
check("copy by copyreg", lambda one: copy.copy(one).x, Locked(5), want=5)
check("pickle by copyreg", lambda one: pickle.loads(pickle.dumps(one)).x, Locked(6), want=6)


# Packages that are part of a value: which submodules a job uses of them is not written anywhere.
class Holder:
    package = xml


def held():
    holder = Holder()
    holder.own = xml
    return holder


packages = {"xml": xml}
parsed = "a"
check("package", lambda given: given.etree.ElementTree.XML("<a/>").tag, xml, want=parsed, **always)
check(
    "package in a list", lambda given: given[0].dom.minidom.__name__, [xml], want="xml.dom.minidom"
)
check(
    "package in a dictionary",
    lambda: packages["xml"].etree.ElementTree.XML("<a/>").tag,
    want=parsed,
    **always,
)
check(
    "package of an object", lambda one: one.own.etree.ElementTree.__name__[:3], held(), want="xml"
)
check(
    "package of a class",
    lambda: Holder.package.etree.ElementTree.XML("<a/>").tag,
    want=parsed,
    **always,
)
check(
    "package of a partial",
    functools.partial(lambda given: given.dom.minidom.__name__[:3], xml),
    want="xml",
    **always,
)
check("own package", lambda given: given.corpus.shapes.Registry.kinds, tests, want=())


# What the program puts into the classes and tables of modules.
class Money:
    def __init__(self, amount):
        self.amount = amount


plain_default = json.JSONEncoder.default


def default(self, value):
    return {"amount": value.amount} if isinstance(value, Money) else plain_default(self, value)


def shout(self):
    return SHOUT


SHOUT = "!"
json.JSONEncoder.default = default
json.JSONDecoder.shout = shout
json.JSONDecoder.quiet = property(lambda self: SHOUT * 2)
json.JSONDecoder.limit = staticmethod(lambda: len(SHOUT))
shapes.Registry.named = classmethod(lambda cls: cls.__name__)
shapes.area_of_text = lambda text: len(text)
shapes.TABLE["money"] = Money
shutil.register_archive_format("own", lambda base, root, **_: f"{base}.own")
sqlite3.register_adapter(Money, lambda money: money.amount)
copyreg.pickle(queue.SimpleQueue, lambda given: (queue.SimpleQueue, ()))


def stored():
    return sqlite3.connect(":memory:").execute("select ?", (Money(4),)).fetchone()[0]


check("method put into a class", json.dumps, Money(3), want='{"amount": 3}', **always)
check("class of a module", lambda: json.JSONEncoder().encode(Money(1)), want='{"amount": 1}')
check("new method of a class", lambda: json.JSONDecoder().shout(), want="!", **always)
check("property put into a class", lambda: json.JSONDecoder().quiet, want="!!", **always)
check("static method put into a class", lambda given: given.limit(), json.JSONDecoder, want=1)
check("class method put into a class", lambda: shapes.Registry.named(), want="Registry")
check("function put into a module", lambda: shapes.area_of_text("ab"), want=2, **always)
check("entry of a table", lambda: shapes.TABLE["money"](5).amount, want=5, **always)
check("format of archives", lambda: shutil.make_archive("/x", "own", "/"), want="/x.own", **always)
check("adapter of sqlite", stored, want=4, **always)
travels("reducer of a module's class", [queue.SimpleQueue()], lambda given: given[0].empty())
that("patches stay at home", json.dumps(Money(3)) == '{"amount": 3}')
that("a table stays at home", shapes.TABLE == {"money": Money})


def left():
    return hasattr(json.JSONDecoder, "shout"), sqlite3.adapters.get(
        (Money, sqlite3.PrepareProtocol)
    )


del json.JSONDecoder.shout
ONE_MORE_NAME = 1
that("a patch ends with its job", cloud.result(cloud.call(left))[0] is False)


def swapped(text, errors="strict"):
    return text.swapcase().encode(), len(text)


def swapped_back(data, errors="strict"):
    return bytes(data).decode().swapcase(), len(data)


def search(name):
    if name == "swapped":
        return codecs.CodecInfo(swapped, swapped_back, name=name)
    return None


def ends_early(error):
    return "...", len(error.object)


def written():
    with open("text", "w", encoding="ascii", errors="ends_early") as file:
        file.write("aé?")
    return pathlib.Path("text").read_text()


codecs.register(search)
codecs.register_error("ends_early", ends_early)
check("codec, to encode", lambda: "aB".encode("swapped"), want=b"Ab", **always)
check("codec, to decode", lambda data: data.decode("swapped"), b"Ab", want="aB", **always)
check("codec of a file", lambda: str(io.BytesIO(b"aB").read(), "swapped"), want="Ab")
check("codec in a job of a job", lambda: cloud.result(cloud.call(lambda: "a".encode("swapped"))),
      want=b"A")  # fmt: skip
check("handler of errors", lambda: "aé?".encode("ascii", "ends_early"), want=b"a...", **always)
check("handler of errors of a file", written, want="a...")
codecs.unregister(search)
check("codec that is unregistered", lambda: "ab".encode("swapped"),
      holds=lambda e: "unknown encoding: swapped" in str(e))  # fmt: skip
try:
    import pandas as pd
except ImportError:
    pass
else:

    @pd.api.extensions.register_dataframe_accessor("own")
    class Own:
        def __init__(self, frame):
            self.frame = frame

        def mean(self):
            return float(self.frame["x"].mean())

    @pd.api.extensions.register_series_accessor("own")
    class OwnOfSeries:
        def __init__(self, series):
            self.series = series

        def doubled(self):
            return (self.series * 2).tolist()

    frame = pd.DataFrame({"x": [1.0, 3.0]})
    check("accessor of an argument", lambda given: given.own.mean(), frame, want=2.0, **always)
    check("accessor of a global", lambda: frame.own.mean(), want=2.0, **always)
    check("accessor of a new frame", lambda: pd.DataFrame({"x": [4.0]}).own.mean(), want=4.0)
    check("accessor of a column", lambda given: given.x.own.doubled(), frame, want=[2.0, 6.0])
    check("accessor of a result", lambda: frame, holds=lambda given: given.own.mean() == 2.0)

# What a module collects of others, which register with it when they are imported, and of the program
check("plugin of another module", shapes.plugged, "tripled", 2, want=6, **always)
check("hooks of another module", shapes.hooked, 2, want=[3], **always)
check("classes of another module", shapes.known, want=["Shaped"], **always)


@shapes.plugin
def doubled(x):
    return 2 * x


@shapes.hook
def lowered(x):
    return x - 1


class Own(shapes.Plugin):
    pass


check("plugin", shapes.plugged, "doubled", 2, want=4, **always)
check("plugin by its module", lambda name: shapes.plugged(name, 3), "doubled", want=6, **always)
check("hooks", shapes.hooked, 2, want=[3, 1], **always)
check("hooks in a slot", shapes.hooked, 2, want=[3, 1])
check("classes", shapes.known, want=["Shaped", "Own"], **always)
check("one of the classes", lambda: shapes.Plugin.known["Own"] is Own, want=True)
finish()
