"""Types that the program makes, and annotations that are text."""

from __future__ import annotations

import collections.abc
import dataclasses
import decimal
import enum
import json.decoder
import sys
import typing
from fractions import Fraction
from pathlib import Path
from typing import (
    Annotated,
    Any,
    ClassVar,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    Optional,
    ParamSpec,
    Protocol,
    TypedDict,
    TypeVar,
    TypeVarTuple,
    Union,
    get_type_hints,
)

from tests.corpus.script import check, finish, travels

UserId = NewType("UserId", int)
GroupId = NewType("GroupId", UserId)
T = TypeVar("T")
Bound = TypeVar("Bound", bound="Point")
Either = TypeVar("Either", int, str)
Out = TypeVar("Out", covariant=True)
P = ParamSpec("P")
Ts = TypeVarTuple("Ts")
Alias = dict[str, list[int]]
LIMIT = 10


@dataclasses.dataclass
class Point:
    x: Fraction
    where: Path | None = None
    kind: ClassVar[decimal.Decimal] = decimal.Decimal(1)
    after: Optional[Point] = None
    only: dataclasses.KW_ONLY = dataclasses.KW_ONLY
    last: Alias = dataclasses.field(default_factory=dict)


class Colour(enum.Enum):
    RED = 1


class Row(NamedTuple):
    name: str
    where: Path
    colour: Colour = Colour.RED


class Settings(TypedDict, total=False):
    where: Path
    user: UserId


class HasArea(Protocol):
    def area(self) -> Fraction: ...


class Stack(Generic[T]):
    items: list[T]

    def push(self, item: T) -> Stack[T]:
        self.items = [item]
        return self


class Variadic(Generic[typing.Unpack[Ts]]):
    pass


def plain(a: UserId, b: "Colour", c: Fraction = Fraction(1)) -> Optional[Point]:
    return None


def nested(
    a: collections.abc.Callable[P, dict[str, decimal.Decimal]], b: Annotated[int, LIMIT]
) -> json.decoder.JSONDecoder:
    return None


def inner_function():
    def inner(a: decimal.Decimal, b: Point) -> Row:
        return None

    return sorted(get_type_hints(inner))


def inner_class():
    @dataclasses.dataclass
    class Inner:
        a: decimal.Decimal
        b: ClassVar[Fraction] = Fraction(2)

    return [field.name for field in dataclasses.fields(Inner)]


class WithMethods:
    def method(self, a: Fraction) -> decimal.Decimal:
        return a

    @classmethod
    def made(cls, b: Path) -> WithMethods:
        return cls()

    @staticmethod
    def free(c: Row) -> None:
        return None

    @property
    def value(self) -> Settings:
        return {}


def hints(function):
    return {name: str(kind) for name, kind in get_type_hints(function).items()}


def using(x: UserId) -> GroupId:
    return GroupId(UserId(x + 1))


travels(
    "NewType",
    UserId,
    lambda given: given(5) == 5 and given.__name__ == "UserId" and given.__supertype__ is int,
)
travels("NewType of a NewType", GroupId, lambda given: given.__supertype__(3) == 3)
check("NewType in an annotation", using, 4, want=5)
check("identity of a NewType", lambda given: given is UserId, UserId, want=True)
check("NewType comes back", lambda: UserId, holds=lambda given: given is UserId)
travels("TypeVar", T, lambda given: given.__name__ == "T")
travels(
    "bounds",
    (Either, Out),
    lambda given: given[0].__constraints__ == (int, str) and given[1].__covariant__,
)
check("TypeVar comes back", lambda: T, holds=lambda given: given is T)
travels("TypeVarTuple", Ts, lambda given: given.__name__ == "Ts")
travels("ParamSpec", P, lambda given: given.__name__ == "P" and given.args.__origin__ is given)
travels(
    "generic class",
    Stack[int],
    lambda given: given().push(1).items == [1] and given.__args__ == (int,),
)
travels("variadic class", Variadic, lambda given: given.__parameters__[0].__name__ == "Ts")
travels("protocol", HasArea, lambda given: given._is_protocol)
travels(
    "TypedDict", Settings, lambda given: given(user=1) == {"user": 1} and given.__total__ is False
)
travels(
    "NamedTuple",
    Row("a", Path("b")),
    lambda given: (
        given.name == "a" and given.colour.name == "RED" and given._replace(name="c").name == "c"
    ),
)
travels("alias", Alias, lambda given: given == dict[str, list[int]])
travels("union", Union[int, Literal["a"]], lambda given: given == Union[int, Literal["a"]])
travels("Annotated", Annotated[int, Point(1)], lambda given: given.__metadata__[0].x == 1)

check("get_type_hints", lambda: sorted(get_type_hints(plain)), want=["a", "b", "c", "return"])
check(
    "hints of nested annotations",
    lambda: sorted(get_type_hints(nested, include_extras=True)),
    want=["a", "b", "return"],
)
check(
    "hints of a dataclass",
    lambda: sorted(get_type_hints(Point)),
    want=["after", "kind", "last", "only", "where", "x"],
)
check(
    "hints of a NamedTuple", lambda: sorted(get_type_hints(Row)), want=["colour", "name", "where"]
)
check("hints of a TypedDict", lambda: sorted(get_type_hints(Settings)), want=["user", "where"])
check("hints of an inner function", inner_function, want=["a", "b", "return"])
check("dataclass in a function", inner_class, want=["a"])
check(
    "hints of methods",
    lambda: [
        sorted(get_type_hints(one))
        for one in (WithMethods.method, WithMethods.made, WithMethods.free, WithMethods.value.fget)
    ],
    want=[["a", "return"], ["b", "return"], ["c", "return"], ["return"]],
)
check(
    "hints of an argument",
    hints,
    plain,
    holds=lambda given: "Fraction" in given["c"] and "Point" in given["return"],
)
check(
    "hints of an instance",
    lambda given: sorted(get_type_hints(type(given))),
    Point(1),
    want=["after", "kind", "last", "only", "where", "x"],
)
check(
    "fields of a dataclass",
    lambda: [field.name for field in dataclasses.fields(Point)],
    want=["x", "where", "after", "last"]
    if "only" not in [f.name for f in dataclasses.fields(Point)]
    else [f.name for f in dataclasses.fields(Point)],
)

import threading


class Engine:
    lock = threading.Lock()


def hinted(x: Engine) -> int:
    return 5


check("an annotation that cannot travel is left out", hinted, None, want=5)

if sys.version_info >= (3, 12):
    exec(
        "type Json = dict[str, int]\n"
        "def generic[X](x: X) -> X:\n    return x\n"
        "class Box[Y]:\n    def put(self, y: Y) -> Y:\n        return y\n"
    )
    travels("type statement", Json, lambda given: given.__value__ == dict[str, int])
    travels(
        "generic function",
        generic,
        lambda given: given(4) == 4 and given.__type_params__[0].__name__ == "X",
    )
    travels(
        "class with parameters",
        Box,
        lambda given: given[int]().put(3) == 3 and given.__type_params__[0].__name__ == "Y",
    )
if sys.version_info >= (3, 13):
    exec("class Defaulted[Y = int]:\n    pass\n")
    travels(
        "parameter with a default",
        Defaulted,
        lambda given: given.__type_params__[0].__default__ is int,
    )

try:
    import pydantic
except ImportError:
    pass
else:

    @pydantic.dataclasses.dataclass
    class Checked:
        x: Fraction
        y: int = 3

    class Model(pydantic.BaseModel):
        name: str
        where: Path = Path("x")
        inner: Optional[Model] = None

    @dataclasses.dataclass
    class Simple:
        x: int
        y: list[int] = dataclasses.field(default_factory=list)

    travels("pydantic dataclass", Checked(1), lambda given: given.x == 1 and type(given)(2).y == 3)
    travels(
        "pydantic model",
        Model(name="a"),
        lambda given: (
            given.model_dump() == {"name": "a", "where": Path("x"), "inner": None}
            and type(given)(name="b", inner={"name": "c"}).inner.name == "c"
        ),
    )
    check(
        "TypeAdapter over a dataclass",
        lambda: pydantic.TypeAdapter(Simple).validate_python({"x": "1"}),
        want=Simple(1),
    )
    check(
        "TypeAdapter over text annotations",
        lambda: pydantic.TypeAdapter(Row).validate_python(("a", "b")).where,
        want=Path("b"),
    )
try:
    import attrs
except ImportError:
    pass
else:

    @attrs.define
    class Attrs:
        x: int = attrs.field(converter=int)
        y: Optional[Fraction] = None
        z: list = attrs.Factory(list)

    @attrs.frozen(slots=False)
    class Frozen:
        x: int

    travels(
        "attrs",
        Attrs("3"),
        lambda given: (
            (given.x, given.z, attrs.asdict(given)["y"]) == (3, [], None)
            and not hasattr(given, "__dict__")
        ),
    )
    travels("attrs, frozen", Frozen(4), lambda given: given.x == 4 and hash(given) is not None)
    check(
        "identity of NOTHING",
        lambda given: (given is attrs.NOTHING, attrs.fields(Attrs).x.default is attrs.NOTHING),
        attrs.NOTHING,
        want=(True, True),
    )
    check(
        "resolve_types",
        lambda: attrs.fields(attrs.resolve_types(Attrs)).y.type == Optional[Fraction],
        want=True,
    )
finish()
