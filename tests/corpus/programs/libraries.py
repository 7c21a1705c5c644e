"""Objects that libraries make for a program, and parsers."""

import configparser, dataclasses, inspect, optparse, os, random, sys, typing, weakref, xml.etree.ElementTree, http.cookiejar, email.message, collections
import cloud, typing_extensions
from tests.corpus.script import check, fails, finish, refused, that, travels

always = {"_kill_process": True}
parser = optparse.OptionParser(usage="x")
parser.add_option("--size", type="int", dest="size")
parser.add_option("--hidden", help=optparse.SUPPRESS_HELP, default=3)
check(
    "optparse", lambda: vars(parser.parse_args(["--size", "4"])[0]), want={"size": 4, "hidden": 3}
)
check("optparse help", lambda: "hidden" in parser.format_help(), want=False)
check(
    "optparse arg",
    lambda g: (vars(g.parse_args([])[0]), g.get_option("--size").default is optparse.NO_DEFAULT),
    parser,
    want=({"size": None, "hidden": 3}, True),
)


def d(text, pkg=xml):
    return [pkg.etree.ElementTree.fromstring(t).tag for t in [text]]


check("package default", d, "<a/>", want=["a"], **always)


class M:
    module = xml

    def f(self, t):
        return self.module.etree.ElementTree.fromstring(t).tag

    @classmethod
    def g(cls, t):
        return [cls.module.etree.ElementTree.fromstring(x).tag for x in [t]]


check("package attribute", lambda: M().f("<a/>"), want="a", **always)
check("package attribute classmethod", M.g, "<a/>", want=["a"], **always)


class O:
    pass


o = [O(), O()]


class WS(weakref.WeakSet):
    pass


class WV(weakref.WeakValueDictionary):
    pass


travels("weakset subclass", WS(o), lambda g: len(g) == 2 and type(g).__name__ == "WS")
travels("weakvalue subclass", WV(a=o[0]), lambda g: len(g) == 1)
travels("weak set add", weakref.WeakSet(o), lambda g: len(g) == 2 and len(g | set()) == 2)
c = configparser.ConfigParser()
c.read_string("[a]\nb=1\nc=%(b)s2\n")
travels("configparser", c, lambda g: g["a"]["c"] == "12" and g.getint("a", "b") == 1)
TA = typing_extensions.TypeAliasType("TA", dict[str, int])
travels("te alias", TA, lambda g: g.__value__ == dict[str, int])
TD = typing_extensions.TypeVar("TD", default=int)
travels("te typevar default", TD, lambda g: g.__default__ is int)
TS = typing_extensions.TypeVarTuple("TS")
PS = typing_extensions.ParamSpec("PS", default=[int])
travels("te tvt", TS, lambda g: g.__name__ == "TS")
travels("te ps", PS, lambda g: g.__name__ == "PS")
if hasattr(typing_extensions, "Sentinel"):
    SE = typing_extensions.Sentinel("SE")
    check("te sentinel", lambda g: g is SE, SE, want=True)


class TDict(typing_extensions.TypedDict):
    a: typing_extensions.Required[int]
    b: typing_extensions.NotRequired[str]


travels("te typeddict", TDict, lambda g: g(a=1) == {"a": 1})


class TNT(typing_extensions.NamedTuple):
    a: int


travels("te namedtuple", TNT(1), lambda g: g.a == 1)


@typing_extensions.runtime_checkable
class TP(typing_extensions.Protocol):
    def f(self) -> int: ...


class TPI:
    def f(self):
        return 1


check("te protocol", lambda: (isinstance(TPI(), TP), isinstance(3, TP)), want=(True, False))


@typing_extensions.deprecated("old")
def dep():
    return 4


import warnings

check("te deprecated", lambda: (warnings.simplefilter("ignore"), dep())[1], want=4)


@typing.runtime_checkable
class SP(typing.Protocol):
    x: int


class HasX:
    x = 1


check("protocol data", lambda: (isinstance(HasX(), SP), isinstance(3, SP)), want=(True, False))
try:
    import pydantic, pydantic_core

    check(
        "undefined",
        lambda g: g is pydantic_core.PydanticUndefined,
        pydantic_core.PydanticUndefined,
        want=True,
    )

    class PM(pydantic.BaseModel):
        x: int = pydantic.Field(gt=0)
        y: list[int] = pydantic.Field(default_factory=list)
        _p: int = pydantic.PrivateAttr(default=3)

        @pydantic.field_validator("x")
        @classmethod
        def chk(cls, v):
            return v + 1

    travels("pyd", PM(x=1), lambda g: (g.x, g._p, type(g)(x=3).x) == (2, 3, 4))

    class PG(pydantic.BaseModel, typing.Generic[typing.TypeVar("Q")]):
        pass

    @pydantic.validate_call
    def vc(x: int):
        return x

    check("validate_call", vc, "5", want=5)

    class NoFile:
        def __init__(self):
            self.file = open(os.devnull, "w")

    of_main = NoFile()  # not to travel: only what annotations name

    class Later(pydantic.BaseModel):
        v: int

    @pydantic.validate_call(validate_return=True)
    def later(x: "Later", *, n: "typing.Optional[int]" = None) -> "list[Later]":
        return [x] * (n or 1)

    check("validate_call by a text", lambda: [e.v for e in later({"v": "3"}, n=2)], want=[3, 3])
except ImportError:
    pass
travels(
    "field",
    dataclasses.field(default=3),
    lambda g: g.default == 3 and g.default_factory is dataclasses.MISSING,
)
travels(
    "param",
    inspect.Parameter("x", inspect.Parameter.KEYWORD_ONLY),
    lambda g: g.default is inspect.Parameter.empty,
)
travels("element", xml.etree.ElementTree.fromstring("<a b='1'/>"), lambda g: g.get("b") == "1")
travels("message", email.message.EmailMessage(), lambda g: g.as_string() is not None)


class Rand(random.Random):
    pass


check("random subclass", lambda g: g.random(), Rand(4), want=Rand(4).random())
try:
    import torch
    from torch import nn
except ImportError:
    pass
else:
    from torch import rand

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 1)

        def forward(self, x):
            return self.layer(x) * SCALE

    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            return x * SCALE

        @staticmethod
        def backward(context, gradient):
            return gradient * SCALE

    class Numbers(torch.utils.data.Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            return torch.tensor([float(index)])

    def gradient():
        x = torch.ones(1, requires_grad=True)
        Doubled.apply(x).backward()
        return x.grad.item()

    def loaded(workers):
        loader = torch.utils.data.DataLoader(Numbers(), batch_size=2, num_workers=workers)
        return sum(batch.sum().item() for batch in loader)

    def train(steps):
        model = Net()
        optimizer = torch.optim.Adam(model.parameters())
        for _ in range(steps):
            optimizer.zero_grad()
            model(X).sum().backward()
            optimizer.step()
        return model

    def random_numbers(function, **options):
        return cloud.result(cloud.map(lambda _: function(1).item(), range(4), **options))

    def modes():
        return torch.is_grad_enabled(), torch.get_default_dtype() is torch.float32

    SCALE = 2
    X = torch.ones(3, 2)
    net = Net()
    wanted = net(X).detach()
    travels("model", net, lambda given: torch.allclose(given(X), wanted))
    travels("tensor", torch.arange(4).reshape(2, 2), lambda given: given.sum().item() == 6)
    travels("parameter", nn.Parameter(torch.ones(2)), lambda given: given.requires_grad)
    travels("dtype", torch.float32, lambda given: given is torch.float32)
    travels("device", torch.device("cpu"), lambda given: given.type == "cpu")
    travels("size", torch.Size([1, 2]), lambda given: given == torch.Size([1, 2]))
    check("optimizer", train, 3, holds=lambda given: type(given) is Net)
    check("autograd function", gradient, want=2.0)
    check("data loader", loaded, 0, want=6.0)
    check("data loader with processes", loaded, 2, want=6.0)
    check(
        "state", lambda given: sorted(given), net.state_dict(), want=["layer.bias", "layer.weight"]
    )
    check(
        "default generator",
        lambda given: given is torch.default_generator,
        torch.default_generator,
        want=True,
    )
    that("random numbers differ", len(set(random_numbers(torch.rand, _kill_process=True))) == 4)
    that("random numbers by a name differ", len(set(random_numbers(rand, _kill_process=True))) == 4)
    seeded = random_numbers(torch.rand, _seed=3)
    that("a seed gives streams", len(set(seeded)) == 4 and seeded == random_numbers(rand, _seed=3))
    for change in (
        lambda: torch.set_grad_enabled(False),
        lambda: torch.set_default_dtype(torch.float64),
    ):
        cloud.join(cloud.map(lambda _, change=change: change() and None, range(4)))
    that("modes", set(cloud.result(cloud.map(lambda _: modes(), range(8)))) == {(True, True)})
finish()
