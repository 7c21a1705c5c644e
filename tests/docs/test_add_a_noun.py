"""The page "Add a noun", followed literally in a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "add-a-noun.md").read_text(encoding="utf-8")
PACKAGES: Final = ("sdk", "cli", "api", "driver", "jobspecs")
OTHERS: Final = (
    "tests",
    "docs",
    "examples",
    "packer",
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
)
FILE: Final = re.compile(r"^`([\w/.-]+)`\n\n(`{3,})\w+\n(.*?)^\2$", re.MULTILINE | re.DOTALL)
ROW: Final = re.compile(r"^\| (`[^`]+`|its import) \| `([^`]+)` \| `([^`]+)` \|$", re.MULTILINE)


def files() -> dict[str, str]:
    """Return the files that the page adds, by path."""
    return {path: text for path, _, text in FILE.findall(PAGE)}


def rows() -> list[tuple[str, str, str]]:
    """Return the rows that the page adds: a file, a line in it, and what follows that line."""
    rows, path = [], ""
    for where, after, row in ROW.findall(PAGE):
        path = path if where == "its import" else where.strip("`")
        rows.append((path, after, row))
    return rows


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the files and rows of the page."""
    copy = tmp_path_factory.mktemp("noun") / "project"
    for name in (*PACKAGES, *OTHERS):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name)
        else:
            copy.mkdir(exist_ok=True)
            shutil.copy2(source, copy / name)
    for path, text in files().items():
        assert not (copy / path).exists(), path
        (copy / path).write_text(text, encoding="utf-8")
    for path, after, row in rows():
        text = (copy / path).read_text(encoding="utf-8")
        assert text.count(f"{after}\n") == 1, (path, after)
        (copy / path).write_text(text.replace(f"{after}\n", f"{after}\n{row}\n"), encoding="utf-8")
    make_interpreter(copy)
    # What `make check` found out: types of unchanged modules need not be inferred again.
    if (ROOT / ".mypy_cache").is_dir():
        shutil.copytree(ROOT / ".mypy_cache", copy / ".mypy_cache")
    return copy


def make_interpreter(project: Path) -> None:
    """Make a virtual environment that has the copy's packages before all that is installed here."""
    venv.create(project / ".venv", with_pip=False, symlinks=True)
    (packages,) = (project / ".venv" / "lib").glob("python*/site-packages")
    paths = [*(str(project / package) for package in PACKAGES), sysconfig.get_path("purelib")]
    (packages / "project.pth").write_text("\n".join(paths), encoding="utf-8")
    command = project / ".venv" / "bin" / "picloud"
    installed = Path(sys.executable).with_name("picloud").read_text(encoding="utf-8")
    first, _, rest = installed.partition("\n")
    assert first.startswith("#!")
    command.write_text(f"#!{command.with_name('python')}\n{rest}", encoding="utf-8")
    command.chmod(0o755)


def run(project: Path, *command: str) -> str:
    """Return the output of a command of the copy's interpreter."""
    done = subprocess.run(
        [project / ".venv" / "bin" / "python", *command],
        cwd=project,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_noun_takes_nine_files_and_three_rows() -> None:
    """The imports that the rows need are not counted."""
    assert len(files()) == 9
    assert len([where for where, *_ in ROW.findall(PAGE) if where != "its import"]) == 3


def test_the_noun_works(project: Path) -> None:
    """The tests of the page, its how-to and the test of the OpenAPI document pass."""
    printed = run(
        project,
        *("-m", "pytest", "-v", "--no-header", "-p", "no:cacheprovider", "-k", "not hashicorp"),
        *("tests/unit/api/usecases/test_note.py", "tests/e2e/test_note.py"),
        *("tests/unit/api/resources/test_openapi.py", "docs/how-to/notes.md"),
    )

    assert " passed" in printed
    for name in ("test_notes_from_the_shell", "notes.md"):
        assert name in printed


def test_the_checks_pass_with_the_noun(project: Path) -> None:
    """The tests of shape and of pages, the import contracts and the types hold for the copy."""
    for name in ("cli", "cloud"):
        run(project, f"docs/reference/make_{name}.py")
        assert "note" in (project / "docs" / "reference" / f"{name}.md").read_text(encoding="utf-8")
    changed = sorted({*files(), *(path for path, _, _ in rows())})
    sources = [path for path in changed if path.endswith(".py")]
    run(project, "-m", "ruff", "check", "--quiet", "--no-cache", "--fix", *sources)
    run(project, "-m", "ruff", "format", "--quiet", "--no-cache", "--check", *sources)
    # Times are measured once, in the project itself.
    tests = ("tests/shape", "tests/docs/test_pages.py", "-k", "not fast and not readme")
    run(project, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *tests)
    run(project, "-c", "from importlinter.cli import lint_imports; exit(lint_imports())")
    run(project, "-m", "mypy", "--no-error-summary")
