"""An earlier version of this project, installed in an environment of its own."""

from __future__ import annotations

import io
import subprocess
import sys
import sysconfig
import tarfile
import venv
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
COMMIT: Final = "95100954ba"
"""The version from before this one. A newer one takes its place when something is added that only
shows between two versions."""
ROOMS: Final = ("sdk", "cli", "api", "driver", "jobspecs")


def install(folder: Path, commit: str = COMMIT) -> str:
    """Install an earlier version; return its Python.

    It has the packages of this environment, and all of its own code: what serves, what runs jobs
    and what calls them.
    """
    archive = subprocess.run(
        ["git", "archive", commit, *ROOMS], cwd=ROOT, check=True, capture_output=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder / "source", filter="data")
    venv.create(folder / "venv", symlinks=True)
    # The packages of a folder that a .pth file names are found, but not what its .pth files name:
    # the one that names the sources of this version is not read.
    names = [*(str(folder / "source" / room) for room in ROOMS), sysconfig.get_path("purelib")]
    python = folder / "venv" / "bin" / Path(sys.executable).name
    own = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    (Path(own) / "earlier.pth").write_text("\n".join(names) + "\n", encoding="utf-8")
    return str(python)
