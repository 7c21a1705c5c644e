"""Stacks for the fault tests, one for each test.

Faults of the API and of slots are the same on every stack, so most tests use the fastest one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import STACKS, over_stacks, starter
from tests.e2e.stack_hashicorp import HashiCorpStack
from tests.e2e.stacks import EmbeddedStack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.stacks import Stack


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run some tests of this directory over every stack."""
    over_stacks(metafunc, "begin_each")


@pytest.fixture
def begin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Stack]]:
    """A function that starts embedded stacks, with `Options`; they end with the test."""
    yield from starter(EmbeddedStack, tmp_path_factory)


@pytest.fixture
def begin_each(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Stack]]:
    """The same for every kind of stack in turn."""
    yield from starter(STACKS[request.param], tmp_path_factory)


@pytest.fixture
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A HashiCorp stack for one test, whose servers can be killed one at a time."""
    for start in starter(HashiCorpStack, tmp_path_factory):
        yield start()
