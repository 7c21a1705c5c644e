"""What a recipe may contain, whatever builds it: no text of it becomes an option or a path."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from picloud_model.wire.environment import Recipe

_REQUIREMENT: Final = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[A-Za-z0-9._,\s-]*\])?\s*"
    r"(@\s*(https|git\+https)://[^\s;]+|[^@;\s/][^@;/]*)?(\s*;[^/\n]*)?"
)
_DEBIAN: Final = re.compile(r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.](=[A-Za-z0-9][A-Za-z0-9.+:~-]*)?")


def refusal(recipe: Recipe) -> str:
    """Return what is wrong with a recipe, in a sentence; "" if nothing is.

    >>> from picloud_model.wire.environment import Recipe
    >>> refusal(Recipe(files={"../x": ""}))
    "'../x' is not a valid path of a file below the environment."
    """
    for each in recipe.pip:
        # A line break would begin another line of uv's file, a dash an option.
        is_one = each.isprintable() and " -" not in each
        if not is_one or _REQUIREMENT.fullmatch(each) is None:
            return f"{each[:100]!r} is not a valid requirement; write numpy or numpy==2.1.0."
        if re.split(r"[^A-Za-z0-9]", each.strip())[0].lower() == "picloud":
            return "Each environment has the picloud of the server; leave it out of pip."
    for each in recipe.apt:
        # apt-get takes a dash at the end for a package that is to be removed.
        if _DEBIAN.fullmatch(each) is None:
            return f"{each[:100]!r} is not a valid Debian package; write vim or vim=2:9.0.1378-2."
    for path in recipe.files:
        parts = PurePosixPath(path)
        if not path or parts.is_absolute() or ".." in parts.parts or "\0" in path:
            return f"{path[:100]!r} is not a valid path of a file below the environment."
    for what, words in (("A command", recipe.commands), ("The test command", recipe.test)):
        if any("\0" in each for each in words):
            return f"{what} contains a NUL character."
    return ""
