"""`_env='auto'` for a project as its users have it: cloned, synchronized by uv, and run."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from picloud_driver.image import worker_packages
from picloud_driver.image.build_step import uv_program
from picloud_model.pack import PYTHON

from tests.contract.installed_wheel import installed_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from tests.e2e.stacks import Stack

WAIT_S = 120.0
_PROJECT = """
[project]
name = "shapes"
version = "1"
requires-python = ">=3.11"
dependencies = ["numpy"]

[build-system]
requires = ["uv_build"]
build-backend = "uv_build"
"""
_MODULE = """
import sys
import numpy

def total(count):
    return int(numpy.arange(count).sum()), numpy.__version__, sys.prefix
"""
_PROGRAM = """
import cloud, shapes
def run(**options):
    return cloud.result(cloud.call(shapes.total, 5, **options), timeout=100)
print(*run(_env="auto"))
print(*shapes.total(5))
"""


def test_a_fresh_clone_runs_with_its_lock_and_its_own_package(
    begin: Callable[..., Stack], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs have the numpy of its lock, in an environment of their own, and its editable package.

    It is built once, which is said: a second program prints its results only, and a change of the
    package is there without a build.
    """
    origin, clone, wheels = (tmp_path / name for name in ("origin", "clone", "wheels"))
    installed_wheel("numpy", wheels)
    for name, text in {"UV_FIND_LINKS": str(wheels), "UV_NO_INDEX": "1", "UV_OFFLINE": "1"}.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    stack = begin()
    module = origin / "src" / "shapes" / "__init__.py"
    module.parent.mkdir(parents=True)
    module.write_text(_MODULE)
    (origin / "pyproject.toml").write_text(_PROJECT)
    (origin / "program.py").write_text(_PROGRAM)
    uv = uv_program()
    ran(stack, origin, uv, "lock", "--python", sys.executable)
    ran(stack, origin, "git", "init", "--quiet")
    ran(stack, origin, "git", "add", ".")
    author = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    ran(stack, origin, "git", *author, "commit", "--quiet", "--message", "1")
    ran(stack, tmp_path, "git", "clone", "--quiet", str(origin), str(clone))
    ran(stack, clone, uv, "sync", "--frozen", "--python", sys.executable)
    python = clone / ".venv" / "bin" / "python"
    worker_packages.link(tmp_path / "sdk", PYTHON)
    (packages,) = (clone / ".venv").glob("lib/python3.*/site-packages")
    (packages / "picloud.pth").write_text(f"{tmp_path / 'sdk'}\n")

    first = ran(stack, clone, str(python), "program.py")
    second = ran(stack, clone, str(python), "program.py")
    changed = (clone / "src/shapes/__init__.py").read_text().replace(".sum()", ".sum() + 1")
    (clone / "src/shapes/__init__.py").write_text(changed)
    third = ran(stack, clone, str(python), "program.py")

    in_job, here = (line.split() for line in first.stdout.splitlines())
    assert in_job[:2] == here[:2] == ["10", in_job[1]]
    assert in_job[2] != here[2]
    assert f"with the 1 package of {clone / 'uv.lock'}\n" in first.stderr
    assert (second.stdout, second.stderr) == (first.stdout, "")
    assert third.stdout.splitlines()[0].split() == ["11", *in_job[1:]]
    assert third.stderr == ""


def ran(stack: Stack, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a program of a user of a stack, which must succeed."""
    environment = stack.environment()
    environment["PATH"] = os.pathsep.join((os.path.dirname(uv_program()), environment["PATH"]))  # noqa: PTH120
    environment.pop("VIRTUAL_ENV", None)
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done
