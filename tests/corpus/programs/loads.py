"""Results of several kinds, classes that jobs make, and threads that load at once."""

import threading

import cloud

from tests.corpus.script import finish, that


# registry of the class updated at the client between maps from generator
class Order:
    made = 0
    log = []

    def __init__(self):
        type(self).made += 1


def seen(o):
    return type(o).made


jids = cloud.map(seen, (Order() for _ in range(4)))
that("map of generator counts", cloud.result(jids) == [1, 2, 3, 4])


# result with class defined in job twice
def mk():
    class In:
        n = 0

        def hi(self):
            return "hi"

    return In()


j = cloud.call(mk)
a = cloud.result(j)
type(a).n = 9
b = cloud.result(j)
that("class made in job is left alone", type(a) is type(b) and type(b).n == 9 and b.hi() == "hi")
# threads loading the same result at once
outs = []
ts = [threading.Thread(target=lambda: outs.append(type(cloud.result(j)))) for _ in range(8)]
for t in ts:
    t.start()
for t in ts:
    t.join()
that("threads", len(set(outs)) == 1 and len(outs) == 8)


# subclass of home class made in a job
class Base:
    reg = []


def sub():
    class Sub(Base):
        y = 2

    return Sub()


s = cloud.result(cloud.call(sub))
that("subclass made in job of home class", isinstance(s, Base) and s.y == 2)


# metaclass home
class M(type):
    pass


class K(metaclass=M):
    pass


def dyn():
    return M("Dyn", (K,), {"z": 1})


d = cloud.result(cloud.call(dyn))
that("class of home metaclass", isinstance(d, M) and issubclass(d, K) and d.z == 1)
# info
j2 = cloud.call(lambda o: o, Order())
cloud.join(j2)
Order.made = 77
inf = cloud.info(j2, ["args", "func_body"])
that("info args", Order.made == 77)


# error class with class attr
class Err(Exception):
    count = 0


def boom():
    Err.count += 1
    raise Err("x")


je = cloud.call(boom)
cloud.join(je, ignore_errors=True)
Err.count = 5
try:
    cloud.result(je)
except cloud.CloudException as e:
    that("err class", type(e.__cause__) is Err and Err.count == 5)
# iresult
Order.log = ["kept"]
that(
    "iresult",
    [type(x) for x in cloud.iresult(cloud.map(lambda _: Order(), range(2)))] == [Order] * 2
    and Order.log == ["kept"],
)
finish()
