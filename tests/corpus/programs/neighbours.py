"""Neighbours of what users of other libraries have reported: annotations, errors, source lines, class bodies."""

from __future__ import annotations
import abc, argparse, array, asyncio, bisect, collections, concurrent.futures, contextlib, contextvars, copyreg, ctypes, dataclasses, datetime, decimal, enum, faulthandler, fractions, functools, gc, inspect, io, itertools, json, linecache, locale, logging, math, mimetypes, operator, os, pathlib, pickle, queue, random, re, resource, shutil, signal, socket, sqlite3, string, subprocess, sys, tempfile, textwrap, threading, time, traceback, types, typing, uuid, warnings, weakref
import numpy as np
import cloud
from cloud import CloudException
from tests.corpus.script import check, fails, finish, refused, that, travels

always = {"_kill_process": True}

# 9
if typing.TYPE_CHECKING:
    from decimal import Decimal as Money


@dataclasses.dataclass
class Node:
    kids: list[Node]
    price: fractions.Fraction | None = None
    when: "typing.Optional[datetime.datetime]" = None


def annotated(x: Node, y: "collections.OrderedDict[str, Other]" = None) -> typing.Iterator[Other]:
    return typing.get_type_hints(annotated)["x"].__name__


class Other:
    pass


check("9: function", annotated, Node([]), want="Node")
check("9: class", lambda: sorted(typing.get_type_hints(Node)), want=["kids", "price", "when"])


class NTup(typing.NamedTuple):
    a: Other
    b: Node


check("9: NamedTuple", lambda: typing.get_type_hints(NTup)["b"] is Node, want=True)


class TDict(typing.TypedDict):
    a: NTup


check("9: TypedDict", lambda: typing.get_type_hints(TDict)["a"] is NTup, want=True)


class Meth:
    def m(self, x: Other) -> Meth:
        return self

    @property
    def p(self) -> Node: ...


check(
    "9: method",
    lambda: (
        typing.get_type_hints(Meth.m)["return"] is Meth,
        typing.get_type_hints(Meth.p.fget)["return"] is Node,
    ),
    want=(True, True),
)
check(
    "9: eval_str",
    lambda: inspect.signature(Meth.m, eval_str=True).return_annotation is Meth,
    want=True,
)
import pydantic


class PN(pydantic.BaseModel):
    kids: list[PN] = []
    other: Kind | None = None


class Kind(enum.StrEnum):
    A = "a"


PN.model_rebuild()
check("9: pydantic", lambda: PN(kids=[{"other": "a"}]).kids[0].other is Kind.A, want=True)


# 10
def deep(n):
    if not n:
        raise ValueError("deep")
    deep(n - 1)


def cause(f, *a):
    job = cloud.call(f, *a)
    try:
        cloud.result(job, timeout=100)
    except CloudException as e:
        return e.__cause__


that("10: 400 frames", isinstance(cause(deep, 400), ValueError))
that("10: 900 frames", isinstance(cause(deep, 900), ValueError))


def endless():
    return endless()


that("10: RecursionError", isinstance(cause(endless), RecursionError))


def called():
    subprocess.run(
        [sys.executable, "-c", "import sys; print('x' * 70000); sys.exit(3)"],
        check=True,
        capture_output=True,
    )


c = cause(called)
that("10: CalledProcessError", isinstance(c, subprocess.CalledProcessError) and c.returncode == 3)


def chain():
    try:
        1 / 0
    except ZeroDivisionError as e:
        raise KeyError("k") from e


c = cause(chain)
that("10: chain", isinstance(c, KeyError) and isinstance(c.__cause__, ZeroDivisionError))


def group():
    raise ExceptionGroup("many", [ValueError("x" * 50000) for _ in range(50)])


that("10: group", isinstance(cause(group), ExceptionGroup))


class Unp(Exception):
    def __init__(self):
        super().__init__("lock")
        self.lock = threading.Lock()


def unp():
    raise Unp


c = cause(unp)
that(f"10: unpicklable {c!r}", c is None or "lock" in str(c))


class Req(Exception):
    def __init__(self, code, *, response):
        super().__init__(code)
        self.response = response


def req():
    raise Req(404, response={"a": 1})


c = cause(req)
that("10: keyword", isinstance(c, Req) and c.response == {"a": 1})


def sysexit():
    sys.exit("stop now")


try:
    cloud.result(cloud.call(sysexit), timeout=60)
    that("10: exit", False)
except CloudException as e:
    that(f"10: exit {str(e)[-60:]}", "stop now" in str(e) or "SystemExit" in str(e))


def uni():
    raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")


that("10: unicode", isinstance(cause(uni), UnicodeDecodeError))


def jsonerr():
    json.loads("{")


that("10: json", isinstance(cause(jsonerr), json.JSONDecodeError))


# 11
def warn():
    with warnings.catch_warnings(record=True) as w:
        warnings.simplefilter("always")
        warnings.warn("w")
    return os.path.basename(w[0].filename), w[0].lineno


wn, wl = warn()
check("11: warning", warn, want=(wn, wl))


def tb():
    try:
        deep(2)
    except ValueError:
        return traceback.format_exc()


home = tb()
check("11: traceback", tb, want=home)
check("11: getsource", lambda: inspect.getsource(tb), want=inspect.getsource(tb))
HOME_SRC = (lambda: inspect.getsource(Meth) if sys.argv[0].endswith("neighbours.py") else "x")()
check(
    "11: getsource class",
    lambda: inspect.getsource(Meth) if HOME_SRC != "x" else "x",
    want=HOME_SRC,
)
check(
    "11: linecache",
    lambda: linecache.getline(tb.__code__.co_filename, tb.__code__.co_firstlineno),
    want=linecache.getline(tb.__code__.co_filename, tb.__code__.co_firstlineno),
)


def st():
    return traceback.extract_stack()[-1].line


check("11: stack line", st, want=st())


def logged():
    r = []

    class H(logging.Handler):
        def emit(s, rec):
            r.append((rec.funcName, rec.lineno, rec.filename))

    l = logging.getLogger("neighbour")
    l.addHandler(H())
    l.warning("x")
    return r


check("11: log record", logged, want=logged())


# 14, 17
class Base:
    v = 1
    w = []


class Same(Base):
    v = 1
    w = Base.w


travels("14: same value", Same(), lambda g: "v" in vars(type(g)) and "w" in vars(type(g)))


class Del(Base):
    __hash__ = None
    __doc__ = None


travels("14: None", Del(), lambda g: "__hash__" in vars(type(g)))


class ES(str, enum.Enum):
    A = "a"

    def __str__(self):
        return "A!"

    __repr__ = __str__


travels("14: enum", ES.A, lambda g: (str(g), repr(g)) == ("A!", "A!"))


class Meta(type):
    def __new__(m, n, b, d, **k):
        d["k"] = k
        return super().__new__(m, n, b, d)

    def __init__(c, n, b, d, **k):
        super().__init__(n, b, d)


class WithMeta(metaclass=Meta, flag=3):
    pass


class WithMeta2(WithMeta):
    pass


travels(
    "14: metaclass keywords", WithMeta(), lambda g: (type(g).k, WithMeta2.k) == ({"flag": 3}, {})
)


def body():
    class A:
        x = math.pi
        y = [math.floor(i) for i in (1.5,)]

        class B:
            z = math.e

            def f(self):
                return math.tau

    return A.x, A.y, A.B.z, A.B().f()


check("17: class body", body, want=body(), **always)


class S:
    __slots__ = ("a", "b")


class S2(S):
    __slots__ = ("c",)


s = S2()
s.a = 1
s.c = 3
travels(
    "17: slots",
    s,
    lambda g: (g.a, g.c, hasattr(g, "b"), hasattr(g, "__dict__")) == (1, 3, False, False),
)


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double * 2)]


travels("17: ctypes", Point(3, (1.0, 2.0)), lambda g: (g.x, list(g.y)) == (3, [1.0, 2.0]))
n = []
for _ in range(500):
    n = [n]
travels("17: nested", n, lambda g: isinstance(g[0][0], list))
d = {}
for _ in range(400):
    d = {"k": d}
travels("17: nested dict", d, lambda g: "k" in g)


class LinkedList:
    def __init__(self, v, n):
        self.v = v
        self.next = n


ll = None
for i in range(300):
    ll = LinkedList(i, ll)


def walk(g):
    k = 0
    while g:
        g = g.next
        k += 1
    return k == 300


travels("17: linked list", ll, walk)
mod = types.ModuleType("made_by_script")
exec("X = 1\ndef f(): return X\nclass C: pass", mod.__dict__)
sys.modules["made_by_script"] = mod


def use_mod():
    import made_by_script
    from made_by_script import f

    made_by_script.X += 1
    return f()


check("17: dynamic module", use_mod, want=2)
travels("17: of dynamic module", mod.C(), lambda g: type(g).__module__ == "made_by_script")
fr = np.frompyfunc(lambda a: a * 2, 1, 1)
check("17: frompyfunc", lambda: fr(np.array([1, 2])).tolist(), want=[2, 4])
refused("17: Popen", lambda p: p, subprocess.Popen(["true"]), message="Popen")
refused("17: Queue", lambda p: p, queue.Queue(), message=r"queue\.Queue")
refused("17: Thread", lambda p: p, threading.Thread(), message="Thread")
refused("17: socket", lambda p: p, socket.socket(), message="socket")
refused("17: sqlite3", lambda p: p, sqlite3.connect(":memory:"), message="Connection")
refused("17: generator", lambda p: p, (i for i in "a"), message="generator")


def frame():
    return sys._getframe()


refused("17: frame", lambda p: p, frame(), message="frame")
lock = threading.Lock()


def uses_lock():
    with lock:
        return 1


refused("17: lock", uses_lock, message="lock")

# 18
from os import environ

os.environ["SECRET_TOKEN"] = "s3cr3t"
check("18: environ", lambda: environ.get("SECRET_TOKEN"), want=None)
check("18: environ arg", lambda e: e is os.environ, os.environ, want=True)
check("18: environ default", lambda e=os.environ: e is os.environ, want=True)


class Conf:
    env = os.environ
    get = os.environ.get


check(
    "18: environ class",
    lambda: (Conf.env is os.environ, Conf.get("SECRET_TOKEN")),
    want=(True, None),
)
getenv = os.environ.get
check("18: bound get", lambda: getenv("SECRET_TOKEN"), want=None)
ap = argparse.ArgumentParser()
ap.add_argument("--n", type=int, default=argparse.SUPPRESS)
g = ap.add_mutually_exclusive_group()
g.add_argument("-a", action="store_true")
g.add_argument("-b", action="store_const", const=3)
check(
    "18: argparse",
    lambda: vars(ap.parse_args(["--n", "3", "-a"])),
    want={"n": 3, "a": True, "b": None},
)
check("18: argparse none", lambda p: vars(p.parse_args([])), ap, want={"a": False, "b": None})
travels("18: memoryview", memoryview(b"ab"), lambda g: type(g) is memoryview and g.readonly)
travels(
    "18: memoryview cast",
    memoryview(array.array("i", [1, 2])),
    lambda g: g.tolist() == [1, 2] and g.format == "i",
)


class Plug:
    kids = []

    def __init_subclass__(cls, **k):
        super().__init_subclass__(**k)
        Plug.kids.append(cls.__name__)


class PA(Plug):
    pass


class PB(PA):
    pass


check("18: init_subclass", lambda: (PB.__name__, Plug.kids)[1], want=["PA", "PB"])
check("18: init_subclass arg", lambda k: Plug.kids, PB, want=["PA", "PB"])
f = open(tempfile.NamedTemporaryFile(delete=False, mode="wb").name, "rb")
travels("18: binary file", f, lambda g: g.read() == b"")

# 19
check("19: cores", lambda: 1, _cores=np.int64(1), want=1)
check("19: priority", lambda: 1, _priority=np.int32(3), want=1)
check("19: runtime", lambda: 1, _max_runtime=np.uint8(30), want=1)
check("19: seed", lambda: 1, _seed=np.int16(3), want=1)
that("19: timeout", cloud.result(cloud.call(lambda: 1), timeout=np.float32(60)) == 1)
that("19: jid", cloud.result(np.int64(int(cloud.call(lambda: 4)))) == 4)
that("19: jids", cloud.result(np.array([int(cloud.call(lambda: 4))])) == [4])
that("19: map of array", cloud.result(cloud.map(lambda x: int(x), np.arange(3))) == [0, 1, 2])


# 15, 16
async def co(x):
    await asyncio.sleep(0)
    return x


check("15: async", co, 3, want=3)


async def agen():
    for i in range(2):
        yield i


check("15: async generator", agen, want=[0, 1])


async def fan():
    return await asyncio.gather(co(1), co(2))


check("15: gather", fan, want=[1, 2])
check("15: lambda of coroutine", lambda: co(5), want=5)
check("15: partial of coroutine", functools.partial(co, 6), want=6)


class AC:
    async def __call__(self):
        return 7

    async def m(self):
        return 8


check("15: async __call__", AC(), want=7)
check("15: async method", AC().m, want=8)
try:
    cloud.map(lambda a, b: a, itertools.count(), itertools.repeat(1))
    that("15: endless", False)
except (CloudException, TypeError, ValueError) as e:
    that(f"15: endless {e}", "endless" in str(e) or "never" in str(e) or "keyword" in str(e))
BIG = os.urandom(20_000_000)


def big():
    return len(BIG)


refused("15: too large", big, message="BIG")


class Exits:
    def __reduce__(self):
        return sys.exit, (3,)


try:
    r = cloud.result(cloud.call(lambda: Exits()), timeout=60)
    that("16: result", False)
except CloudException as e:
    that(f"16: result", "SystemExit" in str(e) or "exit" in str(e))
fails("16: argument", lambda x: x, Exits(), message="exit|Exit")


class Exits2:
    def __setstate__(self, s):
        raise SystemExit(4)

    def __getstate__(self):
        return {"a": 1}


fails("16: setstate", lambda x: x, Exits2(), message="exit|Exit")


def interrupt():
    raise KeyboardInterrupt


class Interrupts:
    # Not by `exec` of a text: Python then ends by a signal, even if the exception was caught.
    def __reduce__(self):
        return interrupt, ()


try:
    r = cloud.result(cloud.call(lambda: Interrupts()), timeout=60)
    that("16: interrupt", False)
except CloudException as e:
    that("16: interrupt", "KeyboardInterrupt" in str(e))
finish()
