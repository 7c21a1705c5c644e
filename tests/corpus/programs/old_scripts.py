"""Patterns of scripts that were written for PiCloud, in Python 3."""

import csv
import functools
import io
import itertools
import json
import math
import operator
import os
import pickle
import random
import re
import string
import sys
import time
from collections import Counter, defaultdict

import cloud
import cloud.cloud
import cloud.cloudconfig
import cloud.pool_interface
import cloud.util
from cloud.serialization.cloudpickle import dumps

from tests.corpus.script import check, finish, that

k = 2
TABLE = {"a": 1}


def square(x):
    return x * x


def add(x, y=1):
    return x + y


def inside(count, seed):
    generator = random.Random(seed)
    return sum(math.hypot(generator.random(), generator.random()) <= 1 for _ in range(count))


class Model:
    """A model that is fitted in jobs."""

    def __init__(self, rate):
        self.rate = rate
        self.history = []

    def fit(self, rows):
        self.history.append(sum(rows) * self.rate)
        return self

    def score(self):
        return self.history[-1]

    def crossvalidate(self, parts):
        return sum(cloud.result(cloud.map(lambda part: Model(self.rate).fit(part).score(), parts)))


class Crawler:
    pattern = re.compile(r"href='(\w+)'")

    def __call__(self, page):
        return self.pattern.findall(page)


def make_power(exponent):
    def power(base):
        return base**exponent

    return power


def divide(x):
    return 10 // x


def words(text):
    counts = Counter(re.findall(r"\w+", text.lower()))
    return dict(counts)


def merge(parts):
    total = defaultdict(int)
    for part in parts:
        for word, count in part.items():
            total[word] += count
    return dict(total)


def reduce_jobs(jids):
    return sum(cloud.result(jids))


# Calls and maps
that("call and result", cloud.result(cloud.call(square, 3)) == 9)
that("map and result", cloud.result(cloud.map(square, range(5))) == [0, 1, 4, 9, 16])
that("map of two", cloud.result(cloud.map(add, [1, 2], [3, 4])) == [4, 6])
that("map of lambda and closure", cloud.result(cloud.map(lambda x: x * k, [1, 2])) == [2, 4])
that("map of a partial", cloud.result(cloud.map(functools.partial(add, y=5), [1])) == [6])
that("map of a bound method", cloud.result(cloud.map(Model(2).fit, [[1], [2]]))[1].score() == 4)
that("map of an instance", cloud.result(cloud.map(Crawler(), ["href='a'", ""])) == [["a"], []])
that("map of a factory's function", cloud.result(cloud.map(make_power(3), [2])) == [8])
that("map of a generator", cloud.result(cloud.map(square, (x for x in [1, 2]))) == [1, 4])
that("map of lines", cloud.result(cloud.map(str.strip, io.StringIO("a\nb\n"))) == ["a", "b"])
that("map of rows", cloud.result(cloud.map(len, csv.reader(["a,b", "c"]))) == [2, 1])
that(
    "map of a dictionary",
    sorted(cloud.result(cloud.map(str.upper, {"a": 1, "b": 2}))) == ["A", "B"],
)
that("map of operator", cloud.result(cloud.map(operator.mul, [2, 3], [4, 5])) == [8, 15])

# Monte Carlo, word count, grid search
shares = cloud.result(cloud.map(inside, [500] * 4, range(4)))
that("pi", 2.6 < 4 * sum(shares) / 2000 < 3.6)
pages = ["the cat", "the dog the end"]
that(
    "words",
    merge(cloud.result(cloud.map(words, pages))) == {"the": 3, "cat": 1, "dog": 1, "end": 1},
)
grid = list(itertools.product([1, 2], [10, 20]))
that("grid", cloud.result(cloud.map(lambda pair: pair[0] * pair[1], grid)) == [10, 20, 20, 40])
that("best of a grid", max(zip(cloud.result(cloud.map(operator.neg, [3, 1, 2])), "abc"))[1] == "b")

# Jobs in jobs and dependencies
that("a job that maps", cloud.result(cloud.call(Model(3).crossvalidate, [[1], [2]])) == 9)
first = cloud.map(square, [1, 2, 3])
that("depends_on", cloud.result(cloud.call(reduce_jobs, list(first), _depends_on=first)) == 14)
that(
    "a job that calls", cloud.result(cloud.call(lambda: cloud.result(cloud.call(square, 4)))) == 16
)

# Errors, status, waiting
bad = cloud.map(divide, [1, 0, 5])
cloud.join(bad, ignore_errors=True)
that("status", cloud.status(bad) == ["done", "error", "done"])
kept = [
    one
    for one in cloud.result(bad, ignore_errors=True)
    if not isinstance(one, cloud.CloudException)
]
that("errors among results", kept == [10, 2])
try:
    cloud.result(bad)
except cloud.CloudException as error:
    that("error", "ZeroDivisionError" in str(error) and error.jid == bad[1])
that("iresult", list(cloud.iresult(cloud.map(square, [3, 1]))) == [9, 1])
jid = cloud.call(time.sleep, 60)
cloud.kill(jid)
cloud.join(jid, ignore_errors=True)
that("kill", cloud.status(jid) == "killed")
jids_of_kill = [jid]
jid = cloud.call(lambda: print("to stdout") or sys.stderr.write("to stderr\n"), _label="mine")
cloud.join(jid)
that("output", "to stdout" in cloud.info(jid, "stdout")[jid]["stdout"])
that("delete", cloud.delete(jid) is None or True)

# As the original's help said
pairs = sorted(cloud.iresult_unordered(bad))
that("pairs without errors", pairs == [(bad[0], 10), (bad[2], 2)])
that("the most in parallel", [*cloud.iresult(first, num_in_parallel=0)] == [1, 4, 9])
one = cloud.call(square, 9)
more = cloud.map(square, [7, 8])
that("ranges and jids", cloud.result([first, one, more]) == [1, 4, 9, 81, 49, 64])
that("status of ranges and jids", cloud.status([first, one, bad])[-2:] == ["error", "done"])
slow = cloud.map(time.sleep, [60, 60])
try:
    cloud.join([one, *slow, *more], timeout=0.1)
except cloud.CloudTimeoutError as error:
    that("which jobs are left", [*error.jid] == [*slow])
cloud.kill(slow)
late = cloud.call(time.sleep, 60, _max_runtime=0.001)
cloud.join(late, ignore_errors=True)
that("too long", (cloud.status(late), cloud.info(late)[late]["status"]) == ("killed", "killed"))
that("why", [cloud.info(each, "cause")[each]["cause"] for each in (late, jids_of_kill[0])]
     == ["time limit", "killed"])  # fmt: skip
used = cloud.info(one, ["cputime.user", "cputime.system", "memory.max_usage"])[one]
that("use of a short job", used["memory.max_usage"] > 0 and used["cputime.system"] >= 0
     and used["cputime.user"] >= 0)  # fmt: skip

# What they import and set
pickled = dumps(lambda number: number + k)
check("a pickle of theirs", lambda text: pickle.loads(text)(1), pickled, want=3)
that("exceptions", cloud.cloud.CloudException is cloud.CloudException)
that("a pool", cloud.pool_interface.map(square, [2, 3]) == [4, 9])
that("account", isinstance(cloud.account.list_keys("user", "password"), list))
cloud.set_dependency_whitelist(["json"])
check("a list of modules", lambda: json.dumps([1]), want="[1]")
cloud.config.mp_cache_size_limit = 5
cloud.config.commit()
that("a setting without effect", cloud.config.mp_cache_size_limit == 5)
known = cloud.connection_info()
cloud.setkey(os.environ["PICLOUD_API_KEY"], None, restart=True, immutable=True)
that("a key that is set again", cloud.connection_info() == known)

# What scripts send
check("keywords", lambda **given: sorted(given), a=1, b=2, want=["a", "b"])
check("a table", lambda: TABLE, want={"a": 1})
check("a text of the job's machine", lambda: os.path.basename(os.getcwd()) is not None, want=True)
check("environment of the job", lambda: "HOME" in os.environ or True, want=True)
check(
    "letters",
    lambda: "".join(random.Random(1).choice(string.ascii_letters) for _ in range(3)),
    holds=lambda it: len(it) == 3,
)
check("a function in a table", lambda table: table["f"](3), {"f": square}, want=9)
check(
    "recursion",
    lambda n: (lambda self: self(self, n))(lambda self, n: 1 if n < 2 else n * self(self, n - 1)),
    5,
    want=120,
)
check("running on the cloud", lambda: cloud.running_on_cloud(), want=True)
finish()
