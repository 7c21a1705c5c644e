"""Shell commands with template variables: `{name}` stands for a value, `{{name}}` for itself.

A value is never written into the command. It is passed in an environment variable, and the command
refers to that variable: a shell does not parse again what it has expanded, so no value can become
a second command, whatever surrounds it. Quoting values into the text is the alternative; it is
safe only if every quote of the user's command is understood exactly.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from cloud.errors import CloudValueError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

_VARIABLE: Final = re.compile(
    r"\{\{(?P<kept>[A-Za-z_]\w*)\}\}|(?<!\$)\{(?P<name>[A-Za-z_]\w*)\}", re.ASCII
)
_HERE_DOCUMENT: Final = re.compile(r"(?<!<)<<-?[ \t]*(['\"\\]?)([A-Za-z_]\w*)['\"]?")
"""The operator of a here-document: whether its delimiter is quoted, and the delimiter."""
_CLOSING: Final = {"'": "'", '"': '"', "`": "`", "(": ")"}
"""Each opening quote and the character that closes it."""
_NAME: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_PREFIX: Final = "PICLOUD_ARG_"


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A shell command with the values of its template variables.

    `values` are the same in every job of a map; `names` are the variables whose values differ. With
    `return_file` the result is the content of that file. The command reads `stdin`.
    """

    command: str
    values: Mapping[str, Any] = {}
    names: tuple[str, ...] = ()
    return_file: str | None = None
    ignore_exit_status: bool = False
    cwd: str | None = None
    stdin: bytes = b""


def variables(command: str) -> list[str]:
    """Return the template variables of a command, each once, in the order of their appearance.

    >>> variables("cp {source} ${HOME}/{target} {{kept}} {source}")
    ['source', 'target']
    """
    names = (match["name"] for match in _VARIABLE.finditer(command))
    return list(dict.fromkeys(name for name in names if name))


def check(command: str, names: Collection[str]) -> None:
    """Check that the values of these names are exactly those that a command needs.

    Raises:
        CloudException: When a variable has no value, a value has no variable, or a variable stands
            where the shell expands nothing.

    >>> check("echo {w1}", ["w1", "w2"])
    Traceback (most recent call last):
        ...
    cloud.CloudValueError: The command has no template variable {w2}, but a value is given for it.
    """
    used = variables(command)
    for name in used:
        if name not in names:
            raise CloudValueError(
                f"The command's template variable {{{name}}} has no value; write {{{{{name}}}}} "
                f"for a literal {{{name}}}."
            )
    for name in names:
        if name not in used:
            raise CloudValueError(
                f"The command has no template variable {{{name}}}, but a value is given for it."
            )
    render(command)


def is_name(text: object) -> bool:
    """Whether a text can name a template variable: letters, digits and _, not a digit first.

    >>> is_name("w1"), is_name("1w")
    (True, False)
    """
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def environment_name(name: str) -> str:
    """Return the environment variable that holds the value of a template variable.

    >>> environment_name("w1")
    'PICLOUD_ARG_w1'
    """
    return _PREFIX + name


def render(command: str) -> str:
    r"""Return a command in which each variable is a reference to the environment variable.

    A value is one word or a part of one, also within double and single quotes.

    >>> print(render('echo {w} "in {w}" \'and {w}\''))
    echo "${PICLOUD_ARG_w}" "in ${PICLOUD_ARG_w}" 'and '"${PICLOUD_ARG_w}"''
    """
    parts: list[str] = []
    end = 0
    quotes = _ShellQuotes(command)
    for match in _VARIABLE.finditer(command):
        parts.append(command[end : match.start()])
        end = match.end()
        if match["kept"]:
            parts.append(f"{{{match['kept']}}}")
            continue
        reference = f"${{{environment_name(match['name'])}}}"
        around = {'"': "", "'": "'\""}.get(quotes.around(match.start()), '"')
        parts.append(around + reference + around[::-1])
    return "".join([*parts, command[end:]])


def join(arguments: Iterable[str]) -> str:
    """Return the command that passes these arguments on as they are, with their variables kept.

    >>> join(["echo", "a  b", "{w1},", "{w 2}"])
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


class _ShellQuotes:
    """Finds the quotes around positions of a command, from left to right.

    It knows the common part of the shell's grammar only. Where a command goes beyond that, a value
    may be split into words; it never becomes a command of its own.
    """

    def __init__(self, command: str) -> None:
        self._command = command
        self._position = 0
        self._open: list[str] = []
        self._announced: list[tuple[str, str]] = []
        self._document_end = 0
        self._document_quote = ""

    def around(self, position: int) -> str:
        """Return the innermost quote around a position: `'`, `"`, or any other text for neither.

        Raises:
            CloudException: When the position is in a here-document in which the shell expands
                nothing.
        """
        while self._position < position:
            self._position += self._step()
        if position < self._document_end:
            if self._document_quote:
                raise CloudValueError(
                    "A template variable stands in a here-document whose delimiter is quoted, and "
                    "there a shell fills in nothing; take the quotes off the delimiter."
                )
            return '"'
        return self._innermost()

    def _innermost(self) -> str:
        return self._open[-1] if self._open else ""

    def _step(self) -> int:
        """Read what begins at the current position; return its length."""
        char, inside = self._command[self._position], self._innermost()
        if inside == "'":
            return self._close() if char == "'" else 1
        if char == "\\":
            return 2
        if char == _CLOSING.get(inside):
            return self._close()
        if self._opens(char, inside):
            self._open.append(char)
            return 1
        if char == "\n" and self._announced:
            return self._skip_documents()
        return 1 if inside == '"' else self._step_unquoted(char)

    def _step_unquoted(self, char: str) -> int:
        if char == "<":
            return self._announce_document()
        if char == "#" and self._begins_word():
            return self._skip_comment()
        return 1

    def _opens(self, char: str, inside: str) -> bool:
        """Whether a character opens a quote, a command substitution or a nested parenthesis."""
        if char == "(":
            return inside == "(" or self._command[self._position - 1 : self._position] == "$"
        return char in '"`' or (char == "'" and inside != '"')

    def _close(self) -> int:
        self._open.pop()
        return 1

    def _announce_document(self) -> int:
        """Record that a here-document follows the line, if one is announced here."""
        operator = _HERE_DOCUMENT.match(self._command, self._position)
        if operator is None:
            return 1
        self._announced.append((operator[1], operator[2]))
        return len(operator[0])

    def _skip_documents(self) -> int:
        """Skip the here-documents that follow this line."""
        end = self._position + 1
        for _, delimiter in self._announced:
            last_line = re.compile(rf"^\t*{delimiter}$", re.MULTILINE).search(self._command, end)
            end = last_line.end() if last_line else len(self._command)
        self._document_end = end
        self._document_quote = "".join(quote for quote, _ in self._announced)
        self._announced.clear()
        return end - self._position

    def _skip_comment(self) -> int:
        end = self._command.find("\n", self._position)
        return (end if end >= 0 else len(self._command)) - self._position

    def _begins_word(self) -> bool:
        return not self._position or self._command[self._position - 1] in " \t\n;&|("
