"""What the end-to-end tests share: stacks that run, and clients of them."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pytest
from cloud import bucket

from tests.current_client import current_client
from tests.e2e import command_line, processes
from tests.e2e.stack_docker import DockerStack
from tests.e2e.stack_hashicorp import HashiCorpStack
from tests.e2e.stacks import EmbeddedStack, Options, Stack, kill
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited


STACKS: dict[str, type[EmbeddedStack]] = {
    kind.name: kind for kind in (EmbeddedStack, HashiCorpStack, DockerStack)
}
"""Every stack the tests can run on. A new one adds itself here and to `--stack`."""
USUAL: Final = ("embedded", "hashicorp")
"""The stacks that each test runs on, unless `--stack` or its marker `containers` says otherwise."""

keys: dict[Stack, str] = {}
"""The key of the second account of the common stack."""


def end(stack: Stack) -> None:
    """Stop a stack, and fail if a process of it is left."""
    try:
        stack.stop()
        until(lambda: not stack.processes(), "every process of the stack has ended", 30.0)
    except TimeoutError:
        pytest.fail(f"processes outlive their stack:\n{processes.described(stack.processes())}")
    finally:
        for process in stack.processes():
            kill(process)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of this directory over every stack, a shared one or their own."""
    over_stacks(metafunc, "stack", "begin")


def over_stacks(metafunc: pytest.Metafunc, *fixtures: str) -> None:
    """Run a test that uses one of these fixtures once for each stack, unless it names its own."""
    marks = metafunc.definition.iter_markers("parametrize")
    own = {name for mark in marks for name in mark.args[:1]}
    for fixture in {*fixtures} & {*metafunc.fixturenames} - own:
        metafunc.parametrize(fixture, stacks_of(metafunc), indirect=True)


def stacks_of(metafunc: pytest.Metafunc) -> list[str]:
    """Return the stacks that a test runs on in this run."""
    chosen = metafunc.config.getoption("--stack")
    marker = metafunc.definition.get_closest_marker("containers")
    if marker and marker.kwargs.get("only"):
        return [name for name in chosen or [DockerStack.name] if name == DockerStack.name]
    return chosen or [*USUAL, *([DockerStack.name] if marker else [])]


@pytest.fixture(scope="session")
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """A stack for all tests that do not harm it."""
    started = STACKS[request.param](tmp_path_factory.mktemp("stack"))
    keys[started] = started.other_key()
    started.start()
    yield started
    end(started)
    assert "Traceback" not in started.faults(), started.faults()


@pytest.fixture
def begin(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Stack]]:
    """A function that starts stacks for one test, with `Options`; they end with the test."""
    yield from starter(STACKS[request.param], tmp_path_factory)


def starter(
    kind: type[EmbeddedStack], folders: pytest.TempPathFactory
) -> Iterator[Callable[..., Stack]]:
    """Yield a function that starts stacks of one kind; they end when this generator is closed."""
    begun: list[Stack] = []

    def start(**chosen: Any) -> Stack:
        begun.append(kind(folders.mktemp("stack")))
        begun[-1].start(Options(**chosen))
        return begun[-1]

    yield start
    for each in begun:
        end(each)


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    """A client of the shared stack."""
    with contextlib.closing(stack.client()) as opened:
        yield opened


@pytest.fixture
def prefix(client: Client) -> Iterator[str]:
    """A prefix of this test's objects."""
    with current_client(client):
        name = uuid4().hex
        yield name
        bucket.remove_prefix(name)


@pytest.fixture
def as_current(client: Client) -> Iterator[None]:
    """Have the functions of `cloud` use the client of the test."""
    with current_client(client):
        yield


@pytest.fixture
def other(stack: Stack) -> Iterator[Client]:
    """A client of the shared stack for another account."""
    with contextlib.closing(stack.client(keys[stack])) as opened:
        yield opened


@pytest.fixture
def script(stack: Stack, tmp_path: Path) -> Callable[..., str]:
    """Run a user's program to its end in a process of its own; return what it printed."""

    def run(source: str, *arguments: str, **environment: str) -> str:
        file = tmp_path / "script.py"
        file.write_text(source)
        done = subprocess.run(
            [sys.executable, str(file), *arguments],
            cwd=tmp_path,
            env=stack.environment() | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def picloud(stack: Stack, tmp_path: Path) -> Callable[..., Exited]:
    """Run the command as a user of the stack who has no profile."""
    environment = stack.environment() | {"PICLOUD_CONFIG_DIR": str(tmp_path / "config")}
    return lambda *arguments, **more: command_line.run(environment, *arguments, **more)
