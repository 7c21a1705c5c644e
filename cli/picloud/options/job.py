"""The options of every command that makes jobs."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import msgspec
import typer
from cloud._jobs import command_template
from cloud.errors import CloudException
from cloud.shell import Command
from picloud_model.core import CORE_TYPES

from picloud.completion import jobs, values
from picloud.options import arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def _core_type(name: str | None) -> str | None:
    if name is not None and name not in CORE_TYPES:
        raise typer.BadParameter(f"{name!r} is no core type; there are {', '.join(CORE_TYPES)}.")
    return name


def _policy(name: str | None) -> str | None:
    known = values.error_policies("")
    if name is not None and name not in known:
        raise typer.BadParameter(f"{name!r} is neither {' nor '.join(known)}.")
    return name


def _minutes(minutes: float | None) -> float | None:
    if minutes is not None and not minutes > 0:
        raise typer.BadParameter(f"{minutes:g} is no time to run: give minutes, more than 0.")
    return minutes


class JobOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says of the jobs to make."""

    type: Annotated[
        str | None,
        typer.Option(
            "--type",
            "-t",
            metavar="TYPE",
            help=f"Core type: {', '.join(CORE_TYPES)}.",
            callback=_core_type,
            autocompletion=values.core_types,
        ),
    ] = None
    cores: Annotated[
        int | None,
        typer.Option("--cores", "-c", min=1, metavar="N", help="Cores of that type a job."),
    ] = None
    env: Annotated[
        str | None, typer.Option("--env", "-e", metavar="NAME", help="Environment to run in.")
    ] = None
    vol: Annotated[
        list[str] | None,
        typer.Option("--vol", "-v", metavar="NAME", help="Volume to mount; may come again."),
    ] = None
    label: Annotated[
        str | None,
        typer.Option(
            "--label",
            "-l",
            metavar="TEXT",
            help="Text to find the job by.",
            autocompletion=jobs.labels,
        ),
    ] = None
    priority: Annotated[
        int | None,
        typer.Option("--priority", "-p", min=0, metavar="N", help="Lower runs first; 5 is usual."),
    ] = None
    depends_on: Annotated[
        str | None,
        typer.Option(
            "--depends-on",
            metavar="JIDS",
            help="Run after these jobs: 7, or 7,9-12.",
            autocompletion=jobs.jids,
        ),
    ] = None
    depends_on_errors: Annotated[
        str | None,
        typer.Option(
            "--depends-on-errors",
            metavar="abort|ignore",
            help="What to do when one of those failed; abort is usual.",
            callback=_policy,
            autocompletion=values.error_policies,
        ),
    ] = None
    max_runtime: Annotated[
        float | None,
        typer.Option(
            "--max-runtime",
            "-m",
            metavar="MINUTES",
            help="End the job after this long.",
            callback=_minutes,
        ),
    ] = None
    not_restartable: Annotated[
        bool, typer.Option("--not-restartable", help="Fail rather than start a second time.")
    ] = False
    os_env: Annotated[
        list[str] | None,
        typer.Option(
            "--os-env", metavar="NAME=VALUE", help="Environment variable; may come again."
        ),
    ] = None
    profile: Annotated[bool, typer.Option("--profile", help="Profile the job's Python.")] = False
    kill_process: Annotated[
        bool, typer.Option("--kill-process", help="Give the job a Python process of its own.")
    ] = False
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            min=0,
            metavar="N",
            help="Seed: sets PICLOUD_SEED to a number of the job's own that depends on N only.",
        ),
    ] = None
    return_file: Annotated[
        str | None,
        typer.Option(
            "--return-file", metavar="PATH", help="The result is this file, in place of stdout."
        ),
    ] = None
    ignore_exit_status: Annotated[
        bool,
        typer.Option("--ignore-exit-status", help="Take no exit code for an error."),
    ] = False
    cwd: Annotated[
        str | None, typer.Option("--cwd", metavar="PATH", help="Directory to run in.")
    ] = None

    def keywords(self) -> dict[str, Any]:
        """The options as `cloud.call` takes them; only those that were given."""
        found: dict[str, Any] = {
            "_type": self.type,
            "_cores": self.cores,
            "_env": self.env,
            "_vol": self.vol or None,
            "_label": self.label,
            "_priority": self.priority,
            "_depends_on_errors": self.depends_on_errors,
            "_max_runtime": self.max_runtime,
            "_restartable": False if self.not_restartable else None,
            "_os_env_vars": arguments.assignments(self.os_env, "--os-env") or None,
            "_profile": self.profile or None,
            "_kill_process": self.kill_process or None,
            "_seed": self.seed,
        }
        if self.depends_on is not None:
            found["_depends_on"] = arguments.jids(self.depends_on, "--depends-on")
        return {name: value for name, value in found.items() if value is not None}

    def command(
        self, words: list[str], values: Mapping[str, str], names: tuple[str, ...] = ()
    ) -> Command:
        """The command that some words of the command line make, with its values.

        One word is a line for the shell. Several are a program and its arguments, which the shell
        here has parsed already, and which stay as they are.

        Raises:
            typer.BadParameter: When template variables and values do not match.
        """
        line = words[0] if len(words) == 1 else command_template.joined(words)
        try:
            command_template.check(line, [*values, *names])
        except CloudException as error:
            raise typer.BadParameter(str(error), param_hint="COMMAND") from None
        return Command(
            command=line,
            values=values,
            names=names,
            return_file=self.return_file,
            ignore_exit_status=self.ignore_exit_status,
            cwd=self.cwd,
        )


def takes_job_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command all of these options; it gets them in one, as its argument `options`."""
    hints = get_type_hints(JobOptions, include_extras=True)
    fields = msgspec.structs.fields(JobOptions)
    signature = inspect.signature(command, eval_str=True)
    own = [each for each in signature.parameters.values() if each.name != "options"]
    more = [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=each.default,
            annotation=hints[each.name],
        )
        for each in fields
    ]

    @functools.wraps(command)
    def wrapper(**given: Any) -> None:
        chosen = JobOptions(**{each.name: given.pop(each.name) for each in fields})
        command(**given, options=chosen)

    parameters = [*own, *more]
    wrapper.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {each.name: each.annotation for each in parameters}
    return wrapper
