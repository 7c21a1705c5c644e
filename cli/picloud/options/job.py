"""The options of the commands that create jobs."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

import msgspec
import typer
from cloud._arguments import command_template, option_values
from cloud._arguments.options import CallOptions, check_cores
from cloud.errors import CloudException
from cloud.shell import checked_command
from picloud_model.core import CORE_TYPES
from picloud_model.wire import Options
from picloud_model.wire.tunnel import PortAccess

from picloud.completion import environments, jobs, secrets, values, volumes
from picloud.options import arguments, standard_input

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cloud._arguments.command_template import Command

_DEFAULTS = Options()
_OF_SHELLS = frozenset(
    {"type", "cores", "env", "vol", "label", "priority", "max_runtime", "os_env", "port"}
)


def _core_type(name: str) -> str:
    if name not in CORE_TYPES:
        known = arguments.one_of(list(CORE_TYPES))
        raise typer.BadParameter(f"{name!r} is not a valid core type: write {known}.")
    return name


def _policy(name: str) -> str:
    known = values.error_policies("")
    if name not in known:
        raise typer.BadParameter(f"{name!r} is not valid: write {' or '.join(known)}.")
    return name


def _minutes(minutes: float | None) -> float | None:
    if minutes is not None and not minutes > 0:
        raise typer.BadParameter(
            f"{minutes:g} is not a valid time limit: give minutes, more than 0."
        )
    return minutes


def _ports(texts: list[str]) -> dict[int, PortAccess]:
    """Return who may connect to which ports.

    >>> _ports(["8000:public", "8001:private"])
    {8000: 'public', 8001: 'private'}
    """
    by_port: dict[int, str] = {}
    for text in texts:
        port, _, access = text.partition(":")
        if not (port.isascii() and port.isdigit()) or access not in get_args(PortAccess):
            raise typer.BadParameter(
                f"{text!r} is not a port and who may connect to it: write 8000:public or "
                "8000:private.",
                param_hint="--port",
            )
        if int(port) in by_port:
            raise typer.BadParameter(f"port {port} is given twice.", param_hint="--port")
        by_port[int(port)] = access
    return option_values.ports("--port", by_port)


class JobOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options for the jobs that a command creates."""

    type: Annotated[
        str,
        typer.Option(
            "--type",
            "-t",
            metavar="TYPE",
            help=f"Core type: {', '.join(CORE_TYPES)}.",
            callback=_core_type,
            autocompletion=values.core_types,
        ),
    ] = _DEFAULTS.core_type
    cores: Annotated[
        int, typer.Option("--cores", "-c", min=1, metavar="N", help="Cores for each job.")
    ] = _DEFAULTS.cores
    env: Annotated[
        str | None,
        typer.Option(
            "--env",
            "-e",
            metavar="NAME",
            help="Environment to run in.",
            autocompletion=environments.environments,
        ),
    ] = None
    vol: Annotated[
        list[str] | None,
        typer.Option(
            "--vol",
            "-v",
            metavar="NAME",
            help="Volume to mount (repeatable).",
            autocompletion=volumes.volumes,
        ),
    ] = None
    secret: Annotated[
        list[str] | None,
        typer.Option(
            "--secret",
            metavar="NAME",
            help="Secret whose values the job finds (repeatable).",
            autocompletion=secrets.secrets,
        ),
    ] = None
    label: Annotated[
        str | None,
        typer.Option(
            "--label",
            "-l",
            metavar="TEXT",
            help="Label to find the jobs by.",
            autocompletion=jobs.labels,
        ),
    ] = None
    priority: Annotated[
        int,
        typer.Option("--priority", "-p", min=0, metavar="N", help="Lower values run first."),
    ] = _DEFAULTS.priority
    depends_on: Annotated[
        str | None,
        typer.Option(
            "--depends-on",
            metavar="JIDS",
            help="Run after these jobs have ended: 7 or 7,9-12.",
            autocompletion=jobs.jids,
        ),
    ] = None
    depends_on_errors: Annotated[
        str,
        typer.Option(
            "--depends-on-errors",
            metavar="abort|ignore",
            help="What to do if one of those jobs fails.",
            callback=_policy,
            autocompletion=values.error_policies,
        ),
    ] = CallOptions().depends_on_errors
    max_runtime: Annotated[
        float | None,
        typer.Option(
            "--max-runtime",
            "-m",
            metavar="MINUTES",
            help="Abort the job after this time.",
            callback=_minutes,
        ),
    ] = None
    not_restartable: Annotated[
        bool,
        typer.Option(
            "--not-restartable", help="Let the job fail rather than run it again after a crash."
        ),
    ] = False
    os_env: Annotated[
        list[str] | None,
        typer.Option(
            "--os-env", metavar="NAME=VALUE", help="Environment variable to set (repeatable)."
        ),
    ] = None
    port: Annotated[
        list[str] | None,
        typer.Option(
            "--port",
            metavar="PORT:ACCESS",
            help="Who may connect to a port, public or private: 8000:public (repeatable).",
        ),
    ] = None
    profile: Annotated[
        bool, typer.Option("--profile", help="Profile the Python code of the job.")
    ] = False
    kill_process: Annotated[
        bool, typer.Option("--kill-process", help="Run each job in a new Python process.")
    ] = False
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            min=0,
            metavar="N",
            help="Set PICLOUD_SEED to a number that depends only on N and the job's index.",
        ),
    ] = None
    on_done: Annotated[
        str | None,
        typer.Option(
            "--on-done", metavar="URL", help="Post to this address when all jobs have ended."
        ),
    ] = None
    return_file: Annotated[
        str | None,
        typer.Option(
            "--return-file", metavar="PATH", help="Return this file instead of standard output."
        ),
    ] = None
    ignore_exit_status: Annotated[
        bool, typer.Option("--ignore-exit-status", help="Treat any exit status as success.")
    ] = False
    stdin: Annotated[bool, typer.Option("--stdin", help="Send standard input to the command.")] = (
        False
    )
    cwd: Annotated[
        str | None, typer.Option("--cwd", metavar="PATH", help="Directory to run in.")
    ] = None

    def call_options(self) -> CallOptions:
        """Return the options of the jobs.

        Raises:
            CloudException: When a value is not possible.
        """
        options = Options(
            core_type=self.type,
            cores=self.cores,
            env=option_values.environment("--env", self.env),
            vols=option_values.volumes("--vol", self.vol or []),
            secrets=option_values.secrets("--secret", self.secret or []),
            label=option_values.label("--label", self.label),
            priority=option_values.priority("--priority", self.priority),
            max_runtime_s=option_values.max_runtime("--max-runtime", self.max_runtime),
            restartable=not self.not_restartable,
            os_env_vars=option_values.variables(
                "--os-env", arguments.assignments(self.os_env, "--os-env")
            ),
            ports=_ports(self.port or []),
            profile=self.profile,
            kill_process=self.kill_process,
            seed=option_values.seed("--seed", self.seed),
            on_done=option_values.webhook("--on-done", self.on_done),
        )
        check_cores(options)
        depends_on = (
            arguments.jids(self.depends_on, param_hint="--depends-on") if self.depends_on else None
        )
        return CallOptions(
            options=options,
            depends_on=option_values.dependencies("--depends-on", depends_on),
            depends_on_errors="ignore" if self.depends_on_errors == "ignore" else "abort",
        )

    def command(
        self, words: list[str], common: Mapping[str, str], names: tuple[str, ...] | None = ()
    ) -> Command:
        """Return the command that the words of a command line make, with its values.

        A single word is a command line for the shell. Several words are a program and its
        arguments: the shell here has parsed them already, and they are not parsed again. Without
        `names` the template variables get their values later.

        Raises:
            typer.BadParameter: When template variables and values do not match.
            CloudException: When a text is too long.
        """
        if not self.stdin:
            standard_input.warn_if_dropped()
        command = checked_command(
            words[0] if len(words) == 1 else command_template.join(words),
            common,
            names=names or (),
            return_file=self.return_file,
            ignore_exit_status=self.ignore_exit_status,
            cwd=self.cwd,
            stdin=standard_input.read() if self.stdin else b"",
        )
        if names is None:
            names = tuple(command_template.variables(command.command))
        try:
            command_template.check(command.command, [*common, *names])
        except CloudException as error:
            raise typer.BadParameter(str(error), param_hint="COMMAND") from None
        return command


def takes_shell_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add those options to a command that make sense for a job in which a user works."""
    return takes_job_options(command, _OF_SHELLS)


def takes_job_options(
    command: Callable[..., None], names: frozenset[str] | None = None
) -> Callable[..., None]:
    """Add these options to a command, which receives them as its argument `options`.

    Args:
        command: The command.
        names: Which of them; all by default.
    """
    hints = get_type_hints(JobOptions, include_extras=True)
    fields = [
        each for each in msgspec.structs.fields(JobOptions) if names is None or each.name in names
    ]
    signature = inspect.signature(command, eval_str=True)
    own = [each for each in signature.parameters.values() if each.name != "options"]
    added = [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=each.default,
            annotation=hints[each.name],
        )
        for each in fields
    ]

    @functools.wraps(command)
    def wrapper(**arguments_: Any) -> None:
        options = JobOptions(**{each.name: arguments_.pop(each.name) for each in fields})
        command(**arguments_, options=options)

    parameters = [*own, *added]
    wrapper.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {each.name: each.annotation for each in parameters}
    return wrapper
