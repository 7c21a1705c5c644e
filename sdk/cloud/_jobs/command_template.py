"""Template variables of shell commands: `{name}` stands for a value, `{{name}}` for itself.

A value is never written into the command. It travels as an environment variable of the command,
and the shell expands a reference to it: what a shell has expanded it does not parse again, so that
no value can become a second command, whatever surrounds it. Quoting values into the text was the
alternative; that holds only as long as every quote of the user's is understood exactly.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Final

from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

_VARIABLE: Final = re.compile(
    r"\{\{(?P<kept>[A-Za-z_]\w*)\}\}|(?<!\$)\{(?P<name>[A-Za-z_]\w*)\}", re.ASCII
)
_HERE: Final = re.compile(r"(?<!<)<<-?[ \t]*(['\"\\]?)([A-Za-z_]\w*)['\"]?")
"""Where a here-document is announced: whether its delimiter is quoted, and the delimiter."""
_NAME: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_PREFIX: Final = "PICLOUD_ARG_"


def variables(command: str) -> list[str]:
    """The template variables of a command, each once, in their order.

    >>> variables("cp {source} ${HOME}/{target} {{kept}} {source}")
    ['source', 'target']
    """
    found = (match["name"] for match in _VARIABLE.finditer(command))
    return list(dict.fromkeys(name for name in found if name))


def check(command: str, given: Collection[str]) -> None:
    """Refuse values that do not fit the variables of a command one by one.

    Raises:
        CloudException: When a variable has no value, or a value no variable; it is named. When a
            variable stands where no value can be filled in.

    >>> check("echo {w1}", ["w1", "w2"])
    Traceback (most recent call last):
        ...
    cloud.CloudException: The command has no template variable {w2}, but a value is given for it.
    """
    wanted = variables(command)
    for name in wanted:
        if name not in given:
            raise CloudException(
                f"The command's template variable {{{name}}} has no value; write {{{{{name}}}}} "
                f"where the command shall read {{{name}}} itself."
            )
    for name in given:
        if name not in wanted:
            raise CloudException(
                f"The command has no template variable {{{name}}}, but a value is given for it."
            )
    rendered(command)


def is_name(text: object) -> bool:
    """Whether a text can name a template variable: letters, digits and _, no digit first.

    >>> is_name("w1"), is_name("1w")
    (True, False)
    """
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def holder(name: str) -> str:
    """The environment variable that a value travels in.

    >>> holder("w1")
    'PICLOUD_ARG_w1'
    """
    return _PREFIX + name


def rendered(command: str) -> str:
    r"""The command as the shell gets it: each variable a reference to where its value is.

    A value is one word, or a part of one, in double and in single quotes, too.

    >>> print(rendered('echo {w} "in {w}" \'and {w}\''))
    echo "${PICLOUD_ARG_w}" "in ${PICLOUD_ARG_w}" 'and '"${PICLOUD_ARG_w}"''
    """
    parts: list[str] = []
    end = 0
    quotes = _Quotes(command)
    for match in _VARIABLE.finditer(command):
        parts.append(command[end : match.start()])
        end = match.end()
        if match["kept"]:
            parts.append(f"{{{match['kept']}}}")
            continue
        reference = f"${{{holder(match['name'])}}}"
        around = {'"': "", "'": "'\""}.get(quotes.at(match.start()), '"')
        parts.append(around + reference + around[::-1])
    return "".join([*parts, command[end:]])


def joined(arguments: Iterable[str]) -> str:
    """A command of which each argument stays what it is, but for its template variables.

    >>> joined(["echo", "a  b", "{w1},", "{w 2}"])
    "echo 'a  b' {w1}, '{w 2}'"
    """
    return " ".join("".join(_pieces(argument)) or "''" for argument in arguments)


def _pieces(argument: str) -> Iterator[str]:
    end = 0
    for match in _VARIABLE.finditer(argument):
        if match["name"]:
            yield _literal(argument[end : match.start()])
            yield match[0]
            end = match.end()
    yield _literal(argument[end:])


def _literal(text: str) -> str:
    return shlex.quote(text) if text else ""


class _Quotes:
    """Which quotes a position of a command lies in, asked for from left to right.

    Where a command is too clever for this a value may be split into words, and no more than that.
    """

    def __init__(self, command: str) -> None:
        self._command = command
        self._at = 0
        self._open: list[str] = []
        self._announced: list[tuple[str, str]] = []
        self._here = (0, "")

    def at(self, position: int) -> str:
        """The innermost quote around a position: `'`, `"`, or something else.

        Raises:
            CloudException: When it is in a here-document in which a shell expands nothing.
        """
        while self._at < position:
            self._at += self._step(self._command[self._at], self._open[-1] if self._open else "")
        end, quote = self._here
        if position < end:
            if quote:
                raise CloudException(
                    "A template variable stands in a here-document whose delimiter is quoted, and "
                    "there a shell fills in nothing; take the quotes off the delimiter."
                )
            return '"'
        return self._open[-1] if self._open else ""

    def _step(self, char: str, inside: str) -> int:
        """Take one character into account; how far to go on."""
        if inside == "'":
            if char == "'":
                self._open.pop()
        elif char == "\\":
            return 2
        elif char == inside or (char == ")" and inside == "("):
            self._open.pop()
        elif char in '"`' or (char == "'" and inside != '"'):
            self._open.append(char)
        elif char == "(" and (inside == "(" or self._command[self._at - 1 : self._at] == "$"):
            self._open.append("(")
        elif char == "<" and inside != '"':
            return self._announcement()
        elif char == "\n" and self._announced:
            return self._documents()
        elif char == "#" and inside != '"' and self._begins_word():
            end = self._command.find("\n", self._at)
            return (end if end >= 0 else len(self._command)) - self._at
        return 1

    def _announcement(self) -> int:
        """Note that a here-document follows the line, if this is what says so; how far to go on."""
        found = _HERE.match(self._command, self._at)
        if found is None:
            return 1
        self._announced.append((found[1], found[2]))
        return len(found[0])

    def _documents(self) -> int:
        """Go past the here-documents that follow a line; how far."""
        end = self._at + 1
        for _, delimiter in self._announced:
            last = re.compile(rf"^\t*{delimiter}$", re.MULTILINE).search(self._command, end)
            end = last.end() if last else len(self._command)
        self._here = (end, "".join(quote for quote, _ in self._announced))
        self._announced.clear()
        return end - self._at

    def _begins_word(self) -> bool:
        return not self._at or self._command[self._at - 1] in " \t\n;&|("
