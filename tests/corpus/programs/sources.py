"""What `inspect` finds in a job of the functions and classes of a script: the same as at home."""

import dataclasses
import enum
import functools
import inspect
import multiprocessing

from tests.corpus.script import check, finish


class Plain:
    """Some
    text"""

    x = 1


@dataclasses.dataclass(
    frozen=True,
)
class Data:
    x: int

    class Inner:
        y = 1

    def method(self):
        return 1


class Color(enum.Enum):
    RED = 1


def decorator(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)

    return wrapper


@decorator
def decorated(x):
    return x


def make_class():
    class Local:
        def method(self):
            return 1

    return Local


def make_function():
    def inner(x):
        return x

    return inner


if True:

    class Conditional:
        pass


async def coroutine():
    pass


Local = make_class()
inner = make_function()
OBJECTS = {
    "class": Plain,
    "dataclass": Data,
    "class in a class": Data.Inner,
    "enumeration": Color,
    "decorated function": decorated,
    "class of a function": Local,
    "class of a condition": Conditional,
    "method": Data.method,
    "coroutine function": coroutine,
    "function of a function": inner,
}


def seen(value):
    """What `inspect` says of a value."""
    return (
        inspect.getsourcelines(value),
        inspect.getfile(value),
        inspect.getsourcefile(value),
        inspect.getmodule(value).__name__,
        inspect.getdoc(value),
    )


def all_seen():
    return [seen(value) for value in OBJECTS.values()]


def frame():
    here = inspect.currentframe()
    return inspect.getmodule(here).__name__, inspect.stack()[0].code_context


def file_of_main():
    import __main__

    return __main__.__file__


def in_spawned_process():
    with multiprocessing.get_context("spawn").Pool(1) as processes:
        return processes.apply(inspect.getsource, (Data,))


for name, value in OBJECTS.items():
    check(f"{name}, of the function", lambda value=value: seen(value), want=seen(value))
    check(f"{name}, as an argument", seen, value, want=seen(value))
check(
    "class of an argument",
    lambda it: inspect.getsource(type(it)),
    Data(1),
    want=inspect.getsource(Data),
)
check("all", all_seen, want=all_seen())
check("frame", frame, want=frame())
check("file of __main__", file_of_main, want=__file__)
check("spawned process", in_spawned_process, want=inspect.getsource(Data))
finish()
