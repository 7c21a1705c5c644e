"""What the command says of errors: in one line, in the words of a command line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from cloud import CloudException
from picloud_model.ranges import format_jids

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def _unquoted(matched: re.Match[str]) -> str:
    """Return the beginning of a usage error with its option as our own errors write it."""
    return f"Invalid value for {' / '.join(filter(None, matched.groups()))}:"


def _missing(matched: re.Match[str]) -> str:
    """Return the beginning of a usage error that names what a command lacks, without quotes."""
    kind, *names = matched.groups()
    return f"Missing {kind} {' / '.join(filter(None, names))}".removesuffix("...")


def _other_kind(matched: re.Match[str]) -> str:
    """Return the end of a usage error of a path that names something else than it has to."""
    kind = {"file": "directory", "directory": "file"}[matched[2]]
    return f": {matched[1]} is a {matched[2]}, not a {kind}"


def _one_of(matched: re.Match[str]) -> str:
    """Return the end of a usage error of a value that is not one of a few, as our own errors do."""
    *others, last = matched[2].replace("'", "").split(", ")
    return f"{matched[1]} is not valid: write {', '.join(others)} or {last}"


_NAMES: Final = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"(?<![\w.'\"-])_os_env_vars\b", "--os-env"),
        (r"(?<![\w.'\"-])_secrets\b", "--secret"),
        (r"(?<![\w.'\"-])_restartable\b", "--not-restartable"),
        (r"(?<![\w.'\"-])_(max|kill)_(runtime|process)\b", r"--\1-\2"),
        (r"(?<![\w.'\"-])_depends_on_errors\b", "--depends-on-errors"),
        (r"(?<![\w.'\"-])_depends_on\b", "--depends-on"),
        (r"(?<![\w.'\"-])_(cores|cwd|env|label|priority|profile|seed|type|vol)\b", r"--\1"),
        (r"call cloud\.start_simulator\(\)", "use `picloud --simulate`"),
        (r" or cloud\.setkey\(\)", ""),
    )
)
"""What the module `cloud` calls options and functions, and what this command calls them."""
_PLAIN: Final = tuple(
    (re.compile(pattern), sentence)
    for pattern, sentence in (
        (r"Input should be a valid integer\b.*", "it must be a whole number"),
        (r"Input should be a valid number\b.*", "it must be a number"),
        (r"Input should be greater than or equal to ([\d.]+)", r"it must be \1 or more"),
        (r"Input should be less than or equal to ([\d.]+)", r"it must be \1 or less"),
        (r"Input should be\b", "it must be"),
        (r"Value error, (.*) is not one of (.*)", r"\1 is not one of \2"),
        (
            r"No such option: (\S+) \(Possible options?: (.*)\)",
            r"No such option: \1. Did you mean \2?",
        ),
        (r": (?:[Dd]ir(?:ectory)?|[Ff]ile|[Pp]ath) ('.*') is a (file|directory)\b", _other_kind),
        (r"('[^']*') is not one of ('[^']+'(?:, '[^']+')+)(?=\.?$)", _one_of),
        (r"^Got unexpected extra argument\(s\) \((.*)\)", r"Unexpected argument: \1"),
        (r"^Option '(\S+)' requires an argument\b", r"\1 needs a value"),
        (r"^Invalid value for '(\S+)'(?: / '(\S+)')?:", _unquoted),
        (r"^Missing (argument|option) '([^']+)'(?: / '([^']+)')?", _missing),
    )
)
"""What typer says of values, and how we say it."""
_TRACEBACKS: Final = ("Traceback", "Exception Group Traceback")
_SHOWN: Final = 10
"""The most jids that a message names, if they are not a range."""
_WAITING: Final = frozenset({"join", "logs"})
"""Commands that wait for jobs as `picloud result` does."""
_WITH_JOBS: Final = frozenset({"exec", "mapexec", "result", "join", "logs", "wait-for"})
"""Commands that submit jobs or wait for them."""


_BEFORE: Final = frozenset(
    {
        *("--profile", "--api-key", "-a", "--api-secretkey", "-k", "--simulate", "-s"),
        *("--output", "-o", "--verbose", "-v", "--debug"),
    }
)
"""Options of `picloud` itself."""


_UNKNOWN: Final = re.compile(r"No such command '([\w-]+)'")
_SYNONYMS: Final = (
    frozenset({"delete", "remove", "rm", "del", "deregister", "unregister", "unpublish", "unset"}),
    frozenset({"list", "ls", "show", "get", "ps", "jobs"}),
    frozenset({"list", "keys", "names", "values", "items"}),
    frozenset({"purge", "clear", "empty", "remove"}),
    frozenset({"dict", "dictionary", "dictionaries"}),
    frozenset({"create", "new", "add", "set", "register", "publish", "put"}),
    frozenset({"release", "unlock", "break", "free"}),
    frozenset({"start", "run", "exec", "submit", "launch"}),
    frozenset({"kill", "cancel", "abort", "stop", "end"}),
    frozenset({"down", "shutdown", "stop", "halt"}),
)
"""Names of commands that mean about the same, here or in other programs."""
_NEGATIVE: Final = re.compile(r"-[\d.]")
"""How a negative value begins, and no option does."""
_NUMBERS: Final = frozenset(
    {"DOLLARS", "JID", "JIDS", "JIDS...", "PORT", "PORT[:LOCAL]", "SECONDS", "VERSION"}
)
"""Arguments of commands that are numbers."""


def interruption(command: str, stop: BaseException) -> str:
    """Return what Ctrl-C means for a command.

    Args:
        command: Its name; empty if its jobs end with it, as those of the simulator do.
        stop: What ended the command.

    >>> interruption("setup", KeyboardInterrupt())
    'Interrupted.'
    >>> from cloud._jobs.interrupt import interrupted
    >>> interruption("join", interrupted([8], [(8, 8)]))
    'Interrupted. Job 8 goes on; `picloud join 8` waits again, `picloud kill 8` ends it.'
    """
    from cloud._jobs.interrupt import StoppedWait  # noqa: PLC0415 - only Ctrl-C needs it

    wait = stop.args[0] if stop.args else None
    if command and isinstance(wait, StoppedWait):
        jids = _as_argument(wait.jids)
        again = command if command in _WAITING else "result"
        text = wait.text(f"`picloud {again} {jids}`", f"`picloud kill {jids}`")
        return f"Interrupted. {text}"
    if command not in _WITH_JOBS:
        return "Interrupted."
    return (
        "Interrupted. Submitted jobs go on; `picloud jobs` lists them, and "
        "`picloud kill JIDS` ends them."
    )


def _as_argument(jids: Sequence[int]) -> str:
    """Return jids as a command takes them; `JIDS` for many.

    >>> _as_argument(range(7, 10)), _as_argument([7, 9]), _as_argument([*range(100)])
    ('7-9', '7,9', 'JIDS')
    """
    if isinstance(jids, range):
        return format_jids(jids)
    return ",".join(map(str, jids)) if len(jids) <= _SHOWN else "JIDS"


def message_of(error: Exception, typed: Iterable[str] = ()) -> str:
    r"""Return an error in one line; that of a failed job with its traceback.

    Args:
        error: The error.
        typed: The arguments of the command; what they name is not an option of the error.

    >>> message_of(CloudException("Traceback ...\nValueError: no", jid=8, summary="ValueError: no"))
    'Job 8: ValueError: no\nTraceback ...\nValueError: no'
    >>> message_of(CloudException("signal 11 (SIGSEGV)\nlast words", jid=8))
    'Job 8: signal 11 (SIGSEGV)\nlast words'
    >>> message_of(TypeError("no"))
    'picloud failed with an internal error (TypeError: no); `picloud --debug ...` shows where.'
    """
    if not isinstance(error, CloudException):
        kind = type(error).__name__
        text = " ".join(f"{kind}: {error}".split())
        return f"picloud failed with an internal error ({text}); `picloud --debug ...` shows where."
    if not isinstance(error.jid, int):
        return in_words_of_commands(" ".join(str(error).split()), typed)
    text = str(error.value).rstrip()
    if text.lstrip(" +").startswith(_TRACEBACKS):  # the last line of a traceback says what happened
        text = f"{' '.join(error.summary.split())}\n{text}"
    among = f"{error.among}: " if error.among else ""
    return f"{among}Job {error.jid}: {text}"


def in_words_of_commands(text: str, typed: Iterable[str] = ()) -> str:
    """Return a text with the options of this command in place of those of `cloud.call`.

    A name that the user typed is not one of these: it is that of an object, a file or a label.

    >>> in_words_of_commands("A job on c1 may have 1 core (_cores), not 2.")
    'A job on c1 may have 1 core (--cores), not 2.'
    >>> in_words_of_commands("There is no object data/_type.", ["get", "data/_type"])
    'There is no object data/_type.'
    """
    line = "\0".join(typed)
    for pattern, name in _NAMES:
        if not pattern.search(line):
            text = pattern.sub(name, text)
    return text


def plain(text: str) -> str:
    """Return a usage error without the phrases of the library that checks values.

    >>> plain("Invalid value for '--workers': Input should be greater than or equal to 1")
    'Invalid value for --workers: it must be 1 or more'
    """
    for pattern, sentence in _PLAIN:
        text = pattern.sub(sentence, text)
    return text


def _same(context: Any, name: str) -> list[str]:
    """Return the commands of a group that mean the same as one that it does not have."""
    known = context.command.list_commands(context) if context else []
    return [each for each in known if any(name in words and each in words for words in _SYNONYMS)]


def _of_negative(command: Any, option: str) -> str:
    """Return what to say of a negative value, which is read as an option that does not exist."""
    arguments = [each.metavar for each in command.params if each.param_type_name == "argument"]
    numbers = [each for each in arguments if each in _NUMBERS]
    if numbers:
        return f"{' and '.join(numbers).replace('...', '')} cannot be negative"
    text = f"No such option: {option}"
    return f"{text}. If it is a value, write -- in front of it" if arguments else text


def usage_error(error: Any, command: str = "picloud") -> str:
    """Return what typer says of a command line, in one line that names the command's help.

    `command` is the one whose help it names if the error does not know its own.
    """
    where = error.ctx.command_path if error.ctx else command
    text = plain(" ".join(error.format_message().split()))
    option = getattr(error, "option_name", "")
    if option in _BEFORE and " " in where:
        text = f"No such option: {option}. It precedes the command: picloud {option} ..."
    if option == "--json" and " " not in where:
        text = "No such option: --json. It follows the command; before it, write -o json"
    if (unknown := _UNKNOWN.match(text)) and (same := _same(error.ctx, unknown[1])):
        text = f"No such command {unknown[1]!r}. Did you mean {' or '.join(map(repr, same))}?"
    if _NEGATIVE.match(option):
        text = _of_negative(error.ctx.command, option)
    if text.startswith("No such option: --slots") and where.endswith(" up"):
        text = "No such option: --slots. Did you mean --workers?"  # which is not spelt like it
    text = text if text.endswith(("?", "...")) else f"{text.rstrip('.')}."
    return f"{text} Try '{where} --help'."
