"""Errors of the command line have one form."""

from __future__ import annotations

import ast
from typing import Final

from tests.shape.graph import ROOT, nodes

CLI: Final = ROOT / "cli" / "picloud"
MAY_WRITE: Final = {
    "output.py",  # prints errors, which begin with `error:`
    "help_pages.py",  # the help of a group without a command
    "commands/logs.py",  # what jobs wrote to standard error
    "commands/setup.py",  # prompts
}
"""Modules that write to standard error."""


def test_errors_are_printed_by_one_function() -> None:
    """So that each begins with `error:`, in colour on a terminal, broken between words."""
    found = set()
    for path in CLI.rglob("*.py"):
        for node in nodes(path):
            writes = isinstance(node, ast.keyword) and node.arg == "err"
            if isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.stderr.write":
                writes = True
            if isinstance(node, ast.keyword) and ast.unparse(node) == "file=sys.stderr":
                writes = True
            if writes:
                found.add(path.relative_to(CLI).as_posix())

    assert found <= MAY_WRITE
