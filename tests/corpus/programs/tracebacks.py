"""Source lines in a job: tracebacks, warnings, `inspect`, also of code that no file holds."""

import inspect
import linecache
import traceback
import warnings

import cloud
from cloud import CloudException

from tests.corpus.script import check, finish, that


def divide(a, b):
    return a / b


class Divider:
    def divide(self, a):
        try:
            return divide(a, 0)
        except ZeroDivisionError as error:
            raise ValueError("no number") from error

    @property
    def broken(self):
        return self.missing


def nested():
    def inner(x):
        return {}[x]

    return inner


def defined(text, name):
    """A function of a cell, as notebooks define it."""
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    scope = {"__name__": "__main__"}
    exec(compile(text, name, "exec"), scope)
    return scope["cell"]


cell = defined("def cell(x):\n    y = x + 1\n    raise ValueError(y)\n", "/tmp/ipykernel_1/1.py")


def formatted(function, *args):
    """What a job would print of an exception of its own."""
    try:
        function(*args)
    except Exception:
        return traceback.format_exc()
    return ""


def shows(*lines):
    """Holds for a traceback with this file and these lines."""
    return lambda text: all(line in text for line in lines) and "dynamic-code" not in text


check("function", formatted, divide, 1, 0, holds=shows(__file__, "return a / b"))
check(
    "method",
    formatted,
    Divider().divide,
    1,
    holds=shows("return divide(a, 0)", 'raise ValueError("no number")', "in divide"),
)
check("lambda", formatted, lambda: divide(1, 0), holds=shows("lambda: divide(1, 0)"))
check("closure", formatted, nested(), 1, holds=shows("return {}[x]", "in inner"))
check("property", formatted, lambda: Divider().broken, holds=shows("return self.missing"))
check("cell", formatted, cell, 1, holds=shows("/tmp/ipykernel_1/1.py", "raise ValueError(y)"))
check("getsource", lambda: inspect.getsource(divide), want=inspect.getsource(divide))
check(
    "getsource_of_a_method",
    lambda: inspect.getsource(Divider.divide),
    want=inspect.getsource(Divider.divide),
)


def warned():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.warn("careful", stacklevel=1)
    first = caught[0]
    return warnings.formatwarning(first.message, UserWarning, first.filename, first.lineno)


check("warning", warned, holds=shows(__file__, 'warnings.warn("careful", stacklevel=1)'))


def message_of(function, *args, **options):
    """What the user sees of a job that fails."""
    try:
        cloud.result(cloud.call(function, *args, **options), timeout=60)
    except CloudException:
        return traceback.format_exc()
    return ""


for name, text, lines in (
    ("error", message_of(divide, 1, 0), ("return a / b", __file__)),
    ("error_of_a_cell", message_of(cell, 1), ("raise ValueError(y)",)),
    ("limit", message_of(lambda: [0 for _ in iter(int, 1)], _max_runtime=0.005), ("iter(int",)),
):
    that(name, shows(*lines)(text))

finish()
