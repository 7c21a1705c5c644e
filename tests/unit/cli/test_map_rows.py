"""The rows of `picloud mapexec`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import typer
from picloud import map_rows
from picloud.map_rows import MapRows

if TYPE_CHECKING:
    from pathlib import Path


def test_copies_follow_each_other() -> None:
    """Those of the first tuple come first."""
    assert map_rows.read(["a=x,y"], None, 2) == MapRows(("a",), [("x",), ("x",), ("y",), ("y",)])
    assert map_rows.read(None, None, 2) == MapRows((), [(), ()])


def test_lists_and_a_file_must_have_as_many_values(tmp_path: Path) -> None:
    """The message names both numbers."""
    file = tmp_path / "args.csv"
    file.write_text("a\n1\n2\n")

    with pytest.raises(typer.BadParameter, match=r"3 values of b, but 2 rows"):
        map_rows.read(["b=x,y,z"], str(file), None)


def test_a_variable_cannot_be_in_both(tmp_path: Path) -> None:
    """Its value would be ambiguous."""
    file = tmp_path / "args.csv"
    file.write_text("a\n1\n")

    with pytest.raises(typer.BadParameter, match="a is in the argument file, too"):
        map_rows.read(["a=x"], str(file), None)
