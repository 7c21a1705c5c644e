"""Globals that code looks up by a text: `eval("f(x)")`, `df.query("x > @limit")`, `globals()["f"]`.

No instruction names them, so the texts in the code are read. What they name and the program does
not have is left out, and so is what cannot be pickled.
"""

from __future__ import annotations

import dis
import re
from types import CodeType
from typing import TYPE_CHECKING, Final

from picloud_pickle.names import EVALUATE, GLOBALS, MAIN, MODULES, TAKE_CODE, TAKE_FORMULA

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_OWN_NAME: Final = "__name__"
_LONGEST: Final = 2_000
_MARKED: Final = re.compile(r"@([^\W\d]\w*)")
"""How pandas marks names of its caller."""
_FIELD: Final = re.compile(r"[{(]([^\W\d]\w*)")
"""A name in a text that is formatted with all globals."""
_NAMED: Final = ("LOAD_NAME", "LOAD_GLOBAL")


def names_in_texts(
    variables: Iterable[str], imports: Iterable[str], attributes: set[str], texts: list[str]
) -> tuple[set[str], set[str]]:
    """Return the globals that code may look up by a text, and all names that its texts mention.

    Args:
        variables: Globals that it uses.
        imports: Modules that it imports.
        attributes: All names that it mentions.
        texts: The texts in it.

    >>> names_in_texts(["df"], [], {"df", "query"}, ["x > @limit"])
    ({'limit'}, set())
    """
    found: set[str] = set()
    mentioned: set[str] = set()
    called = set(variables)
    if reads_main(called, imports, attributes, texts):
        found |= attributes.union(filter(str.isidentifier, texts))
    if GLOBALS in called:
        found.update(filter(str.isidentifier, texts))
        found.update(name for text in texts for name in _FIELD.findall(text))
    found.update(name for text in texts for name in _MARKED.findall(text))
    if called & EVALUATE or attributes & (TAKE_CODE | TAKE_FORMULA):
        for text in texts:
            code = _compiled(text.replace("~", "+") if attributes & TAKE_FORMULA else text)
            if code is not None:
                for name, is_global in _names(code):
                    mentioned.add(name)
                    if is_global:
                        found.add(name)
    return found, mentioned


def reads_main(
    variables: set[str], imports: Iterable[str], attributes: set[str], texts: list[str]
) -> bool:
    """Whether code uses the main program as a module."""
    if MAIN in imports or MAIN in variables:
        return True
    return MODULES in attributes and (MAIN in texts or _OWN_NAME in variables)


def _compiled(text: str) -> CodeType | None:
    if len(text) > _LONGEST:
        return None
    try:
        return compile(text, "", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return None


def _names(code: CodeType) -> Iterator[tuple[str, bool]]:
    """Yield each name in code, and whether it may be that of a global."""
    for step in dis.get_instructions(code):
        if step.opname in _NAMED:
            yield step.argval, True
    for name in code.co_names:
        yield name, False
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)
