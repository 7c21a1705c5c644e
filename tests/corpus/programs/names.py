"""Modules, submodules and globals that only an inner function or a class body uses."""

import collections.abc
import concurrent.futures
import email.mime.text
import json.decoder
import math
import sys
import types
import xml.dom.minidom
import xml.etree.ElementTree
from xml import etree

from tests.corpus.script import check, finish

texts = ["<a/>", "<b/>"]
always = {"_kill_process": True}
OFFSET = 7


class Parser:
    module = math

    def parse(self, text):
        return xml.etree.ElementTree.fromstring(text).tag

    @property
    def tags(self):
        return [xml.etree.ElementTree.fromstring(text).tag for text in texts]

    @classmethod
    def minimal(cls):
        return (lambda: xml.dom.minidom.parseString("<c/>").documentElement.tagName)()

    @staticmethod
    def future():
        return concurrent.futures.ThreadPoolExecutor.__name__


def generator():
    yield from (xml.etree.ElementTree.fromstring(text).tag for text in texts)


def outer():
    def inner(text):
        return xml.etree.ElementTree.fromstring(text).tag

    return [inner(text) for text in texts]


def closure():
    import xml.sax.saxutils

    def quoted(text):
        return [xml.sax.saxutils.escape(each) for each in text]

    return quoted


def class_in_function():
    class Inner:
        x = math.pi
        y = OFFSET + 1
        deeper = [math.floor(number) for number in (1.5, 2.5)]

        class Innermost:
            z = math.e

        def method(self, number=math.tau):
            return number

    return Inner.x, Inner.y, Inner.deeper, Inner.Innermost.z, Inner().method()


def derived_in_function():
    class Mapping(collections.abc.Mapping):
        def __getitem__(self, key):
            return key

        def __iter__(self):
            return iter(())

        def __len__(self):
            return OFFSET

    return len(Mapping())


def nested_class_in_lambda():
    make = lambda: type("Made", (), {"x": math.pi})  # noqa: E731
    return make().x


def enumeration_in_function():
    import enum

    class Inner(enum.Enum):
        A = math.floor(1.5)
        B = OFFSET

    return [each.value for each in Inner]


def dataclass_in_function():
    import dataclasses

    @dataclasses.dataclass
    class Inner:
        x: float = math.pi
        y: list = dataclasses.field(default_factory=lambda: [OFFSET])

    return Inner().x, Inner().y


def writes():
    global WRITTEN
    WRITTEN = OFFSET

    class Inner:
        global KEPT
        KEPT = WRITTEN + 1

    return WRITTEN, KEPT


def default(text, parse=lambda text: xml.etree.ElementTree.fromstring(text).tag):
    return parse(text)


def decorated(function):
    def wrapper(*args):
        return [function(*args), email.mime.text.MIMEText("x").get_payload()]

    return wrapper


@decorated
def mime():
    return json.decoder.JSONDecoder().decode("[1]")


check(
    "comprehension",
    lambda: [xml.etree.ElementTree.fromstring(t).tag for t in texts],
    want=["a", "b"],
    **always,
)
check(
    "set comprehension",
    lambda: {xml.etree.ElementTree.fromstring(t).tag for t in texts},
    want={"a", "b"},
    **always,
)
check(
    "generator expression",
    lambda: list(xml.etree.ElementTree.fromstring(t).tag for t in texts),
    want=["a", "b"],
    **always,
)
check(
    "lambda",
    lambda: (lambda t: xml.etree.ElementTree.fromstring(t).tag)("<a/>"),
    want="a",
    **always,
)
check("generator", lambda: list(generator()), want=["a", "b"], **always)
check("inner function", outer, want=["a", "b"], **always)
check("closure", closure(), ["<"], want=["&lt;"], **always)
check("method", Parser().parse, "<a/>", want="a", **always)
check("property", lambda parser: parser.tags, Parser(), want=["a", "b"], **always)
check("class method", Parser.minimal, want="c", **always)
check("static method", Parser.future, want="ThreadPoolExecutor", **always)
check(
    "from a package",
    lambda: [etree.ElementTree.fromstring(t).tag for t in texts],
    want=["a", "b"],
    **always,
)
check("default argument", default, "<a/>", want="a", **always)
check("decorated", mime, want=[[1], "x"], **always)
check("directly", lambda: xml.etree.ElementTree.fromstring("<a/>").tag, want="a", **always)
check("class body", class_in_function, want=class_in_function(), **always)
check("derived class", derived_in_function, want=7, **always)
check("type()", nested_class_in_lambda, want=math.pi, **always)
check("enumeration in a function", enumeration_in_function, want=[1, 7], **always)
check("dataclass in a function", dataclass_in_function, want=(math.pi, [7]), **always)
check("global statements", writes, want=(7, 8), **always)
check("module of a class", lambda one: one.module.floor(2.5), Parser(), want=2, **always)

# Modules that the program makes itself.
made = types.ModuleType("made_here", "made by hand")
exec(
    "import math\nbase = 2\ndef power(x):\n    return base ** x\nclass Thing:\n    x = 3\n",
    vars(made),
)
sys.modules["made_here"] = made
hidden = types.ModuleType("hidden_here")
hidden.value = 4
hidden.itself = hidden
from made_here import Thing, power


def imports():
    import made_here

    return made_here.power(3)


check("dynamic module", lambda: made.power(2), want=4)
check("dynamic module, its globals", lambda: (setattr(made, "base", 3), made.power(2))[1], want=9)
check("dynamic module, function", power, 5, want=32)
check("dynamic module, class", lambda given: type(given).x, Thing(), want=3)
check("dynamic module, import", imports, want=8, **always)
check("dynamic module, from", lambda: __import__("made_here").base + made.base, want=4)
check("dynamic module that is not imported", lambda: hidden.itself.value, want=4)
check("dynamic module, as an argument", lambda given: given.power(1), made, want=2)
check("dynamic module, as a result", lambda: made, holds=lambda given: given is made)
check("module, as a result", lambda: math, holds=lambda given: given is math)
finish()
