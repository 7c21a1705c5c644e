"""The packer names functions, and unpickles results only if envelope and digest allow it."""

from __future__ import annotations

import logging
import os.path
import pickle
import signal
import sys
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import cloudpickle
import pytest
from cloud._packing.errors import PackingError
from cloud._packing.packer import Packer, name_of
from picloud_model.pack import Envelope, seal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.sdk._packing.conftest import Project


class Touchy(Exception):
    """Does not unpickle: the pickle holds one argument and this wants two."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(one)
        self.two = two


class Armed:
    """Does harm when unpickled."""

    def __reduce__(self) -> Any:
        return sys.exit, ("unpickled",)


def parcel(value: object) -> bytes:
    """What a child sends for a value."""
    return seal(cloudpickle.dumps(value))


def test_results_arrive(packer: Packer) -> None:
    """What a child pickled is what the program gets, from bytes or a view of them."""
    assert packer.result(parcel({"a": [1]}), packer.envelope) == {"a": [1]}
    assert packer.result(memoryview(parcel(2)), packer.envelope) == 2


def test_classes_of_the_program_come_back_as_themselves(packer: Packer) -> None:
    """An instance of a class that travelled by value is an instance of the original."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec("class Local: pass", scope)
    kind = scope["Local"]

    sent = packer.function(lambda: [kind()])
    there = packer.result(sent.parcel, packer.envelope)

    assert type(packer.result(parcel(there()[0]), packer.envelope)) is kind


def test_another_python_is_refused(packer: Packer) -> None:
    """Bytes of another minor version are not touched; the error tells both versions."""
    with pytest.raises(PackingError, match=r"pickled by Python 3\.2, but this is Python 3\.\d+"):
        packer.result(parcel(Armed()), Envelope("3.2", cloudpickle.__version__))


def test_damaged_bytes_are_refused(packer: Packer) -> None:
    """Bytes that are not those that were sealed are not unpickled."""
    damaged = parcel(Armed())[:-2] + b"x."

    with pytest.raises(PackingError, match="its digest is wrong"):
        packer.result(damaged, packer.envelope)


def test_another_cloudpickle_warns_once(packer: Packer, caplog: pytest.LogCaptureFixture) -> None:
    """Another version of cloudpickle is tried, and told once."""
    other = Envelope(packer.envelope.python, "2.9")

    with caplog.at_level(logging.WARNING):
        found = [packer.result(parcel(at), other) for at in range(3)]

    assert found == [0, 1, 2]
    assert [record.getMessage().count("cloudpickle 2.9") for record in caplog.records] == [1]


def test_a_result_that_does_not_unpickle_says_why(packer: Packer, project: Project) -> None:
    """A result of a module that is not here names the module."""
    project.write(theirs="class Thing: pass")
    sent = parcel(project.load("theirs").Thing())
    del sys.modules["theirs"]
    (project.root / "theirs.py").unlink()
    for cached in project.root.rglob("*.pyc"):
        cached.unlink()

    with pytest.raises(PackingError, match="needs the module 'theirs', which is not installed"):
        packer.result(sent, packer.envelope)


def test_exceptions_arrive(packer: Packer) -> None:
    """A remote exception comes back with its arguments."""
    raised = packer.exception(parcel(ValueError("bad", 1)), packer.envelope)

    assert isinstance(raised, ValueError)
    assert raised.args == ("bad", 1)


@pytest.mark.parametrize(
    "sent",
    [parcel(Touchy(1, 2)), parcel("no exception"), parcel(ValueError())[:-3], seal(b""), b""],
)
def test_exceptions_that_cannot_be_read_are_none(packer: Packer, sent: bytes) -> None:
    """An exception that does not unpickle never hides the failure it tells of."""
    assert packer.exception(sent, packer.envelope) is None


def test_exceptions_of_another_python_are_none(packer: Packer) -> None:
    """They are not unpickled at all."""
    assert packer.exception(parcel(Armed()), Envelope("3.2", "")) is None


def test_parcels_are_what_children_read(packer: Packer) -> None:
    """A function's parcel is a sealed plain pickle, and its digest is of the whole parcel."""
    packed = packer.function(len)

    assert packed.parcel == seal(pickle.dumps(len, 5))
    assert packed.digest == sha256(packed.parcel).hexdigest()


class Caller:
    """Can be called, has methods."""

    def __call__(self) -> None:
        """Be called."""

    @classmethod
    def make(cls) -> None:
        """Be called on the class."""


class Evasive(Caller):
    """Answers anything it is asked."""

    def __getattr__(self, name: str) -> Any:
        return self


def painted() -> None:
    """Named below."""


painted.__qualname__ = "red\x1b[31m\n" + "x" * 400


@pytest.mark.parametrize(
    ("func", "name"),
    [
        (len, "builtins.len"),
        (os.path.join, "posixpath.join"),
        (lambda: 0, "lambda"),
        (partial(partial(os.path.join, "a"), "b"), "posixpath.join"),
        (partial(lambda: 0), "lambda"),
        (Caller.make, f"{__name__}.Caller.make"),
        (Caller().make, f"{__name__}.Caller.make"),
        (Caller(), f"{__name__}.Caller"),
        (Caller, f"{__name__}.Caller"),
        (Evasive(), f"{__name__}.Evasive"),
        ("a".join, "str.join"),
    ],
)
def test_each_kind_has_its_name(func: Any, name: str) -> None:
    """The name is module and qualified name, of what a partial wraps or an object is."""
    assert name_of(func) == name


def test_names_are_harmless() -> None:
    """Control characters are left out, and a name is no longer than the wire takes."""
    name = name_of(painted)

    assert "red[31mxxx" in name
    assert name.isprintable()
    assert len(name) == 300


def stop() -> None:
    """Raise what Ctrl-C raises."""
    raise KeyboardInterrupt


def send_signal() -> None:
    """Stand for a user who presses Ctrl-C."""
    signal.raise_signal(signal.SIGINT)


class Calls:
    """Calls a function where it is unpickled."""

    def __init__(self, function: Callable[[], None]) -> None:
        self.function = function

    def __reduce__(self) -> Any:
        return self.function, ()


def test_an_interrupt_that_a_result_raises_is_an_error() -> None:
    """It does not end the user's program, as Ctrl-C does at the same moment."""
    packer = Packer()

    with pytest.raises(PackingError, match="unpickle here \\(KeyboardInterrupt"):
        packer.result(packer.value(Calls(stop), "x"), packer.envelope)
    with pytest.raises(KeyboardInterrupt):
        packer.result(packer.value(Calls(send_signal), "x"), packer.envelope)
