"""Keyword arguments that a function of the SDK does not have."""

from __future__ import annotations

from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any

from picloud_model.errors import nearest_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def misfit(function: Callable[..., Any], keywords: Iterable[str]) -> str:
    """Return the error of a call with a keyword argument that a function does not have.

    Args:
        function: The function.
        keywords: The names of the keyword arguments of the call.

    Returns:
        The text, which names the argument that was meant, or else all that there are; an empty
        text if the function has each argument.

    >>> misfit(cloud.join, ["timout"])
    "join() got an unexpected keyword argument 'timout'; did you mean timeout?"
    >>> misfit(cloud.is_simulated, ["workers"])
    "is_simulated() got an unexpected keyword argument 'workers'; it has none."
    >>> misfit(cloud.join, ["timeout"]), misfit(cloud.call, ["anything"])
    ('', '')
    """
    names = []
    for each in signature(function).parameters.values():
        if each.kind is Parameter.VAR_KEYWORD:
            return ""
        if each.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY):
            names.append(each.name)
    wrong = next((name for name in keywords if name not in names), None)
    if wrong is None:
        return ""
    names = [name for name in names if name != "self"]
    near = nearest_name(wrong, names)
    if near:
        hint = f"did you mean {near}?"
    else:
        hint = f"it has {', '.join(names)}." if names else "it has none."
    name = function.__qualname__.removesuffix(".__init__")
    return f"{name}() got an unexpected keyword argument {wrong!r}; {hint}"
