"""Code in a job that pickles by name: it finds what travelled of the program in `__main__`."""

import concurrent.futures
import copy
import dataclasses
import functools
import multiprocessing
import pickle
import shelve
import tempfile

import cloud

from tests.corpus.script import check, finish, that


class Order:
    def __init__(self, x=1):
        self.x = x

    def __eq__(self, other):
        return type(self) is type(other) and self.x == other.x

    def __hash__(self):
        return self.x


@dataclasses.dataclass
class Point:
    x: int


class Failed(Exception):
    pass


def double(x):
    return x * 2


def fails(x):
    raise Failed(x)


@functools.lru_cache
def cached(x):
    return x * 2


@functools.cache
def factorial(x):
    return x * factorial(x - 1) if x else 1


@functools.singledispatch
def kind(_):
    return "other"


@kind.register
def _(_: int):
    return "int"


square = lambda x: x * x  # noqa: E731


def pool(function, values):
    with multiprocessing.get_context("fork").Pool(2) as processes:
        return processes.map(function, values)


def own_function():
    return pool(double, [1, 2])


def own_class():
    return [each.x for each in pool(Order, [1, 2])]


def own_error():
    try:
        pool(fails, [1])
    except Failed as error:
        return error.args


def executor():
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as processes:
        return list(processes.map(double, [3, 4]))


def on_disk():
    with tempfile.TemporaryDirectory() as directory:
        with shelve.open(f"{directory}/it") as shelf:
            shelf["a"] = Order(5)
        with shelve.open(f"{directory}/it") as shelf:
            return shelf["a"] == Order(5)


def queue():
    context = multiprocessing.get_context("fork")
    items = context.Queue()
    process = context.Process(target=lambda: items.put(Point(7)))
    process.start()
    item = items.get(timeout=30)
    process.join()
    return item


check("pickle", lambda: pickle.loads(pickle.dumps(Order(2))) == Order(2), want=True)
check("pickle of a function", lambda: pickle.loads(pickle.dumps(double)) is double, want=True)
check(
    "pickle of an argument",
    lambda given: pickle.loads(pickle.dumps(given)) == given,
    Point(1),
    want=True,
)
check(
    "pickle of a class that came as an argument",
    lambda given: pickle.loads(pickle.dumps(given)) is given,
    Order,
    want=True,
)
check(
    "pickle of a result of a class",
    lambda: pickle.loads(pickle.dumps([Point(1), Failed(2)]))[0],
    want=Point(1),
)
check("what the program pickled", pickle.loads, pickle.dumps(b"x"), want=b"x")
check(
    "what the program pickled of its own",
    lambda data: (Order, pickle.loads(data))[1],
    pickle.dumps(Order(9)),
    want=Order(9),
)
check("Pool of own functions", own_function, want=[2, 4])
check("Pool of an argument", pool, double, [5], want=[10])
check("Pool of own classes", own_class, want=[1, 2])
check("Pool and own errors", own_error, want=(1,))
check("ProcessPoolExecutor", executor, want=[6, 8])
check("Pool of a cached function", lambda: pool(cached, [1]), want=[2])
check("Pool of a cached function that calls itself", lambda: pool(factorial, [3]), want=[6])
check("Pool of a cached argument", pool, cached, [1], want=[2])
check("Pool of a dispatcher", lambda: pool(kind, [1, ""]), want=["int", "other"])
check("pickle of a cached one", lambda: pickle.loads(pickle.dumps(cached)) is cached, want=True)
check("a function is the argument", lambda given: given is double, double, want=True)
check("a cached one is the argument", lambda given: given is cached, cached, want=True)
check("a dispatcher is the argument", lambda given: given is kind, kind, want=True)
check("a lambda is the argument", lambda given: given is square, square, want=True)
check(
    "an argument fills the cache",
    lambda given: (given(3), cached.cache_info().currsize)[1],
    cached,
    want=1,
)
check("a table of functions", lambda given: {double: 1, cached: 2}[given], cached, want=2)
for each in (double, cached, factorial, kind):
    before = vars(each).copy()
    that(f"{each.__name__} comes home", cloud.result(cloud.call(lambda each=each: each)) is each)
    that(f"{each.__name__} is as before", vars(each) == before)
check("shelve", on_disk, want=True)
check("queue of processes", queue, want=Point(7))
check("deepcopy", lambda: copy.deepcopy(Order(3)) == Order(3), want=True)
finish()
