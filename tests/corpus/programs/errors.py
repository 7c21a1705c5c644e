"""Exceptions as arguments and results, and objects that fail where they are pickled or loaded."""

import builtins
import dataclasses
import functools
import math
import os
import queue
import signal
import subprocess
import sys
import threading
import urllib.error

import cloud

from tests.corpus.script import check, fails, finish, refused, travels


class Required(Exception):
    def __init__(self, code, reason):
        super().__init__(code)
        self.reason = reason


class Keyword(ValueError):
    def __init__(self, *, path):
        super().__init__(f"no {path}")
        self.path = path


class Own(OSError):
    def __init__(self, where, errno=5):
        super().__init__(errno, "broken", where)
        self.where = where


class WithState(KeyError):
    limit = 3

    def __init__(self):
        super().__init__("a")
        self.items = [1]


class Reduced(Exception):
    def __init__(self, one, two):
        self.one, self.two = one, two

    def __reduce__(self):
        return Reduced, (self.one, self.two)


class Slots(Exception):
    __slots__ = ("x",)

    def __init__(self, x, y):
        super().__init__()
        self.x = x + y


class New(Exception):
    def __new__(cls, x, *, y):
        made = super().__new__(cls, x)
        made.y = y
        return made

    def __init__(self, x, *, y):
        super().__init__(x)


class Group(ExceptionGroup):
    def derive(self, excs):
        return Group(self.message, excs)


class Exits:
    """Ends the program that unpickles it."""

    def __init__(self, how=sys.exit, *with_):
        self.how = how, with_

    def __reduce__(self):
        return self.how


def interrupt():
    raise KeyboardInterrupt


class Interrupts:
    """Raises where it is unpickled what Ctrl-C raises."""

    def __reduce__(self):
        return interrupt, ()


class ExitsHere:
    """Ends the program that pickles it."""

    def __reduce__(self):
        sys.exit(3)


class ExitError(Exception):
    def __reduce__(self):
        return sys.exit, (4,)


class Stops:
    def __getstate__(self):
        raise GeneratorExit


class FailsThere:
    def __setstate__(self, state):
        raise RuntimeError("cannot be set")

    def __getstate__(self):
        return {"a": 1}


class FailsHere:
    def __reduce__(self):
        raise ValueError("will not go")


def chained():
    try:
        try:
            raise KeyError("first")
        except KeyError as error:
            raise Required(1, "second") from error
    except Required as error:
        return error


def noted():
    error = ValueError("x")
    error.add_note("a note")
    return error


def raises(error):
    raise error


travels(
    "required argument",
    Required(3, "because"),
    lambda given: (given.args, given.reason) == ((3,), "because"),
)
travels(
    "keyword argument", Keyword(path="p"), lambda given: (str(given), given.path) == ("no p", "p")
)
travels(
    "OSError with its own arguments",
    Own("here"),
    lambda given: (
        (given.errno, given.filename, given.where, str(given))
        == (5, "here", "here", "[Errno 5] broken: 'here'")
    ),
)
travels(
    "attributes",
    WithState(),
    lambda given: (given.items, given.limit, given.args) == ([1], 3, ("a",)),
)
travels("own reduction", Reduced(1, 2), lambda given: (given.one, given.two) == (1, 2))
travels("slots", Slots(1, 2), lambda given: given.x == 3)
travels("own __new__", New(1, y=2), lambda given: (given.args, given.y) == ((1,), 2))
travels(
    "cause",
    chained(),
    lambda given: given.__cause__.args == ("first",) and given.__suppress_context__,
)
travels("note", noted(), lambda given: given.__notes__ == ["a note"])
travels(
    "group",
    ExceptionGroup("g", [Required(1, "r"), OSError(2, "x")]),
    lambda given: given.exceptions[0].reason == "r" and given.exceptions[1].errno == 2,
)
travels(
    "derived group",
    Group("g", [ValueError(1)]),
    lambda given: type(given).__name__ == "Group" and given.message == "g",
)
travels("KeyError", KeyError("a"), lambda given: str(given) == "'a'")
travels(
    "UnicodeDecodeError",
    UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"),
    lambda given: given.reason == "bad",
)
travels(
    "SyntaxError",
    SyntaxError("bad", ("f", 1, 2, "text")),
    lambda given: (given.lineno, given.text) == (1, "text"),
)
travels("StopIteration", StopIteration(5), lambda given: given.value == 5)
travels(
    "FileNotFoundError", FileNotFoundError(2, "no", "name"), lambda given: given.filename == "name"
)
travels(
    "CalledProcessError",
    subprocess.CalledProcessError(3, ["a"], b"out"),
    lambda given: (given.returncode, given.output) == (3, b"out"),
)
travels("TimeoutExpired", subprocess.TimeoutExpired(["a"], 5), lambda given: given.timeout == 5)
travels("class of exceptions", Required, lambda given: given(1, "x").reason == "x")
travels("SystemExit", SystemExit(3), lambda given: given.code == 3)
travels("URLError", urllib.error.URLError("why"), lambda given: given.reason == "why")

for name, error in {
    "required argument": Required(3, "why"),
    "keyword": Keyword(path="p"),
    "OSError": Own("here"),
    "own __new__": New(1, y=2),
    "group": Group("g", [Required(1, "r")]),
}.items():
    check(
        f"raised: {name}",
        raises,
        error,
        holds=lambda it, own=error: (
            type(it.__cause__) is type(own) and str(it.__cause__) == str(own)
        ),
    )


# Classes that take or set something in their own way
class Coded(ExceptionGroup):
    def __new__(cls, message, errors, code):
        made = super().__new__(cls, message, errors)
        made.code = code
        return made

    def derive(self, errors):
        return Coded(self.message, errors, self.code)


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    code: int


class Stated(Exception):
    def __init__(self, *, code):
        super().__init__(code)
        self.code = code

    def __getstate__(self):
        return {"code": self.code}

    def __setstate__(self, state):
        self.code = state["code"]


def lacks_name():
    return no_such_name


def lacks_attribute():
    return math.no_such_name


own = {
    "group with a code": (Coded("g", [Required(1, "r"), KeyError("k")], 7), "code", 7),
    "frozen dataclass": (Frozen(4), "code", 4),
    "own state": (Stated(code=5), "code", 5),
}
try:
    import attrs
except ImportError:
    pass
else:

    @attrs.define
    class OfAttrs(Exception):
        code: int = attrs.field(kw_only=True)

    own["attrs"] = OfAttrs(code=6), "code", 6
for name, (error, attribute, value) in own.items():
    travels(name, error, lambda given, name=attribute, value=value: getattr(given, name) == value)
    check(
        f"raised: {name}",
        raises,
        error,
        holds=lambda it, name=attribute, value=value: getattr(it.__cause__, name) == value,
    )
for function in (lacks_name, lacks_attribute):
    check(function.__name__, function, holds=lambda it: it.__cause__.name == "no_such_name")

# An object that ends what pickles or unpickles it ends no program.
for name, value in {
    "sys.exit": Exits(sys.exit, 3),
    "exit": Exits(builtins.exit) if hasattr(builtins, "exit") else Exits(sys.exit),
    "SystemExit": Exits(functools.partial(raises, SystemExit(3))),
    "GeneratorExit": Exits(functools.partial(raises, GeneratorExit())),
}.items():
    fails(f"{name} in an argument", lambda given: given, value, message="cannot be unpickled.*Exit")
    fails(f"{name} in a function", lambda value=value: value, message="cannot be unpickled.*Exit")
    fails(f"{name} in a list", lambda given: given, [value], message="cannot be unpickled.*Exit")
    check(
        f"{name} in a result",
        (lambda kind, how: lambda: kind(*how))(Exits, (sys.exit, 3)),
        holds=lambda it: isinstance(it, cloud.CloudException) and "Exit" in str(it),
    )
check(
    "exit in an error",
    lambda: raises(ExitError("x")),
    holds=lambda it: isinstance(it, cloud.CloudException) and "ExitError" in str(it),
)
refused(
    "exit while it is pickled",
    lambda given: 1,
    ExitsHere(),
    message=r"args\[0\] is a __main__.ExitsHere.*SystemExit: 3",
)
refused(
    "exit while a function is pickled",
    lambda given=ExitsHere(): 1,
    message="default of 'given' is a __main__.ExitsHere",
)
refused(
    "GeneratorExit while it is pickled",
    lambda given: 1,
    {"a": Stops()},
    message="item 'a' is a __main__.Stops",
)
refused(
    "an error while it is pickled", lambda given: 1, FailsHere(), message="FailsHere.*will not go"
)
fails("an error while it is unpickled", lambda given: 1, FailsThere(), message="cannot be set")
fails("an error while a result is pickled", lambda kind: kind(), FailsHere, message="will not go")
fails(
    "exit while a result is pickled",
    lambda kind: kind(),
    ExitsHere,
    message="ExitsHere|SystemExit|exit",
)
check(
    "an error while a result is unpickled",
    lambda: FailsThere(),
    holds=lambda it: "cannot be set" in str(it),
)

# How jobs crash
fails("exit", lambda: sys.exit(4), message=r"sys.exit\(4\)")
fails("os._exit", lambda: os._exit(4), message="exit")
fails("signal", lambda: os.kill(os.getpid(), signal.SIGSEGV), message="SIGSEGV")


def signalled(number):
    os.kill(os.getpid(), number)
    signal.pause()


def signalled_by_its_child():
    code = "import os, signal; os.kill(os.getppid(), signal.SIGTERM)"
    subprocess.run([sys.executable, "-c", code])
    signal.pause()


OWN = "sent by the job itself or by the system: it was not killed by its user"
fails("SIGTERM by itself", signalled, signal.SIGTERM, message=rf"signal 15 \(SIGTERM\), {OWN}")
fails("SIGTERM by its child", signalled_by_its_child, message=rf"signal 15 \(SIGTERM\), {OWN}")
for number in (signal.SIGKILL, signal.SIGUSR1, signal.SIGHUP):
    message = rf"signal {number.value} \({number.name}\)$"
    fails(f"{number.name} by itself", signalled, number, message=message)
fails("alarm", lambda: (signal.alarm(1), signal.pause()), message=r"signal 14 \(SIGALRM\)$")
fails(
    "recursion",
    (lambda function: lambda: function(function))(lambda it: it(it)),
    message="RecursionError",
)
fails("a thread's lock as a result", lambda: [threading.Lock()], message=r"result\[0\]")
fails("a generator as a result", lambda: (x for x in ()), message="generator")
fails("a missing module", lambda: __import__("no_such_module"), message="no_such_module")
fails("abort", os.abort, message="SIGABRT")
fails("KeyboardInterrupt", raises, KeyboardInterrupt(), message="KeyboardInterrupt")
fails("assertion", lambda: (_ for _ in ()).throw(AssertionError("no")), message="no")

# What cannot be sent is named.
event, lock, local = threading.Event(), threading.Lock(), threading.local()
process = subprocess.Popen([sys.executable, "-c", ""])
process.wait()
items: queue.Queue = queue.Queue()


class Holder:
    def __init__(self, value):
        self.value = value


refused("lock", lambda: lock, message="global 'lock' is a _thread.lock")


class Locked:
    held = lock


refused(
    "lock of a class",
    lambda: Locked,
    message="global 'Locked' -> attribute 'held' is a _thread.lock",
)
refused("Popen", lambda: process, message=r"global 'process' is a subprocess\.Popen")
refused(
    "Popen in an object",
    lambda given: given,
    Holder(process),
    message=r"attribute 'value' is a subprocess\.Popen",
)
refused("Queue", lambda: items, message=r"global 'items' is a queue\.Queue")
refused("Event", lambda given: given, [event], message=r"item 0 is a threading\.Event")
refused("Condition", lambda given: given, threading.Condition(), message=r"a threading\.Condition")
refused("thread", lambda given: given, threading.Thread(), message=r"a threading\.Thread")
refused(
    "lock in an object",
    lambda given: given,
    Holder({"a": lock}),
    message="attribute 'value' -> item 'a' is a _thread.lock",
)
refused("socket", lambda given: given, __import__("socket").socket(), message=r"socket\.socket")
refused(
    "open for writing",
    lambda given: given,
    open(os.devnull, "w"),
    message="open for writing|device|standard",
)
refused(
    "generator",
    lambda given: given,
    (x for x in ()),
    message="generator, which cannot be pickled; send a list",
)

large, small = b"x" * 1_500_000, b"y"
numbers = {"table": list(range(600_000)), "other": 1}


def uses_large():
    return large, small


def uses_nested():
    return numbers["table"]


refused("large variable", uses_large, message=r"(?s)1,500,\d{3} bytes.*global 'large'")
refused("large item", uses_nested, message=r"(?s)global 'numbers'.*item 'table'")
refused(
    "large closure",
    (lambda value: lambda: value)(bytes(2_000_000)),
    message="closure variable 'value'",
)
refused("large default", lambda value=bytes(2_000_000): value, message="default of 'value'")
refused("large argument", lambda given: 1, b"x" * 20_000_000, message=r"args\[0\]|argument 0|bytes")
check(
    "KeyboardInterrupt in a result",
    lambda: Interrupts(),
    holds=lambda outcome: (
        isinstance(outcome, cloud.CloudException)
        and "unpickle here (KeyboardInterrupt" in str(outcome)
    ),
)
fails("KeyboardInterrupt in an argument", len, Interrupts(), message="KeyboardInterrupt")
finish()
