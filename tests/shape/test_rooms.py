"""What each room may do, read from the source: vendors, environment, unpickling, sizes."""

from __future__ import annotations

import ast
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.shape.graph import ROOT, modules, nodes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODULES = sorted(modules().values())
VENDORS = {"boto3", "botocore", "consul", "docker", "hvac", "nats", "nomad", "s3transfer"}
FORBIDDEN_NAMES = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}
LOADERS = {
    "_pickle", "cloudpickle", "code", "codeop", "dill", "jsonpickle", "joblib", "marshal", "numpy",
    "pandas", "pickle", "runpy", "shelve", "torch", "yaml",
}  # fmt: skip
"""Modules that make objects, and so calls, from bytes."""
LOADING = {
    "Unpickler", "load", "load_all", "loads", "open", "read_pickle", "run_module", "run_path",
    "unsafe_load", "_load", "_loads", "_Unpickler", "full_load", "Loader", "UnsafeLoader",
}  # fmt: skip
FETCHERS = {"aiohttp", "ftplib", "http", "httpx", "requests", "urllib", "urllib3"}
ARCHIVES = {"bz2", "gzip", "lzma", "tarfile", "zipfile"}
RUNNING = {"eval", "exec", "__import__"}
MODULE_LINES = 400
FUNCTION_LINES = 60


@cache
def imported(path: Path) -> frozenset[str]:
    """Return the top-level names that a module imports, lazily or not."""
    names = []
    for node in nodes(path):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.append(node.module)
    return frozenset(name.partition(".")[0] for name in names)


def attributes(path: Path) -> Iterator[str]:
    """Yield every `name.attribute` that a module uses."""
    for node in nodes(path):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"


def test_vendors_are_named_in_the_driver_only() -> None:
    """No room but the driver imports a vendor's library."""
    offenders = {
        str(path.relative_to(ROOT)): VENDORS & imported(path)
        for path in MODULES
        if "picloud_driver" not in path.parts and VENDORS & imported(path)
    }

    assert offenders == {}


def test_the_environment_is_read_in_one_place_a_process() -> None:
    """Only settings modules and entry points read the environment; that of a child is written."""
    offenders = [
        str(path.relative_to(ROOT))
        for path in MODULES
        if {"os.environ", "os.getenv"} & set(attributes(path))
        and path.name not in {"settings.py", "__main__.py"}
    ]

    # A child tells user code which job it is; it reads nothing.
    modules_of_children = (
        "child/loop",
        "child/runner",
        "restore/interpreter_settings",
        "restore/job_variables",
    )
    assert offenders == [f"sdk/picloud_worker/{name}.py" for name in modules_of_children]


def loaded(path: Path) -> set[str]:
    """Return what a module uses that could run received bytes or text, as it is called there."""
    aliases = {
        alias.asname or alias.name: alias.name
        for node in nodes(path)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    loaders = set()
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom) and node.module in LOADERS:
            loaders |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = aliases.get(node.value.id, node.value.id)
            if module in LOADERS and node.attr in LOADING:
                loaders.add(f"{module}.{node.attr}")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            loaders |= {node.func.id} & RUNNING
    return loaders


def test_only_sdk_and_child_unpickle() -> None:
    """Server, driver, command line and supervisor never unpickle, under any name, and nothing runs
    text as code. Only the SDK unpickles results, a child its job, and a process that a job spawns
    what that job holds.
    """
    # Old scripts import cloudpickle's functions by another name; nothing of ours does.
    ours = [path for path in MODULES if "_compat" not in path.parts]
    users = {str(path.relative_to(ROOT)): loaded(path) for path in ours if loaded(path)}

    assert users == {
        "sdk/cloud/_packing/packer.py": {"pickle.load", "pickle.loads"},
        "sdk/picloud_worker/child/runner.py": {"pickle.loads"},
        "sdk/picloud_worker/child/spawning.py": {"pickle.loads"},
    }


def test_the_server_knows_no_pickles() -> None:
    """Only the SDK, the worker and what they share import anything that could unpickle."""
    rooms = {path.relative_to(ROOT).parts[1] for path in MODULES if LOADERS & imported(path)}

    assert rooms == {"cloud", "picloud_pickle", "picloud_worker"}


def test_the_server_fetches_and_unpacks_nothing() -> None:
    """The server cannot be made to fetch an address or to unpack an archive of a user: no room of
    it imports a module that would. Only the SDK reads modules out of archives from which they were
    imported.
    """
    users = {
        (str(path.relative_to(ROOT)), name)
        for path in MODULES
        for name in imported(path)
        if name in ARCHIVES or (name in FETCHERS and "picloud_api" in path.parts)
    }

    assert users == {("sdk/cloud/_packing/source_files.py", "zipfile")}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_hold_one_idea_of_bounded_size(path: Path) -> None:
    """A module is named for one idea and is short enough to be read at once."""
    lines = path.read_text(encoding="utf-8").count("\n")
    long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno
        and node.end_lineno - node.lineno >= FUNCTION_LINES
    }

    if "_compat" not in path.parts:  # its modules have the names that old scripts import
        assert path.stem not in FORBIDDEN_NAMES
    assert lines <= MODULE_LINES
    assert long == {}
