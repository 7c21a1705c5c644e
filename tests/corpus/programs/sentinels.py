"""Objects that code compares by identity, and objects of the process itself."""

import argparse
import contextvars
import dataclasses
import enum
import inspect
import logging
import os
import socket
import sys
import typing
from os import environ

import cloud

from tests.corpus.script import check, finish, that, travels

MISSING = object()


class Undefined:
    def __repr__(self):
        return "UNDEFINED"

    def __reduce__(self):
        return "UNDEFINED"


class Marker:
    __slots__ = ()


class Named(str):
    __slots__ = ()

    def __reduce__(self):
        return "NAMED"


class Singleton:
    _instance = None

    def __new__(cls):
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance


class Kind(enum.Enum):
    EMPTY = enum.auto()


UNDEFINED = Undefined()
MARKER = Marker()
NAMED = Named("named")
SINGLE = Singleton()


@dataclasses.dataclass
class Point:
    x: int
    y: list = dataclasses.field(default_factory=list)
    z: int = dataclasses.field(default=3, kw_only=True)


def default(value=MISSING):
    return value is MISSING


def marked(value, other=UNDEFINED, *, third=MARKER):
    return value is UNDEFINED, other is UNDEFINED, third is MARKER


def identical(value):
    return lambda given: given is value


for name, value in {
    "MISSING of dataclasses": dataclasses.MISSING,
    "KW_ONLY": dataclasses.KW_ONLY,
    "Parameter.empty": inspect.Parameter.empty,
    "Signature.empty": inspect.Signature.empty,
    "kind of a parameter": inspect.Parameter.KEYWORD_ONLY,
    "Any": typing.Any,
    "NoReturn": typing.NoReturn,
    "default timeout of sockets": socket._GLOBAL_DEFAULT_TIMEOUT,
    "value that auto has": enum._auto_null,
    "Ellipsis": Ellipsis,
    "NotImplemented": NotImplemented,
    "NoneType": type(None),
    "environ": os.environ,
    "stdout": sys.stdout,
    "root logger": logging.getLogger(),
    "logger": logging.getLogger("mine"),
    "_FIELD": dataclasses._FIELD,
    "MISSING of the program": MISSING,
    "object that reduces to its name": UNDEFINED,
    "marker without attributes": MARKER,
    "text that reduces to its name": NAMED,
    "class with one instance": SINGLE,
    "member of an enumeration": Kind.EMPTY,
}.items():
    if (
        value is not sys.stdout
        and value is not os.environ
        and not isinstance(value, logging.Logger)
    ):
        check(f"{name} comes back", lambda given: given, value, holds=identical(value))
    check(
        f"{name}, as an argument and of a function",
        lambda given, own=value: given is own,
        value,
        want=True,
    )

check(
    "MISSING, not a copy",
    lambda given: given is dataclasses.MISSING,
    dataclasses.MISSING,
    want=True,
)
check(
    "KW_ONLY, not a copy",
    lambda given: given is dataclasses.KW_ONLY,
    dataclasses.KW_ONLY,
    want=True,
)
check(
    "the timeout, not a copy",
    lambda given: given is socket._GLOBAL_DEFAULT_TIMEOUT,
    socket._GLOBAL_DEFAULT_TIMEOUT,
    want=True,
)
check("a default, given", default, MISSING, want=True)
check("a default, left out", default, want=True)
check("markers of the program", marked, UNDEFINED, want=(True, True, True))
check(
    "markers in containers",
    lambda given: (given["a"][0] is UNDEFINED, given["b"] is MARKER, repr(UNDEFINED)),
    {"a": [UNDEFINED], "b": MARKER},
    want=(True, True, "UNDEFINED"),
)
check("two objects are two", lambda one, two: one is two, object(), object(), want=False)
check("one object is one", lambda one, two: one is two, *[object()] * 2, want=True)
check(
    "replace of a dataclass", lambda given: dataclasses.replace(given, x=5), Point(1), want=Point(5)
)
check(
    "defaults of a dataclass",
    lambda: [field.default is dataclasses.MISSING for field in dataclasses.fields(Point)],
    want=[True, True, False],
)
check(
    "a dataclass made in the job",
    lambda: dataclasses.make_dataclass("Made", [("x", int)], bases=(Point,))(2).x,
    want=2,
)
check(
    "signature",
    lambda: inspect.signature(marked).parameters["value"].default is inspect.Parameter.empty,
    want=True,
)
travels(
    "a signature",
    inspect.signature(marked),
    lambda given: list(given.parameters) == ["value", "other", "third"],
)

# The environment is the job's own.
os.environ["ONLY_HERE"] = "secret"
check("environ", lambda: environ.get("ONLY_HERE"), want=None)
check(
    "environ, as an argument",
    lambda given: (given.get("ONLY_HERE"), given is os.environ),
    os.environ,
    want=(None, True),
)
check("method of environ", os.environ.get, "ONLY_HERE", want=None)
check("getenv", os.getenv, "ONLY_HERE", want=None)
check("environ in a closure", (lambda own: lambda: own.get("ONLY_HERE"))(os.environ), want=None)
check("environ in a default", lambda own=environ: own.get("ONLY_HERE"), want=None)
check(
    "environ in a class",
    lambda given: given.source.get("ONLY_HERE"),
    type("Has", (), {"source": environ})(),
    want=None,
)
check("environb", lambda own=os.environb: own.get(b"ONLY_HERE"), want=None)
check("items of environ", lambda given: dict(given).get("ONLY_HERE"), os.environ.items(), want=None)
check(
    "a copy of environ is the program's",
    lambda given: given["ONLY_HERE"],
    dict(os.environ),
    want="secret",
)
check("environ comes back", lambda: environ, holds=identical(os.environ))
check(
    "set in the job",
    lambda: (environ.__setitem__("SET_THERE", "1"), os.environ["SET_THERE"])[1],
    want="1",
)

# Parsers
parser = argparse.ArgumentParser(prog="corpus", argument_default=argparse.SUPPRESS)
parser.add_argument("--size", type=int)
parser.add_argument("--hidden", help=argparse.SUPPRESS)
sub = parser.add_subparsers(dest="command")
child = sub.add_parser("run")
child.add_argument("--fast", action="store_true", default=False)


def parse(*given):
    return vars(parser.parse_args(given))


check(
    "parser",
    parse,
    "--size",
    "3",
    want={"size": 3, "command": None}
    if "command" in parse("--size", "3")
    else parse("--size", "3"),
)
check("parser, its defaults", parse, want=parse())
check("parser, a command", parse, "run", "--fast", want=parse("run", "--fast"))
check(
    "parser, as an argument",
    lambda given: vars(given.parse_args(["--size", "4"])),
    parser,
    want=parse("--size", "4"),
)
check("parser, its help", lambda: "hidden" in parser.format_help(), want=False)
check(
    "parser comes back",
    lambda: parser,
    holds=lambda given: vars(given.parse_args(["run"])) == parse("run"),
)
check(
    "namespace",
    lambda given: (given.size, given),
    parser.parse_args(["--size", "4"]),
    want=(4, parser.parse_args(["--size", "4"])),
)


class OfFunction:
    def __reduce__(self):
        return the_one, ()


ONE = OfFunction()


def the_one():
    return ONE


class Unit:
    def __init__(self, name):
        self.name = name

    def __reduce__(self):
        return unit, (self.name,)


UNITS = {"m": Unit("m"), "s": Unit("s")}


def unit(name):
    return UNITS[name]


check("found by a function", lambda given: given is ONE, ONE, want=True)
check(
    "found in a table",
    lambda given: given is UNITS["m"] and unit("s").name == "s",
    UNITS["m"],
    want=True,
)
that("comes home to the table", cloud.result(cloud.call(lambda: UNITS["s"])) is UNITS["s"])
check(
    "Token.MISSING",
    lambda given: given is contextvars.Token.MISSING,
    contextvars.Token.MISSING,
    want=True,
)
finish()
