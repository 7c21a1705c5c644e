"""The pickler notes which modules the functions that it sends import."""

from __future__ import annotations

from typing import Any

from cloud._packing.pickler import ScanningPickler
from picloud_pickle import pickled


def modules_of(source: str, **scope: Any) -> set[str]:
    """Return what is noted of a function that travels by value."""
    names: dict[str, Any] = {"__name__": "__main__", **scope}
    exec(source, names)
    _, pickler = pickled(ScanningPickler(), names["f"])
    return set(pickler.modules)


def test_lazy_imports_are_noted() -> None:
    """Those inside the function, which happen only when it runs, and those of its helpers."""
    source = """
def helper():
    import far.away

def f():
    from near import this
    return helper()
"""

    assert modules_of(source) >= {"far.away", "near", "near.this"}


def test_relative_imports_start_in_the_package_of_the_function() -> None:
    """The package is that of the globals, or the parent of the module's name."""
    source = "def f():\n    from . import sibling"

    assert "own.sibling" in modules_of(source, __package__="own")
    assert "other.sibling" in modules_of(source, __package__="other")
    assert "top.sibling" in modules_of(source, __name__="top.part", __package__=None)
    assert "top.part.sibling" in modules_of(
        source, __name__="top.part", __package__=None, __path__=[]
    )


def test_a_function_without_imports_needs_nothing() -> None:
    """What is in its constants as text is not an import."""
    assert modules_of("def f():\n    return 'far.away'") == set()
