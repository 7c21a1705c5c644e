"""Globals that a function uses by a text, or through the module `__main__`."""

import math
import sys
import threading
import timeit
import unittest.mock

from tests.corpus.script import check, finish

always = {"_kill_process": True}
LIMIT = 1
LOCK = threading.Lock()


def tenfold(x=3):
    return x * 10


def through():
    return tenfold(2)


def imports_from_main():
    from __main__ import LIMIT as limit, tenfold as function

    return function(), limit


def imports_main():
    import __main__

    return __main__.tenfold(), __main__.LIMIT


def executes():
    scope = {}
    exec("result = tenfold(4) + LIMIT + math.floor(2.5)", globals(), scope)
    return scope["result"]


def measures():
    setup = "from __main__ import tenfold, LIMIT"
    return timeit.timeit("tenfold(LIMIT)", setup=setup, number=1) > 0


def patches():
    with unittest.mock.patch("__main__.tenfold", lambda: "patched"):
        import __main__

        return __main__.tenfold()


CASES = {
    "eval": lambda: eval("[through() for _ in 'a'] + [LIMIT]"),
    "exec": executes,
    "a lambda in eval": lambda: eval("(lambda: tenfold(LIMIT))()"),
    "globals": lambda: globals()["tenfold"](),
    "globals, get": lambda: globals().get("LIMIT"),
    "globals in a format": lambda: "{LIMIT} {x}".format(x=1, **globals()),
    "globals in a template": lambda: "%(LIMIT)s" % globals(),
    "a name that the program lacks": lambda: "MODEL" in globals(),
    "from __main__": imports_from_main,
    "import __main__": imports_main,
    "sys.modules": lambda: sys.modules["__main__"].tenfold(),
    "getattr of the own module": lambda: getattr(sys.modules[__name__], "tenfold")(),
    "timeit": lambda: timeit.timeit("tenfold(LIMIT)", number=1, globals=globals()) > 0,
    "timeit with a setup": measures,
    "mock.patch": patches,
    "what cannot travel is left out": lambda: eval("'LOCK' and math.floor(1.5)"),
}
for name, case in CASES.items():
    check(name, case, want=case())
    check(f"{name}, in a new process", case, want=case(), **always)

try:
    import pandas as pd
except ImportError:
    pass
else:
    table = pd.DataFrame({"a": [1, 2, 3]})
    check("query", lambda given: len(given.query("a > @LIMIT")), table, want=2)
    check(
        "query in a loop",
        lambda given: [len(t.query("a > @LIMIT")) for t in given],
        [table],
        want=[2],
    )
    check("eval of a table", lambda: table.eval("@tenfold(a)").tolist(), want=[10, 20, 30])
finish()
