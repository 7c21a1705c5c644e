"""What a program registers with modules, and what it takes from them by name."""

import collections.abc
import contextlib
import copy
import copyreg
import functools
import io
import numbers
import os
import pickle
import threading
import xml.dom.minidom
import xml.etree.ElementTree

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
finish()
