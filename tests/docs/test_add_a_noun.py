"""The page "Add a noun", followed literally on a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "add-a-noun.md").read_text(encoding="utf-8")
PACKAGES: Final = ("sdk", "cli", "api", "driver", "jobspecs")
FILE: Final = re.compile(r"^`([\w/.-]+)`\n\n(`{3,})\w+\n(.*?)^\2$", re.MULTILINE | re.DOTALL)
ROW: Final = re.compile(r"^\| (`[^`]+`|its import) \| `([^`]+)` \| `([^`]+)` \|$", re.MULTILINE)


def files() -> dict[str, str]:
    """The files that the page adds, by path."""
    return {path: text for path, _, text in FILE.findall(PAGE)}


def rows() -> list[tuple[str, str, str]]:
    """The rows that the page adds: a file, a line in it, and what follows that line."""
    found, path = [], ""
    for where, after, row in ROW.findall(PAGE):
        path = path if where == "its import" else where.strip("`")
        found.append((path, after, row))
    return found


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which the page was followed."""
    copy = tmp_path_factory.mktemp("noun") / "project"
    for name in (*PACKAGES, "tests", "docs", "pyproject.toml", "README.md", "CHANGELOG.md"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            copy.mkdir(exist_ok=True)
            shutil.copy(source, copy / name)
    for path, text in files().items():
        assert not (copy / path).exists(), path
        (copy / path).write_text(text, encoding="utf-8")
    for path, after, row in rows():
        text = (copy / path).read_text(encoding="utf-8")
        assert text.count(f"{after}\n") == 1, (path, after)
        (copy / path).write_text(text.replace(f"{after}\n", f"{after}\n{row}\n"), encoding="utf-8")
    return copy


def run(project: Path, *command: str) -> str:
    """What a command prints, run in the copy, whose packages come first."""
    paths = os.pathsep.join(str(project / package) for package in PACKAGES)
    done = subprocess.run(
        [sys.executable, *command],
        cwd=project,
        env={**os.environ, "PYTHONPATH": paths, "PYTHONSAFEPATH": ""},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_takes_nine_files_and_three_rows() -> None:
    """In addition to the imports that the rows need."""
    assert len(files()) == 9
    assert len([row for row in rows() if "import" not in row[2]]) == 3


def test_the_noun_works(project: Path) -> None:
    """Its unit test, its test over the embedded stack and its page pass."""
    printed = run(
        project,
        *("-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", "--stack", "embedded"),
        *("tests/unit/api/usecases/test_note.py", "tests/e2e/test_note.py"),
        *("tests/unit/api/resources/test_openapi.py", "docs/how-to/notes.md"),
    )

    assert "failed" not in printed
    assert "passed" in printed


def test_the_house_stays_in_order(project: Path) -> None:
    """Layers, shapes and types hold with it."""
    run(project, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", "tests/shape")
    run(project, "-c", "from importlinter.cli import lint_imports; exit(lint_imports())")
    run(project, "-m", "mypy", "--no-error-summary", "--cache-dir", str(project / ".mypy_cache"))
