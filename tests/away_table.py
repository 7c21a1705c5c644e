"""The table in the documentation that says what works while a server is away."""

from __future__ import annotations

from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parents[1] / "docs" / "explanation" / "reliability.md"


def table() -> dict[str, dict[str, str]]:
    """Return what the table says, by request and server."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("| while this is away"))
    _, *servers = cells_of(lines[first])
    rows: dict[str, dict[str, str]] = {}
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            return rows
        name, *cells = cells_of(line)
        rows[name] = dict(zip(servers, cells, strict=True))
    raise AssertionError("the page ends with the table")


def cells_of(line: str) -> list[str]:
    """Return the texts of a row."""
    return [cell.strip() for cell in line.strip("|").split("|")]
