"""`cloud.shell`: run shell commands as jobs.

jid = cloud.shell.execute("echo {w1}, {w2}", {"w1": "hello", "w2": "world"})
print(cloud.result(jid))  # hello, world
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from cloud._arguments import command_template
from cloud._arguments.command_template import Command
from cloud._arguments.options import only_options
from cloud._client.current import client
from cloud._config.border import of_users
from cloud.errors import CloudValueError, CommandFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from picloud_model.wire.cron import CronSchedule

    from cloud._arguments.options import CallOptions
    from cloud._endpoints.access import Access
    from cloud._endpoints.encoding import Encoding
    from cloud._jobs.job import Job, Jobs

__all__ = ["CommandFailed", "cron_register", "execute", "execute_map", "rest_publish"]

CommandFailed.__module__ = __name__  # users see cloud.shell.CommandFailed
Command.__module__ = __name__  # stored batches name it so

_MOST_BYTES: Final = 128 * 1024 - 1
"""The longest single argument or environment variable that Linux passes to a program."""
_SHOWN_CHARACTERS: Final = 200
"""How much of a command lists show; a command may be long."""


@of_users
def execute(
    command: str,
    argdict: Mapping[str, Any] | None = None,
    return_file: str | None = None,
    ignore_exit_status: bool = False,
    cwd: str | None = None,
    **kwargs: Any,
) -> Job:
    """Run a shell command as a job on the cloud; return immediately.

    The job's result is what the command writes to stdout, as a string.

    Args:
        command: A command line for `/bin/sh`. `{name}` stands for a value of `argdict`, which is
            one word or a part of one and never a command of its own. `{{name}}` stands for
            `{name}`.
        argdict: The value of each template variable: text, a number or a path.
        return_file: A file that the command writes; its content is the result instead of stdout.
        ignore_exit_status: Treat any exit status as success.
        cwd: The directory that the command runs in; by default a directory of the job's own.
        kwargs: Options, as for `cloud.call`: `_type`, `_cores`, `_label`, ...

    Returns:
        The jid of the new job.

    Raises:
        CloudException: When the job cannot be sent, or values and template variables do not match.

    >>> jid = cloud.shell.execute("echo {w1}, {w2}", {"w1": "hello", "w2": "world"})
    >>> print(cloud.result(jid), end="")
    hello, world
    """
    options = _options(kwargs)
    checked = checked_command(
        command,
        _dictionary(argdict),
        return_file=return_file,
        ignore_exit_status=ignore_exit_status,
        cwd=cwd,
    )
    command_template.check(checked.command, checked.values)
    return execute_command(checked, options)


@of_users
def execute_map(  # noqa: PLR0917 - the original client's interface
    command: str,
    common_argdict: Mapping[str, Any] | None,
    map_argdict: Mapping[str, Iterable[Any]],
    return_file: str | None = None,
    ignore_exit_status: bool = False,
    cwd: str | None = None,
    **kwargs: Any,
) -> Jobs:
    """Run a shell command once for each tuple of values, each time as a job of its own.

    Args:
        command: As for `execute`.
        common_argdict: The template variables that have the same value in every job.
        map_argdict: The template variables whose values differ: the nth job gets the nth value of
            each.
        return_file: As for `execute`.
        ignore_exit_status: As for `execute`.
        cwd: As for `execute`.
        kwargs: Options, as for `cloud.map`.

    Returns:
        The jids, in the order of the values.

    Raises:
        CloudException: When the jobs cannot be sent, values and template variables do not match, or
            one variable has more values than another.

    >>> names = {"name": ["a", "b"]}
    >>> jids = cloud.shell.execute_map("echo {greeting} {name}", {"greeting": "hi"}, names)
    >>> [line.strip() for line in cloud.result(jids)]
    ['hi a', 'hi b']
    """
    options = _options(kwargs)
    mapped = _dictionary(map_argdict)
    if not mapped:
        raise CloudValueError("execute_map needs values to map; use execute for a single job.")
    columns = {name: _column(name, values) for name, values in mapped.items()}
    counts = {name: len(column) for name, column in columns.items()}
    if len(set(counts.values())) > 1:
        each = ", ".join(f"{{{name}}} has {count}" for name, count in counts.items())
        raise CloudValueError(f"Every variable must have as many values as the others: {each}.")
    common = _dictionary(common_argdict)
    twice = next((name for name in columns if name in common), None)
    if twice is not None:
        raise CloudValueError(f"The template variable {{{twice}}} is both common and mapped.")
    checked = checked_command(
        command,
        common,
        names=tuple(columns),
        return_file=return_file,
        ignore_exit_status=ignore_exit_status,
        cwd=cwd,
    )
    command_template.check(checked.command, [*checked.values, *checked.names])
    return execute_rows(checked, list(zip(*columns.values(), strict=True)), options)


@of_users
def cron_register(  # noqa: PLR0917 - the original client's interface
    command: str,
    label: str,
    schedule: str,
    return_file: str | None = None,
    ignore_exit_status: bool = False,
    cwd: str | None = None,
    *,
    timezone: str = "UTC",
    missed: str = "skip",
    overlap: str = "allow",
    **kwargs: Any,
) -> None:
    """Run a shell command as a job on a schedule; see `cloud.cron.register`.

    Args:
        command: A command line for `/bin/sh`, without template variables.
        label: As for `cloud.cron.register`.
        schedule: As for `cloud.cron.register`.
        return_file: As for `execute`.
        ignore_exit_status: As for `execute`.
        cwd: As for `execute`.
        timezone: As for `cloud.cron.register`.
        missed: As for `cloud.cron.register`.
        overlap: As for `cloud.cron.register`.
        kwargs: Options, as for `cloud.call`.

    Raises:
        CloudException: When the schedule, the command or an option is not valid.

    >>> cloud.shell.cron_register("date", "clock", "0 * * * *")
    >>> "clock" in cloud.cron.list()
    True
    """
    from cloud.cron import checked_schedule  # noqa: PLC0415 - few scripts have cron jobs

    options = _options(kwargs)
    checked = checked_command(
        command, {}, return_file=return_file, ignore_exit_status=ignore_exit_status, cwd=cwd
    )
    command_template.check(checked.command, [])
    register_cron(checked, label, checked_schedule(schedule, timezone, missed, overlap), options)


@of_users
def rest_publish(
    command: str,
    label: str,
    return_file: str | None = None,
    ignore_exit_status: bool = False,
    cwd: str | None = None,
    *,
    out_encoding: str = "raw",
    content_type: str = "",
    public: bool = False,
    calls_per_minute: int | None = None,
    origins: Sequence[str] = (),
    warm: int = 0,
    **kwargs: Any,
) -> str:
    r"""Publish a shell command as a web service; see `cloud.rest.publish`.

    Args:
        command: A command line for `/bin/sh`. The values of its template variables are the
            arguments of each call.
        label: As for `cloud.rest.publish`.
        return_file: As for `execute`.
        ignore_exit_status: As for `execute`.
        cwd: As for `execute`.
        out_encoding: As for `cloud.rest.publish`; "raw" returns what the command prints.
        content_type: As for `cloud.rest.publish`.
        public: As for `cloud.rest.publish`.
        calls_per_minute: As for `cloud.rest.publish`.
        origins: As for `cloud.rest.publish`.
        warm: As for `cloud.rest.publish`.
        kwargs: Options, as for `cloud.call`.

    Returns:
        The URL that calls it.

    Raises:
        CloudException: When the command, the label or an option is not valid.

    >>> _ = cloud.shell.rest_publish("echo hello {name}", "greet")
    >>> cloud.result(cloud.rest.invoke("greet", name="Ada"))
    'hello Ada\n'
    """
    from cloud._endpoints.access import checked_access  # noqa: PLC0415 - few scripts publish
    from cloud._endpoints.encoding import checked_encoding  # noqa: PLC0415

    checked = checked_command(
        command, {}, return_file=return_file, ignore_exit_status=ignore_exit_status, cwd=cwd
    )
    encoding = checked_encoding(out_encoding, content_type)
    access = checked_access(public, calls_per_minute, origins, warm)
    return publish_command(checked, label, _options(kwargs), encoding, access)


def checked_command(
    command: str,
    values: Mapping[str, Any],
    *,
    names: tuple[str, ...] = (),
    return_file: str | None = None,
    ignore_exit_status: bool = False,
    cwd: str | None = None,
    stdin: bytes = b"",
) -> Command:
    """Return a command whose texts a shell accepts; its template variables are not checked.

    Raises:
        CloudException: When a value is not text, a number or a path, or is too long.
    """
    return Command(
        command=_command(command),
        values={name: _text(name, value) for name, value in values.items()},
        names=names,
        return_file=_path("return_file", return_file),
        ignore_exit_status=bool(ignore_exit_status),
        cwd=_path("cwd", cwd),
        stdin=stdin,
    )


def execute_command(command: Command, options: CallOptions) -> Job:
    """Run a command that was checked already; return the job."""
    return client().submit_call(_job(command), (), {}, _named(options, command))


def register_cron(
    command: Command, label: str, schedule: CronSchedule, options: CallOptions
) -> None:
    """Run a command that was checked already on a schedule."""
    from cloud.cron import register_job  # noqa: PLC0415 - few scripts have cron jobs

    register_job(_job(command), label, schedule, _named(options, command))


def publish_command(
    command: Command, label: str, options: CallOptions, encoding: Encoding, access: Access
) -> str:
    """Publish a command that was checked already; return its URL."""
    from cloud._endpoints.publication import publish_job  # noqa: PLC0415
    from cloud._endpoints.shell_endpoint import ShellEndpoint, signature_of  # noqa: PLC0415

    signature = signature_of(command.command)
    command_template.check(command.command, [each.name for each in signature.parameters])
    job, named = ShellEndpoint(command), _named(options, command)
    return publish_job(job, label, signature, encoding, named, access=access)


def execute_rows(command: Command, rows: Sequence[tuple[Any, ...]], options: CallOptions) -> Jobs:
    """Run a command that was checked already once for each row; return the jobs.

    Args:
        command: What to run.
        rows: Rows with a value for each of the command's `names`.
        options: How to run the jobs.

    Raises:
        CloudException: When a value is not text, a number or a path, or is too long.
    """
    names, job, options = command.names, _job(command), _named(options, command)
    if not names:
        return client().submit_map(partial(_equal, job), [range(len(rows))], {}, options)
    texts = [tuple(map(_text, names, row)) for row in rows]
    columns = list(zip(*texts, strict=True)) or [()] * len(names)
    return client().submit_map(job, columns, {}, options)


def _named(options: CallOptions, command: Command) -> CallOptions:
    """Return options with the command, shortened, as the name that lists show."""
    line = " ".join(command.command.split())
    if len(line) > _SHOWN_CHARACTERS:
        line = f"{line[: _SHOWN_CHARACTERS - 1]}…"
    # The name travels as UTF-8, which has no surrogates.
    return replace(options, name=line.encode("utf-8", "replace").decode())


def _equal(job: Callable[[], str], _number: int) -> str:
    """Run one of several equal jobs."""
    return job()


def _job(command: Command) -> partial[str]:
    from cloud.command import run  # noqa: PLC0415 - `import cloud` needs no subprocess

    # The command is the same for all jobs of a map: as part of their function it is sent once.
    return partial(run, command)


def _command(command: object) -> str:
    if not isinstance(command, str) or not command.strip():
        raise CloudValueError(f"The command must be text for a shell, not {command!r:.80}.")
    return _checked("The command", command)


def _path(name: str, value: Any) -> str | None:
    try:
        return None if value is None else _checked(name, os.fspath(value))
    except TypeError:
        raise CloudValueError(f"{name} must be a path, not {value!r:.80}.") from None


def _dictionary(values: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if values is None:
        return {}
    if not hasattr(values, "items"):
        raise CloudValueError(
            f"Template variables are given as a dict, name to value, not {values!r:.80}."
        )
    return values


def _column(name: str, values: Any) -> Sequence[Any]:
    if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
        raise CloudValueError(
            f"The values of {{{name}}} must be an iterable, one a job, not {values!r:.80}."
        )
    return values if isinstance(values, (list, tuple, range)) else list(values)


def _text(name: str, value: Any) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str):
        raise CloudValueError(
            f"The value of {{{name}}} must be text, a number or a path, not {value!r:.80}."
        )
    return _checked(f"The value of {{{name}}}", value)


def _checked(what: str, text: str) -> str:
    if "\0" in text:
        raise CloudValueError(f"{what} has a NUL character, which no shell takes.")
    if len(text) > _MOST_BYTES or len(text.encode("utf-8", "surrogatepass")) > _MOST_BYTES:
        raise CloudValueError(
            f"{what} is longer than {_MOST_BYTES:,} bytes, the most that a shell takes; "
            "let the command read it from somewhere."
        )
    return text


def _options(kwargs: Mapping[str, Any]) -> CallOptions:
    hint = "values of template variables are given as a dict, options begin with an underscore."
    return only_options(kwargs, hint)


def __dir__() -> list[str]:
    """List what users call."""
    return __all__
