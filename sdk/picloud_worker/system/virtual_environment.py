"""The virtual environment of a slot in a container, which its children enter.

Supervisor and zygote stay outside: packages can run code whenever an interpreter starts with them,
and those two are root in the container.
"""

from __future__ import annotations

import os
import site
import sys
from typing import Final

_FOLDERS: Final = ("site-packages", "dist-packages")


def enter(folder: str) -> None:
    """Let this process find the packages of a virtual environment, before those that it has.

    Args:
        folder: The directory, which is `sys.prefix` from now on.
    """
    before = [*sys.path]
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site.addsitedir(f"{folder}/lib/{python}/site-packages")
    added = [each for each in sys.path if each not in before]
    installed = (at for at, each in enumerate(before) if os.path.basename(each) in _FOLDERS)  # noqa: PTH119
    first = next(installed, len(before))
    sys.path[:] = before[:first] + added + before[first:]
    sys.prefix = sys.exec_prefix = folder
    sys.executable = f"{folder}/bin/python"


def own_python_first(path: str, executable: str) -> str:
    """Return a PATH on which `python`, and the commands installed with it, are the slot's own.

    >>> own_python_first("/usr/bin:/bin", "/home/me/.venv/bin/python")
    '/home/me/.venv/bin:/usr/bin:/bin'
    """
    folder = os.path.dirname(executable)  # noqa: PTH120 - not resolved: it is that of a venv
    others = [entry for entry in path.split(os.pathsep) if entry != folder]
    return os.pathsep.join([folder, *others] if folder else others)
