"""Files of environment variables, `.env`: a line `NAME=value` for each."""

from __future__ import annotations

import re
from typing import Final

from cloud.errors import CloudValueError

_LINE: Final = re.compile(
    r"""
    (?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*
    (?: '(?P<single>[^']*)' | "(?P<double>(?:[^"\\]|\\.)*)" | (?P<bare>[^'"\s].*?|) )
    \s*(?:(?<=\s)\#.*|\Z)
    """,
    re.VERBOSE,
)
_ESCAPE: Final = re.compile(r"\\(.)")
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t"}


def parse(text: str, where: str) -> dict[str, str]:
    r"""Return the variables of a file, by name; a later line of a name replaces an earlier one.

    Empty lines and comments are skipped, and so is an `export` before a name. A value may be in
    quotes; in double quotes `\n`, `\"` and `\\` have their usual meaning.

    Args:
        text: The contents of the file.
        where: What an error calls the file.

    Raises:
        CloudValueError: When a line is not of this form; it names the line and not its content.

    >>> parse('# ours\nexport USER=me # admin\nKEY="a\\nb"\nEMPTY=\nURL=x#y\n', ".env")
    {'USER': 'me', 'KEY': 'a\nb', 'EMPTY': '', 'URL': 'x#y'}
    """
    values: dict[str, str] = {}
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        read = _LINE.fullmatch(stripped)
        if read is None:
            raise CloudValueError(
                f"Line {number} of {where} is not of the form NAME=value; put a value with quotes "
                "in it into the other kind of quotes."
            )
        value = read["single"] if read["single"] is not None else read["bare"]
        if value is None:
            value = _ESCAPE.sub(lambda each: _ESCAPED.get(each[1], each[1]), read["double"])
        values[read["name"]] = value
    return values
