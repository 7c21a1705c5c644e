"""Runs every code block of the documentation, in order, against a server of its own.

`python` blocks are doctests or code; `console` blocks are commands with their output, in which
`...` stands for any text. The project's commands are found first on PATH.
"""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sybil import Example

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """`picloud up` with a profile, as a reader would have it, new for each page."""
    home = tmp_path_factory.mktemp("docs")
    before = dict(os.environ)
    os.environ |= {
        "PICLOUD_CONFIG_DIR": str(home / "config"),
        "XDG_DATA_HOME": str(home / "data"),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    command = [str(BIN / "picloud"), "up", "--port", "0"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    while "Ctrl-C" not in (line := running.stdout.readline()):
        assert line, "picloud up ended before it was ready"
    yield
    running.terminate()
    running.wait(60)
    running.stdout.close()
    os.environ.clear()
    os.environ |= before


def run_console(example: Example) -> str | None:
    """Run each `$ command` of a block and compare what it prints."""
    checker = doctest.OutputChecker()
    for part in str(example.parsed).lstrip("$ ").split("\n$ "):
        command, _, expected = part.partition("\n")
        shell = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False
        )
        wanted = expected.rstrip() + "\n" if expected.strip() else ""
        # What curl prints may lack the last newline.
        printed = shell.stdout.removesuffix("\n") + "\n" if shell.stdout else ""
        if not checker.check_output(wanted, printed, doctest.ELLIPSIS):
            return f"$ {command}\nexpected:\n{expected}\ngot:\n{shell.stdout}{shell.stderr}"
    return None


def fresh(namespace: dict[str, Any]) -> None:
    """Close the connection of the page before."""
    import cloud

    cloud.close()
    namespace.clear()


pytest_collect_file = Sybil(
    parsers=[
        PythonCodeBlockParser(doctest_optionflags=doctest.ELLIPSIS),
        CodeBlockParser("console", run_console),
    ],
    path=str(ROOT / "docs"),
    pattern="*.md",  # in all folders
    exclude="add-a-noun.md",  # tests/docs/test_add_a_noun.py types it
    setup=fresh,
    fixtures=["server"],
).pytest()
