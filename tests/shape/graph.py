"""The import graph of the product, read from the source.

`python -m tests.shape.graph [ROOT]` prints, for each package, how much of it a reader meets at
first sight: its rooms, the imports between them (arrows), the longest chain of such imports
(floors), and the groups of rooms and of modules that import each other in a circle.
"""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = (
    "sdk/picloud_model",
    "sdk/picloud_http",
    "sdk/picloud_pickle",
    "sdk/cloud",
    "sdk/picloud_worker",
    "cli/picloud",
    "api/picloud_api",
    "api/picloud_gateway",
    "driver/picloud_driver",
    "jobspecs/picloud_jobspecs",
)
ROOM_MODULES: Final = 12
"""A folder with more modules is not a room: a reader has to look at each of them."""
ONE_FILE_A_NOUN: Final = ("cloud", "commands", "resources", "_resources", "wire", "pages")
"""Rooms that grow by a file with each command or noun."""

Graph = dict[str, set[str]]


def modules(root: Path = ROOT) -> dict[str, Path]:
    """Return the file of every module of the product, by dotted name."""
    paths = {}
    for package in PACKAGES:
        base = root / Path(package).parent
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(base).with_suffix("").parts
            paths[".".join(parts).removesuffix(".__init__")] = path
    return paths


@cache
def parsed(path: Path) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Return every node of the syntax tree of a module: most tests look at all of them."""
    return tuple(ast.walk(parsed(path)))


def imports(paths: Mapping[str, Path]) -> Graph:
    """Return which modules each module imports: at its head, lazily, or for type checking."""
    return {name: set(_imported(name, path, paths)) - {name} for name, path in paths.items()}


def _imported(name: str, path: Path, paths: Mapping[str, Path]) -> Iterator[str]:
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in paths)
        elif isinstance(node, ast.ImportFrom):
            source = _absolute(name, path, node)
            for alias in node.names:
                dotted = f"{source}.{alias.name}"
                yield from [dotted] if dotted in paths else [source] if source in paths else []


def _absolute(name: str, path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = name if path.stem == "__init__" else name.rpartition(".")[0]
    for _ in range(node.level - 1):
        package = package.rpartition(".")[0]
    return f"{package}.{node.module}" if node.module else package


def collapsed(graph: Graph, groups: Mapping[str, str]) -> Graph:
    """Return the graph between groups of modules; modules without a group are left out."""
    result: Graph = {group: set() for group in groups.values()}
    for name, group in groups.items():
        targets = {groups[target] for target in graph[name] if target in groups}
        result[group] |= targets - {group}
    return result


def rooms(package: str, graph: Graph) -> dict[str, str]:
    """Return the room of each module of a package, as a reader sees it at first sight.

    A room is a folder of the package, or a module that is in none. A folder of too many modules
    counts as that many rooms. An `__init__` that imports nothing is not a room.
    """
    inside = {name for name in graph if f"{name}.".startswith(f"{package}.")}
    result = {}
    for name in inside:
        room = ".".join(name.split(".")[:2])
        members = {other for other in inside if other.rpartition(".")[0] == room}
        crowded = len(members) > ROOM_MODULES and room.split(".")[-1] not in ONE_FILE_A_NOUN
        if graph[name] or name != (room if crowded else package):
            result[name] = name if crowded else room
    return result


def circles(graph: Graph) -> list[list[str]]:
    """Return the groups of nodes that reach each other (Tarjan's strongly connected components)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for target in sorted(graph[node]):
            if target not in order:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], order[target])
        if low[node] == order[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                groups.append(sorted(group))

    for node in graph:
        if node not in order:
            visit(node)
    return groups


def floors(graph: Graph) -> int:
    """Return the number of nodes on the longest chain of imports; a circle counts as one node."""
    one = {node: group[0] for group in circles(graph) for node in group}
    acyclic = collapsed(graph, {node: one.get(node, node) for node in graph})
    depth: dict[str, int] = {}

    def of(node: str) -> int:
        if node not in depth:
            depth[node] = 1 + max((of(target) for target in acyclic[node]), default=0)
        return depth[node]

    return max((of(node) for node in acyclic), default=0)


def main() -> None:
    """Print the counts of each package."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    paths = modules(root)
    graph = imports(paths)
    print("package             rooms  arrows  floors  circles of rooms  circles of modules")
    for package in (Path(path).name for path in PACKAGES):
        room_of = rooms(package, graph)
        between = collapsed(graph, room_of)
        inside = collapsed(graph, {name: name for name in room_of})
        arrows = sum(len(targets) for targets in between.values())
        print(
            f"{package:18} {len(between):6} {arrows:7} {floors(between):7}"
            f" {len(circles(between)):17} {len(circles(inside)):19}"
        )


if __name__ == "__main__":
    main()
