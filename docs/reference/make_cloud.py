"""Writes `docs/reference/cloud.md` from the docstrings of `import cloud`: `make reference`.

A test fails if the page differs from what this makes.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloud
from cloud import mp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

PAGE = Path(__file__).with_name("cloud.md")
HEAD = """# The module `cloud`

What `help(cloud.call)` and the like say. Made by `make reference`; do not edit.
[Options](../how-to/options.md) has an example of each option of `call` and `map`.
"""
PARTS = {
    f"cloud.{name}": importlib.import_module(f"cloud.{name}")
    for _, name, _ in pkgutil.iter_modules(cloud.__path__[:1])
    if name not in {"command", "errors", "mp"} and not name.startswith("_")
}
"""The modules of `cloud` that have a section of their own."""
_HEADING = re.compile(r"^(Args|Returns|Raises|Attributes):$")
_ITEM = re.compile(r"^(\*{0,2}\w+): (.*)$")


def page() -> str:
    """Return the whole page."""
    sections = [HEAD, *_functions("cloud", cloud, cloud.__all__), *_classes("cloud", cloud)]
    sections += _errors()
    for name, module in PARTS.items():
        sections += [f"## `{name}`\n\n{_about(module)}", *_functions(name, module, _own(module))]
        sections += _classes(name, module)
    sections.append(f"## `cloud.mp`\n\n{_about(mp)}")
    listed = ", ".join(f"`{name}`" for name in sorted(mp.__all__))
    sections.append(f"It has {listed}, each as above.\n")
    return "\n".join(sections)


def _own(module: ModuleType) -> list[str]:
    mine = [name for name, value in vars(module).items() if inspect.isfunction(value)]
    public = [name for name in mine if not name.startswith("_")]
    return [name for name in public if name in getattr(module, "__all__", public)]


def _functions(prefix: str, module: ModuleType, names: list[str]) -> Iterator[str]:
    for name in names:
        value = getattr(module, name)
        if inspect.isfunction(value):
            parameters = ", ".join(_parameters(value))
            yield f"### `{prefix}.{name}({parameters})`\n\n{_markdown(value)}"


def _classes(prefix: str, module: ModuleType) -> Iterator[str]:
    """Yield the sections of the classes that a module defines, each with its methods."""
    for name in getattr(module, "__all__", ()):
        value = getattr(module, name)
        if not inspect.isclass(value) or issubclass(value, Exception):
            continue
        if value.__module__ == module.__name__:
            yield f"### `{prefix}.{name}`\n\n{_markdown(value)}"
            for method, function in _members(value).items():
                if isinstance(function, property) and function.__doc__:
                    yield f"#### `{name}.{method}`\n\n{_markdown(function)}"
                elif inspect.isfunction(function) and not method.startswith("_"):
                    parameters = ", ".join([*_parameters(function)][1:])
                    yield f"#### `{name}.{method}({parameters})`\n\n{_markdown(function)}"


def _members(value: type) -> dict[str, Any]:
    """Return what a class has, with what it inherits from bases that users do not name."""
    bases = [base for base in value.__mro__[1:] if base.__module__.startswith("cloud._")]
    return {name: each for base in (value, *bases) for name, each in vars(base).items()}


def _parameters(function: Any) -> Iterator[str]:
    """Return the parameters as a reader writes them: without types."""
    only_named = False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not only_named:
            only_named = True
            yield "*"
        elif parameter.kind is parameter.VAR_POSITIONAL:
            only_named = True
        stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}
        default = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
        yield f"{stars.get(parameter.kind, '')}{parameter.name}{default}"


def _errors() -> Iterator[str]:
    yield "## Errors\n"
    for name in cloud.__all__:
        value = getattr(cloud, name)
        if inspect.isclass(value) and issubclass(value, Exception):
            yield f"### `cloud.{name}`\n\n{_markdown(value)}"


def _about(module: ModuleType) -> str:
    """Return a module's docstring without the name that it begins with."""
    text = inspect.getdoc(module) or ""
    text_after_colon = text.partition(": ")[2]
    return f"{text_after_colon[0].upper()}{_with_code(text_after_colon[1:])}\n"


def _with_code(text: str) -> str:
    """Return a text in which lines of code are indented blocks."""
    lines = text.splitlines()
    return "\n".join(f"    {line}" if _is_code(line) else line for line in lines)


def _is_code(line: str) -> bool:
    return re.match(r"(jids? = |print\(|numbers[. ])", line) is not None


def _markdown(value: Any) -> str:
    """Return a docstring with its headings as words in bold, and its items as a list."""
    lines: list[str] = []
    within = ""
    for line in (inspect.getdoc(value) or "").splitlines():
        text = line.strip()
        if heading := _HEADING.match(line):
            within = heading[1]
            lines += [f"**{within}**", ""]
        elif line.startswith(">>>") or (within == "example" and text):
            within = "example"
            lines.append(f"    {line}")
        elif within in {"Args", "Raises", "Attributes"} and (item := _ITEM.match(text)):
            lines.append(f"- `{item[1]}`: {item[2]}")
        elif within in {"Args", "Raises", "Attributes"} and text:
            lines.append(f"  {text}")
        elif not within and line.startswith("    "):
            lines.append(line)
        else:
            lines.append(text)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE} written.")
