"""What a program registers with its modules, and what it takes from them by name."""

import functools

from tests.corpus import shapes
from tests.corpus.more_shapes import Triangle
from tests.corpus.script import check, finish, that
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
check("class that nobody registered", area, 1.5, want="no area of float", **always)
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
finish()
