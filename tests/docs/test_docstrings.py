"""The examples in docstrings are run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

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


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_hold(name: str) -> None:
    """Every example in the docstrings of a module has the result that it shows."""
    failed, _ = doctest.testmod(importlib.import_module(name))

    assert failed == 0
