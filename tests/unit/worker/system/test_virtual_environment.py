"""The virtual environment that children of a slot enter."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

CODE = """
import sys
from picloud_worker.system import virtual_environment
virtual_environment.enter(sys.argv[1])
import gadget, cloudpickle
print(gadget.answer, cloudpickle.__version__, sys.prefix, sys.executable)
"""


def test_packages_of_the_environment_come_first(tmp_path: Path) -> None:
    """Before those that are installed, and after the standard library; .pth files are read."""
    packages = tmp_path / f"lib/python3.{sys.version_info.minor}/site-packages"
    packages.mkdir(parents=True)
    (packages / "cloudpickle.py").write_text("__version__ = 'own'\n")
    (packages / "json.py").write_text("raise ImportError('not the standard library')\n")
    (packages / "gadget.py").write_text("import json; answer = json.loads('42')\n")
    (packages / "more.pth").write_text("import sys; sys.flagged = True\n")

    run = [sys.executable, "-P", "-c", CODE, str(tmp_path)]
    done = subprocess.run(run, capture_output=True, text=True, check=True)

    assert done.stdout == f"42 own {tmp_path} {tmp_path}/bin/python\n"


def test_a_missing_directory_adds_nothing(tmp_path: Path) -> None:
    """An environment without packages has those of the interpreter."""
    code = CODE.replace("gadget, ", "").replace("gadget.answer", "1")
    run = [sys.executable, "-P", "-c", code, str(tmp_path)]
    done = subprocess.run(run, capture_output=True, text=True, check=True)

    assert done.stdout.startswith("1 3.")
