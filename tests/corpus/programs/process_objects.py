"""Objects that refer to a running process, and classes that pickle alone cannot make again."""

import collections, contextvars, decimal, fractions, logging, logging.handlers, threading, typing, weakref
import cloud
from tests.corpus.script import check, finish, refused, that, travels

# context variables: with their values
mode = contextvars.ContextVar("mode", default=3)
unset = contextvars.ContextVar("unset")
mode.set(9)
check("value of a context variable", lambda: (mode.get(), unset.get(7)), want=(9, 7))
check("context variable as an argument", lambda v: (v is mode, v.get()), mode, want=(True, 9))
check("set in a job", lambda: (mode.set(4).old_value, mode.get()), want=(9, 4))
check("copy of the context", lambda: contextvars.copy_context()[mode], want=9)


def in_a_thread():
    context, found = contextvars.copy_context(), []
    thread = threading.Thread(target=lambda: found.append(context.run(mode.get)))
    thread.start()
    thread.join()
    return found


check("context in a thread", in_a_thread, want=[9])
that("each job has the value", cloud.result(cloud.map(lambda _: mode.get(), range(6))) == [9] * 6)
mode.set(10)
check("the value of now", lambda: mode.get(), want=10)
locked = contextvars.ContextVar("locked", default=None)
locked.set(threading.Lock())
check("a value that cannot travel", lambda: locked.get(), want=None)

# data of a thread
local = threading.local()
local.x = 3
check("threading.local", lambda: (local.x, setattr(local, "y", 2), local.y), want=(3, None, 2))


def connection():
    if not hasattr(local, "connection"):
        local.connection = "opened"
    return local.connection


check("a connection of each thread", connection, want="opened")


class Local(threading.local):
    def __init__(self, start=1):
        self.n = start


counter = Local(5)
counter.n += 1


def of_threads():
    found = [counter.n]
    thread = threading.Thread(target=lambda: found.append(counter.n))
    thread.start()
    thread.join()
    return found


check("a class derived from threading.local", of_threads, want=[6, 5])
travels("threading.local in an object", {"local": local}, lambda g: g["local"].x == 3)
with_lock = threading.local()
with_lock.lock = threading.Lock()
check("threading.local without what cannot travel", lambda: hasattr(with_lock, "lock"), want=False)


# weak references
class Node:
    def __init__(self, parent=None):
        self.children = []
        self.parent = parent and weakref.ref(parent)
        if parent:
            parent.children.append(self)

    def root(self):
        return self.parent().root() if self.parent else self


root = Node()
leaf = Node(Node(root))
travels("tree", root, lambda g: g.children[0].children[0].root() is g)
check("leaf of a tree", lambda g: len(g.root().children), leaf, want=1)


class Owner:
    def __init__(self):
        self.me = weakref.proxy(self)
        self.hook = weakref.WeakMethod(self.name)

    def name(self):
        return "owner"


travels("proxy and method", Owner(), lambda g: g.me.name() == g.hook()() == "owner")
target = Node()
check("with its target", lambda a, b: a() is b, weakref.ref(target), target, want=True)
check("alone", lambda a: type(a()).__name__, weakref.ref(target), want="Node")
check("dead", lambda a: a(), weakref.ref(Node()), want=None)

# handlers and filters of logging


class Collects(logging.Handler):
    def __init__(self, prefix):
        super().__init__(logging.INFO)
        self.prefix, self.found = prefix, []

    def emit(self, record):
        self.found.append(self.prefix + self.format(record))


def logs(handler):
    log = logging.getLogger("of_the_corpus")
    log.addHandler(handler)
    log.warning("a %s", 1)
    log.removeHandler(handler)
    return getattr(handler, "found", None)


handler = Collects("> ")
handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
check("handler", logs, handler, want=["> WARNING a 1"])
check("handler of a function", lambda: logs(handler), want=["> WARNING a 1"])
check("handler of a file", logs, logging.FileHandler("/dev/null", delay=True), want=None)
check("handler of a stream", logs, logging.StreamHandler(), want=None)


# classes with constructors of their own over built-in ones
class Point(typing.NamedTuple):
    x: int
    y: int = 2


class OnLine(Point):
    def __new__(cls, x):
        return super().__new__(cls, x, 5)


class Counts(collections.defaultdict):
    def __init__(self, *args):
        super().__init__(lambda: 7, *args)


class Ordered(collections.OrderedDict):
    def __init__(self, name, items):
        super().__init__(items)
        self.name = name


class Bag(set):
    def __init__(self, name, *items):
        super().__init__(items)
        self.name = name


class Ring(collections.deque):
    def __init__(self, size):
        super().__init__(range(9), maxlen=size)


class Words(collections.Counter):
    def __init__(self, text, *, lower):
        super().__init__(text.split())
        self.lower = lower


class Price(decimal.Decimal):
    def __new__(cls, amount, currency):
        made = super().__new__(cls, amount)
        made.currency = currency
        return made


class Ratio(fractions.Fraction):
    def __new__(cls, a, b, *, unit):
        return super().__new__(cls, a, b)


class Fixed(frozenset):
    def __new__(cls, name, items):
        made = super().__new__(cls, items)
        made.name = name
        return made


travels("named tuple", OnLine(1), lambda g: (g.x, g.y, len(g)) == (1, 5, 2))
travels("defaultdict", Counts({"a": 1}), lambda g: (g["a"], g["z"]) == (1, 7))
travels("OrderedDict", Ordered("n", {"a": 1}), lambda g: (g.name, g["a"]) == ("n", 1))
travels("set", Bag("n", 1, 2), lambda g: (g.name, len(g)) == ("n", 2))
travels("deque", Ring(3), lambda g: (list(g), g.maxlen) == ([6, 7, 8], 3))
travels("Counter", Words("a b a", lower=True), lambda g: (g["a"], g.lower) == (2, True))
travels(
    "Decimal", Price("1.5", "EUR"), lambda g: (g + 1, g.currency) == (decimal.Decimal("2.5"), "EUR")
)
travels("Fraction", Ratio(1, 2, unit="m"), lambda g: g * 2 == 1 and type(g).__name__ == "Ratio")
travels("frozenset", Fixed("n", [1, 2]), lambda g: (g.name, len(g)) == ("n", 2))

# modules reached by a text
check(
    "getattr",
    lambda: getattr(logging, "handlers").QueueHandler.__name__,
    want="QueueHandler",
    _kill_process=True,
)

# what cannot travel is named
guard = threading.Lock()


def guarded():
    with guard:
        return 1


refused("lock", guarded, message=r"global 'guard' is a _thread\.lock")
refused(
    "lock of an object",
    lambda given: given,
    {"a": [guard]},
    message=r"args\[0\] -> item 'a' -> item 0",
)
refused("finalizer", lambda given: given, weakref.finalize(target, len, ""), message="finalize")

try:
    import pandas as pd
except ImportError:
    pass
else:

    @pd.api.extensions.register_extension_dtype
    class Kind(pd.api.extensions.ExtensionDtype):
        name = "kind_of_the_corpus"
        type = int

        @classmethod
        def construct_array_type(cls):
            return None

    check(
        "extension dtype",
        lambda: pd.api.types.pandas_dtype("kind_of_the_corpus").name,
        want="kind_of_the_corpus",
    )
finish()
