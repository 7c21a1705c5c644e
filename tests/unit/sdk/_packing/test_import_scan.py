"""Imports are read from bytecode."""

from __future__ import annotations

import pytest
from cloud._packing.import_scan import imported


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("import a", {"a"}),
        ("import a.b.c as d", {"a.b.c"}),
        ("from a import b, c", {"a", "a.b", "a.c"}),
        ("from a import *", {"a"}),
        ("from . import x", {"p.q", "p.q.x"}),
        ("from .x import y", {"p.q.x", "p.q.x.y"}),
        ("from ..x import y", {"p.x", "p.x.y"}),
        ("from .... import x", set()),
        ("def f():\n  def g():\n    import a", {"a"}),
        ("class C:\n  def f(self): return [__import__('a') for _ in ()]", {"a"}),
        ("try:\n  import a\nexcept ImportError:\n  import b", {"a", "b"}),
        ("import importlib\nimportlib.import_module('a.b')", {"importlib", "a.b"}),
        ("from importlib import import_module as i\ni('.x', 'p.q')", {"p.q", "p.q.x"}),
        ("print('a')", set()),
    ],
)
def test_each_form_of_import_is_seen(source: str, wanted: set[str]) -> None:
    """What a statement imports is found by its absolute name, wherever the statement stands."""
    found = imported(compile(source, "<test>", "exec"), "p.q")

    assert wanted <= found
    assert found - wanted <= {"importlib", "importlib.import_module"}


def test_long_code_keeps_its_imports() -> None:
    """Imports are read right where their arguments do not fit one byte."""
    lines = [f"n{at} = 'text {at}'" for at in range(400)]
    lines += [
        f"from m{at} import {', '.join(f'x{part}' for part in range(3))}" for at in range(300)
    ]

    found = imported(compile("\n".join(lines), "<test>", "exec"), "")

    assert found == {f"m{at}{part}" for at in range(300) for part in ("", ".x0", ".x1", ".x2")}


def test_relative_imports_outside_a_package_lead_nowhere() -> None:
    """A program that is not a package has nothing relative to it."""
    assert imported(compile("from . import x", "<test>", "exec"), "") == set()
