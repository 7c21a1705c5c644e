"""How structs are built: a reader sees which field gets which value."""

from __future__ import annotations

import ast

from tests.shape.graph import ROOT, modules, nodes

POSITIONAL = 4
"""Fields that may be given by position."""
SOURCES = sorted(
    [*modules().values(), *(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py")]
)


def name_of(node: ast.expr) -> str:
    """Return the last name of a dotted expression, which may be subscripted or called."""
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Subscript | ast.Call):
        return name_of(node.value if isinstance(node, ast.Subscript) else node.func)
    return ""


def structs() -> set[str]:
    """Return the names of all structs, named tuples and dataclasses."""
    classes = [node for path in SOURCES for node in nodes(path) if isinstance(node, ast.ClassDef)]
    names = {"Struct", "NamedTuple"}
    names |= {node.name for node in classes if "dataclass" in map(name_of, node.decorator_list)}
    while more := {
        node.name
        for node in classes
        if node.name not in names and names & {name_of(each) for each in node.bases}
    }:
        names |= more
    return names


STRUCTS = structs()


def test_a_struct_of_many_fields_is_built_by_keyword() -> None:
    """No call gives a struct more than a few values by position."""
    offenders = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {name_of(node.func)}"
        for path in SOURCES
        for node in nodes(path)
        if isinstance(node, ast.Call)
        and name_of(node.func) in STRUCTS
        and len(node.args) > POSITIONAL
    ]

    assert offenders == []
