"""Notes on errors about a missing module or file, or a program that failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cloud.shell import CommandFailed
from picloud_worker.advice import add_advice


def advice(code: str) -> str:
    """Return the note on the error of a statement."""
    with pytest.raises(Exception) as raised:  # noqa: PT011 - of any kind
        exec(code)
    add_advice(raised.value)
    return "".join(getattr(raised.value, "__notes__", []))


def test_a_missing_module_is_to_be_installed() -> None:
    """The note names the package and the interpreter; of a part of a package it says another."""
    assert "has no module 'torch_of_mine'" in advice("import torch_of_mine.nn")
    assert "build('NAME', {'pip': ['torch_of_mine']})" in advice("import torch_of_mine.nn")
    assert "the job has 'email', but not 'email.nothing'" in advice("import email.nothing")


@pytest.mark.parametrize(
    ("module", "package"),
    [("sklearn", "scikit-learn"), ("cv2", "opencv-python-headless"), ("yaml", "PyYAML")],
)
def test_the_package_of_a_module_is_named(module: str, package: str) -> None:
    """Also where it is not called as the module; the command is one that builds it."""
    error = ModuleNotFoundError(f"No module named {module!r}", name=module)
    add_advice(error)

    (note,) = error.__notes__
    assert f"has no module {module!r}, which the package {package!r} installs.\n" in note
    assert f"cloud.environment.build('NAME', {{'pip': [{package!r}]}})." in note


def test_a_missing_file_does_not_travel() -> None:
    """The note names the directory that relative paths begin in."""
    relative = advice("open('data.csv')")

    assert f"the job ran in {Path.cwd()}," in relative
    assert "A relative path begins there" in relative
    assert "_cwd='.' (--cwd) runs the job where your script runs" in relative
    absolute = advice("open('/nowhere/data.csv')")
    assert "does not exist where the job ran" in absolute
    assert "_cwd" not in absolute


def test_a_program_that_failed_shows_what_it_wrote() -> None:
    """The end of its standard error, if the job captured it; else where it is."""
    fails = "import subprocess; subprocess.run(['sh', '-c', {!r}], check=True, {})"

    shown = advice(fails.format("seq 99 >&2; exit 3", "capture_output=True"))

    assert shown.endswith("\n98\n99")
    assert "\n79" not in shown
    text = advice(fails.format("echo bad >&2; exit 3", "capture_output=True, text=True"))
    assert text.endswith("standard error:\nbad")
    assert "cloud.info(jid, 'stderr')" in advice(fails.format("exit 3", ""))
    assert "wrote nothing" in advice(fails.format("exit 3", "capture_output=True"))


def test_a_command_lacks_a_module() -> None:
    """The last lines of its stderr say so, and the note what to do; any other failure has none."""
    lines = "Traceback ...\nModuleNotFoundError: No module named 'yaml.nodes'"
    error, other = CommandFailed("return code 1", 1, lines), CommandFailed("return code 1", 1)
    add_advice(error)
    add_advice(other)

    first, note = error.__notes__
    assert first == lines
    assert "the Python of the command has no module 'yaml'" in note
    assert "'PyYAML' (_env" in note
    assert not hasattr(other, "__notes__")


class Custom(FileNotFoundError):
    """A user's class, whose code must not run."""

    @property
    def filename(self) -> Any:
        """Fail."""
        raise SystemExit


@pytest.mark.parametrize("code", ["raise FileNotFoundError", "1 / 0", "raise Custom(2, '', '')"])
def test_other_errors_get_no_note(code: str) -> None:
    """Neither those without a name, nor those of other classes."""
    assert advice(code) == ""
