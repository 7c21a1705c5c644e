"""Generators of a module travel by name: each job draws numbers of its own."""

import functools
import random
import secrets
from random import choice, randint, random as draw

import cloud

from tests.corpus.script import check, finish, that

generator = random.Random(5)
shared = random._inst


class Dice:
    roll = random.randint
    source = random._inst

    def __init__(self):
        self.draw = random.random

    def throw(self):
        return self.draw() + Dice.roll(1, 10**9) + Dice.source.random()


def with_default(_, number=random.random, *, whole=randint):
    return number() + whole(1, 10**9)


def maker(number):
    return lambda _: number()


def differ(name, function, values=range(4)):
    numbers = cloud.result(cloud.map(function, values, _kill_process=True))
    that(name, len(set(numbers)) == len(numbers))


differ("random", lambda _: draw())
differ("randint", lambda _: randint(1, 10**12))
differ("choice", lambda _: choice(range(10**12)))
differ("closure", maker(random.random))
differ("default arguments", with_default)
differ("partial", functools.partial(random.uniform, 1), range(2, 6))
differ("method itself", random.randrange, [10**12, 10**12 + 1, 10**12 + 2])
differ("arguments", lambda number: number(), [random.random] * 4)
differ("in a list", lambda each: each["number"](), [{"number": random.random}] * 4)
differ("attribute of an instance", lambda dice: dice.throw(), [Dice()] * 4)
differ("the generator", lambda each: each.random(), [random._inst] * 4)
differ("SystemRandom", lambda each: each.random(), [random.SystemRandom()] * 4)
differ("secrets", lambda _: secrets.choice(range(10**12)))
from secrets import randbelow, token_hex

differ("functions of secrets", lambda _: (randbelow(10**12), token_hex(8)))
differ("nested", lambda _: [(lambda: draw())() for _ in range(2)][1])
check("a seeded one of the program's", lambda: generator.random(), want=random.Random(5).random())
check("result", lambda: [random.random], holds=lambda it: it[0].__self__ is random._inst)
check("identity", lambda given: given is random._inst, random._inst, want=True)

try:
    import numpy as np
    from numpy.random import default_rng, permutation, rand
except ImportError:
    pass
else:
    seeded = default_rng(3)
    differ("numpy's rand", lambda _: float(rand()))
    differ("numpy's generator", lambda state: float(state.rand()), [np.random.mtrand._rand] * 4)
    differ("numpy's permutation", lambda _: tuple(map(int, permutation(50))))
    differ("numpy's method", np.random.uniform, [1.0, 2.0, 3.0])
    differ("numpy's partial", functools.partial(np.random.normal, 0.0), [1.0, 1.5, 2.0])
    check(
        "a seeded one of numpy", lambda: float(seeded.random()), want=float(default_rng(3).random())
    )
finish()
