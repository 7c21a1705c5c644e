"""`picloud secret`: what is refused before any request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from picloud import exits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("hunter2",), "value 1 is not of the form VARIABLE=VALUE"),
        (("A=x", "=hunter2"), "value 2 is not of the form VARIABLE=VALUE"),
        (("A=hunter2", "A=hunter2"), "A is given twice"),
        (("A=hunter2", "-f", "x"), "not both"),
        (("--from-file", "A=/nowhere/key"), "/nowhere/key cannot be read: No such file"),
    ],
)
def test_bad_values_are_usage_errors(
    run: Callable[..., Any], arguments: tuple[str, ...], message: str
) -> None:
    """In one line, which has no value in it."""
    outcome = run("secret", "set", "db", *arguments)

    assert outcome.exit_code == exits.USAGE
    assert message in outcome.stderr
    assert "hunter2" not in outcome.output


def test_no_value_says_how_values_are_given(run: Callable[..., Any]) -> None:
    """Where standard input has none, too."""
    outcome = run("secret", "set", "db")

    assert outcome.exit_code == exits.USAGE
    assert "give values, --from-file or --from-env-file, or pipe lines" in outcome.stderr


def test_a_file_that_cannot_be_read_is_named(run: Callable[..., Any], tmp_path: Path) -> None:
    """The same for a file of variables, and for one that is not text."""
    (tmp_path / "binary").write_bytes(b"A=\xff\xfe")

    missing = run("secret", "set", "db", "--from-env-file", str(tmp_path / "none"))
    binary = run("secret", "set", "db", "--from-env-file", str(tmp_path / "binary"))

    assert "none cannot be read: No such file or directory." in missing.stderr
    assert "binary is not a text in UTF-8." in binary.stderr
    assert len(missing.stderr.splitlines()) == len(binary.stderr.splitlines()) == 1
