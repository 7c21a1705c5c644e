"""`cloud.shell`: run shell commands as jobs.

jid = cloud.shell.execute("echo {w1}, {w2}", {"w1": "hello", "w2": "world"})
print(cloud.result(jid))  # hello, world
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from cloud._client.current import client
from cloud._jobs import command_template
from cloud.errors import CloudException, CommandFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["CommandFailed", "execute", "execute_map"]

CommandFailed.__module__ = __name__  # users see cloud.shell.CommandFailed

_MOST_BYTES: Final = 128 * 1024 - 1
"""The longest text that Linux hands over to a program in one piece."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A shell command that waits for its values.

    `values` are the same for all of its jobs, `names` those of the values that differ. With
    `return_file` the result is that file's content.
    """

    command: str
    values: Mapping[str, Any] = {}
    names: tuple[str, ...] = ()
    return_file: str | None = None
    ignore_exit_status: bool = False
    cwd: str | None = None


def execute(
    command: str,
    argdict: Mapping[str, Any] | None = None,
    return_file: str | None = None,
    ignore_exit_status: bool = False,
    cwd: str | None = None,
    **kwargs: Any,
) -> int:
    """Run a shell command as a job on the cloud. Returns at once.

    The job's result is what the command writes to stdout, as a string.

    Args:
        command: For `/bin/sh`. `{name}` stands for a value of `argdict`: one word or a part of one,
            never a command of its own. `{{name}}` stands for `{name}`.
        argdict: The value of each template variable: text, a number or a path.
        return_file: A file the command writes; its content is the result in place of stdout.
        ignore_exit_status: Take an exit code other than zero for no error.
        cwd: Directory the command runs in; one of the job's own by default.
        kwargs: Options, as in `cloud.call`: `_type`, `_cores`, `_label`, ...

    Returns:
        The jid of the new job.

    Raises:
        CloudException: When it cannot be sent, or the template variables do not fit their values.
    """
    asked = Command(
        command=command,
        values=_dictionary(argdict),
        return_file=return_file,
        ignore_exit_status=ignore_exit_status,
        cwd=cwd,
    )
    return execute_command(asked, **kwargs)


def execute_map(  # noqa: PLR0917 - the original client's interface
    command: str,
    common_argdict: Mapping[str, Any] | None,
    map_argdict: Mapping[str, Iterable[Any]],
    return_file: str | None = None,
    ignore_exit_status: bool = False,
    cwd: str | None = None,
    **kwargs: Any,
) -> range:
    """Run a shell command once for each tuple of values, each time as a job of its own.

    Args:
        command: As in `execute`.
        common_argdict: Template variables that have the same value in every job.
        map_argdict: Template variables that have a value a job: the nth job gets the nth of each.
        return_file: As in `execute`.
        ignore_exit_status: As in `execute`.
        cwd: As in `execute`.
        kwargs: Options, as in `cloud.map`.

    Returns:
        The jids, in the order of the values.

    Raises:
        CloudException: When it cannot be sent, the template variables do not fit their values, or
            there are more values of one than of another.
    """
    mapped = _dictionary(map_argdict)
    if not mapped:
        raise CloudException("execute_map needs values to map; use execute for a single job.")
    columns = {name: _column(name, values) for name, values in mapped.items()}
    counts = {name: len(column) for name, column in columns.items()}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{{{name}}} has {count}" for name, count in counts.items())
        raise CloudException(f"Every variable must have as many values as the others: {told}.")
    asked = Command(
        command=command,
        values=_dictionary(common_argdict),
        names=tuple(columns),
        return_file=return_file,
        ignore_exit_status=ignore_exit_status,
        cwd=cwd,
    )
    return execute_rows(asked, list(zip(*columns.values(), strict=True)), **kwargs)


def execute_command(command: Command, **kwargs: Any) -> int:
    """Run a command as `execute` does."""
    return client().call(_job(command), **_options(kwargs))


def execute_rows(command: Command, rows: Sequence[tuple[Any, ...]], **kwargs: Any) -> range:
    """Run a command once for each row, which has a value for each of its `names`.

    Raises:
        CloudException: As `execute_map` does.
    """
    names = command.names
    twice = next((name for name in names if name in command.values), None)
    if twice is not None:
        raise CloudException(f"The template variable {{{twice}}} is both common and mapped.")
    job = _job(command)
    if not names:
        return client().map(partial(_equal, job), range(len(rows)), **_options(kwargs))
    texts = [tuple(map(_text, names, row)) for row in rows]
    columns = list(zip(*texts, strict=True)) or [()] * len(names)
    return client().map(job, *columns, **_options(kwargs))


def _equal(job: Callable[[], str], _number: int) -> str:
    """Run one of several equal jobs."""
    return job()


def _job(asked: Command) -> partial[str]:
    from cloud.command import run  # noqa: PLC0415 - `import cloud` needs no subprocess

    checked = Command(
        command=_command(asked.command),
        values={name: _text(name, value) for name, value in asked.values.items()},
        names=asked.names,
        return_file=_path("return_file", asked.return_file),
        ignore_exit_status=bool(asked.ignore_exit_status),
        cwd=_path("cwd", asked.cwd),
    )
    command_template.check(checked.command, [*checked.values, *checked.names])
    # What is the same for all jobs of a map is sent once, as a part of their function.
    return partial(run, checked)


def _command(command: object) -> str:
    if not isinstance(command, str) or not command.strip():
        raise CloudException(f"The command must be text for a shell, not {command!r:.80}.")
    return _checked("The command", command)


def _path(name: str, value: Any) -> str | None:
    try:
        return None if value is None else _checked(name, os.fspath(value))
    except TypeError:
        raise CloudException(f"{name} must be a path, not {value!r:.80}.") from None


def _dictionary(given: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if given is None:
        return {}
    if not hasattr(given, "items"):
        raise CloudException(
            f"Template variables are given as a dict, name to value, not {given!r:.80}."
        )
    return given


def _column(name: str, values: Any) -> Sequence[Any]:
    if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
        raise CloudException(
            f"The values of {{{name}}} must be an iterable, one a job, not {values!r:.80}."
        )
    return values if isinstance(values, (list, tuple, range)) else list(values)


def _text(name: str, value: Any) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str):
        raise CloudException(
            f"The value of {{{name}}} must be text, a number or a path, not {value!r:.80}."
        )
    return _checked(f"The value of {{{name}}}", value)


def _checked(what: str, text: str) -> str:
    if "\0" in text:
        raise CloudException(f"{what} has a NUL character, which no shell takes.")
    if len(text) > _MOST_BYTES or len(text.encode("utf-8", "surrogatepass")) > _MOST_BYTES:
        raise CloudException(
            f"{what} is longer than {_MOST_BYTES:,} bytes, the most that a shell takes; "
            "let the command read it from somewhere."
        )
    return text


def _options(kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in kwargs:
        if not name.startswith("_"):
            raise CloudException(
                f"There is no argument {name!r}; values of template variables are given as a dict, "
                "options begin with an underscore."
            )
    return kwargs
