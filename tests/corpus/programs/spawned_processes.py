"""Processes that a job spawns: by `spawn`, and by `forkserver`, the default from Python 3.14 on."""

import concurrent.futures
import dataclasses
import enum
import functools
import json
import multiprocessing
import os
import sys
import threading
import types
from multiprocessing.managers import BaseManager

from tests.corpus.script import check, fails, finish

made = types.ModuleType("made_by_the_program")
exec("def triple(x):\n    return x * 3", vars(made))
sys.modules[made.__name__] = made
WEIGHT = 2
counter = None
lock = None
json.JSONEncoder.shout = lambda self, value: f"{value}{WEIGHT}!"


class Color(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Point:
    x: int

    def moved(self, distance):
        return Point(self.x + distance)

    def all_moved(self, context):
        with context.Pool(1) as processes:
            return processes.map(self.moved, [1, 2])


class Failed(Exception):
    pass


class Putting(multiprocessing.get_context("spawn").Process):
    def __init__(self, queue):
        super().__init__()
        self.queue = queue

    def run(self):
        self.queue.put(double(5))


class Manager(BaseManager):
    pass


class Adder:
    def add(self, a, b):
        return a + b


Manager.register("Adder", Adder)


def double(x):
    return x * WEIGHT


def same(x):
    return x


def fail(x):
    raise Failed(x)


def put(queue, value):
    queue.put(value)


def leave(_):
    os._exit(3)


def begin(value):
    global counter
    counter = value


def count(x):
    with counter.get_lock():
        counter.value += x


def is_main():
    import __main__

    return __main__.double is double


def locked(x):
    with lock:
        return x


def shout(value):
    return json.JSONEncoder().shout(value)


def spawned_pool(method, function, values):
    with multiprocessing.get_context(method).Pool(2) as processes:
        return processes.map(function, values)


def own_error(method):
    try:
        spawned_pool(method, fail, [1])
    except Failed as error:
        return error.args


def executor(method, function, values):
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as processes:
        return list(processes.map(function, values))


def process(method):
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    one = context.Process(target=put, args=(queue, Point(7)))
    one.start()
    value = queue.get(timeout=60)
    one.join()
    return value


def initialized(method):
    context = multiprocessing.get_context(method)
    value = context.Value("i", 0)
    with context.Pool(2, begin, (value,)) as processes:
        processes.map(count, range(5))
    return value.value


def members(method):
    return spawned_pool(method, same, [Color.RED])[0] is Color.RED


def manager(method):
    with Manager(ctx=multiprocessing.get_context(method)) as server:
        return server.Adder().add(1, 2)


def main_program(method):
    with multiprocessing.get_context(method).Pool(1) as processes:
        return processes.apply(is_main)


def variable(method, value):
    if value:
        os.environ["CORPUS_VARIABLE"] = value
    with multiprocessing.get_context(method).Pool(1) as processes:
        return processes.apply(os.getenv, ("CORPUS_VARIABLE",))


def by_default(method):
    multiprocessing.set_start_method(method)
    with multiprocessing.Pool(1) as processes:
        return processes.map(double, [1])


def with_lock(method):
    global lock
    lock = threading.Lock()
    assert spawned_pool(method, double, [1]) == [2]
    return spawned_pool(method, locked, [1])


def derived_process():
    queue = multiprocessing.get_context("spawn").Queue()
    one = Putting(queue)
    one.start()
    value = queue.get(timeout=60)
    one.join()
    return value


def nested(x):
    return spawned_pool("spawn", double, [x])


for method in ("spawn", "forkserver"):
    check(f"{method}: Pool", spawned_pool, method, double, [1, 2], want=[2, 4])
    check(f"{method}: own class", spawned_pool, method, Point, [1], want=[Point(1)])
    check(f"{method}: own module", spawned_pool, method, made.triple, [1], want=[3])
    check(
        f"{method}: own method of a module's class", spawned_pool, method, shout, [1], want=["12!"]
    )
    check(f"{method}: own error", own_error, method, want=(1,))
    check(f"{method}: partial", spawned_pool, method, functools.partial(max, 3), [1], want=[3])
    check(f"{method}: executor", executor, method, double, [3, 4], want=[6, 8])
    check(f"{method}: Process", process, method, want=Point(7))
    check(f"{method}: initializer", initialized, method, want=10)
    check(f"{method}: member of an enumeration", members, method, want=True)
    check(f"{method}: manager", manager, method, want=3)
    check(f"{method}: __main__", main_program, method, want=True)
    check(f"{method}: as the default", by_default, method, want=[2])
    check(
        f"{method}: method of an argument",
        lambda point, method=method: point.all_moved(multiprocessing.get_context(method)),
        Point(1),
        want=[Point(2), Point(3)],
    )
    check(f"{method}: a variable of the job", variable, method, "mine", want="mine")
    check(f"{method}: no variable of another job", variable, method, "", want=None)
    fails(f"{method}: lambda", spawned_pool, method, lambda x: x, [1], message="(?i)pickle")
    fails(f"{method}: a worker that exits", executor, method, leave, [1], message="BrokenProcess")
    fails(
        f"{method}: what cannot come",
        with_lock,
        method,
        message="locked cannot be used in a process that was spawned by a job: .*lock",
    )
check("derived process", derived_process, want=10)
check("process of a process", executor, "spawn", nested, [4], want=[[8]])
finish()
