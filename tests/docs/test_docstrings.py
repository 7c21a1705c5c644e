"""The examples in docstrings are run."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from typing import TYPE_CHECKING

import cloud
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOMS = (
    "picloud_model",
    "picloud_http",
    "picloud_pickle",
    "cloud",
    "picloud_worker",
    "picloud",
    "picloud_api",
    "picloud_driver",
)
MODULES = sorted(
    module.name
    for room in ROOMS
    for module in pkgutil.walk_packages(importlib.import_module(room).__path__, f"{room}.")
    if not module.name.endswith("__main__")
)


class Finder(doctest.DocTestFinder):
    """Finds the examples of decorated functions, too."""

    def _from_module(self, module: object, found: object) -> bool:
        return bool(super()._from_module(module, inspect.unwrap(found)))  # type: ignore[misc, arg-type]


@pytest.fixture(scope="module")
def simulator() -> Iterator[None]:
    """A server for examples that call `cloud`. What jobs print is not part of an example."""
    streams, cloud.config.stream_output = cloud.config.stream_output, False
    cloud.start_simulator()
    yield
    cloud.close()
    cloud.config.stream_output = streams


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_hold(
    name: str,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every example in the docstrings of a module has the result that it shows."""
    examples = Finder().find(importlib.import_module(name), extraglobs={"cloud": cloud})
    if any("cloud." in each.source for test in examples for each in test.examples):
        request.getfixturevalue("simulator")
        monkeypatch.chdir(tmp_path_factory.mktemp("examples"))
    runner = doctest.DocTestRunner()
    for test in examples:
        runner.run(test)

    assert runner.failures == 0
