"""What `import cloud` exports."""

from __future__ import annotations

import importlib
import inspect
import re
from importlib.metadata import version
from typing import TYPE_CHECKING

import cloud
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MEMBERS = [
    "CloudConnectionError",
    "CloudException",
    "CloudTimeoutError",
    "CloudTypeError",
    "CloudValueError",
    "Dict",
    "Executor",
    "Job",
    "Jobs",
    "Leader",
    "Lock",
    "Pool",
    "RetryPolicy",
    "Semaphore",
    "account",
    "as_completed",
    "call",
    "close",
    "config",
    "connect",
    "connection_info",
    "delete",
    "estimate",
    "explain",
    "info",
    "iresult",
    "iresult_unordered",
    "is_simulated",
    "job",
    "jobs",
    "join",
    "kill",
    "map",
    "mp",
    "prices",
    "progress",
    "register_joblib",
    "result",
    "running_on_cloud",
    "set_dependency_whitelist",
    "setkey",
    "shell",
    "shortcuts",
    "start_simulator",
    "status",
    "stream",
    "usage",
    "wait",
    "wait_for",
]
NOUNS = ("account", "bucket", "files", "queue", "realtime", "shell", "volume", "wait_for")
"""Modules of `cloud` with functions of their own."""


def test_what_is_exported_is_what_is_documented() -> None:
    """Nothing more, nothing less."""
    assert sorted(cloud.__all__) == MEMBERS


@pytest.mark.parametrize("name", [name for name in MEMBERS if name != "config"])
def test_every_member_explains_itself(name: str) -> None:
    """help() has something to say."""
    assert getattr(cloud, name).__doc__


def test_users_see_public_names() -> None:
    """A traceback says cloud.CloudException, not where it is defined."""
    assert cloud.CloudException.__module__ == "cloud"


def test_completion_shows_what_users_call() -> None:
    """Every member, and nothing of the SDK's own rooms."""
    shown = dir(cloud)

    assert set(MEMBERS) <= set(shown)
    assert "__version__" in shown
    assert {"errors", "command", "functions", "client"}.isdisjoint(shown)
    assert not [name for name in shown if name.startswith("_") and name != "__version__"]


MODULES = [name for name in dir(cloud) if inspect.ismodule(getattr(cloud, name))]


@pytest.mark.parametrize("noun", MODULES)
def test_completion_of_a_module_shows_its_functions(noun: str) -> None:
    """And not what it imports."""
    module = importlib.import_module(f"cloud.{noun}")

    assert dir(module) == sorted(module.__all__)


def _functions() -> Iterator[tuple[str, Callable[..., object]]]:
    """Yield what users call with arguments that have names, and its name."""
    for module in (cloud, *(getattr(cloud, name) for name in MODULES)):
        for name in module.__all__:
            member = getattr(module, name)
            if inspect.isfunction(member) or member in (cloud.Lock, cloud.RetryPolicy):
                parameters = inspect.signature(member).parameters.values()
                if parameters and not any(each.kind is each.VAR_KEYWORD for each in parameters):
                    yield f"{module.__name__}.{name}", member


@pytest.mark.parametrize(("name", "function"), [*_functions()])
def test_an_argument_that_is_not_there_is_named_with_those_that_are(
    name: str, function: Callable[..., object]
) -> None:
    """By every function, before anything is sent; older Pythons name the wrong one alone."""
    parameter = list(inspect.signature(function).parameters)[-1]

    for wrong in (f"{parameter}x", "w_o_n_t"):
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{wrong}'; ") as caught:
            function(**{wrong: 1})
        assert f"{parameter}?" in str(caught.value) or "; it has " in str(caught.value), name
        assert caught.tb.tb_next is None


def test_the_version_is_that_of_the_distribution() -> None:
    """As `pip` shows it."""
    assert cloud.__version__ == version("picloud")


FUNCTIONS = {
    f"{prefix}{name}": getattr(module, name)
    for prefix, module in {
        "": cloud,
        **{f"{each}.": importlib.import_module(f"cloud.{each}") for each in NOUNS},
    }.items()
    for name in module.__all__
    if inspect.isfunction(getattr(module, name))
}
"""The functions that users call; those of `cloud.mp` refer to those of `cloud`."""
WITHOUT_EXAMPLE = {"close", "setkey", "wait_for.port", "bucket.mount_path"}
"""They need another server, a network, or a job; their text shows how."""

CANNOT_FAIL = {"close", "is_simulated", "running_on_cloud"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_docstring_says_what_a_user_needs(name: str) -> None:
    """Every argument, the result, the errors, and an example that is run."""
    function = FUNCTIONS[name]
    text = inspect.getdoc(function) or ""
    parameters = [each for each in inspect.signature(function).parameters if each[0] != "_"]
    explained = re.findall(r"^ +\**(\w+): ", text, re.MULTILINE)

    assert set(parameters) <= set(explained)
    assert ">>> " in text or name in WITHOUT_EXAMPLE
    if function.__annotations__["return"] != "None":
        assert re.search(r"(^Returns:$|^(Return|List|Iterate|Whether) )", text, re.MULTILINE)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_tracebacks_begin_with_the_users_frames(name: str) -> None:
    """Whatever fails: the frames of the SDK are in none of them."""
    assert hasattr(FUNCTIONS[name], "__wrapped__") or name in CANNOT_FAIL
