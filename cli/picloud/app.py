"""The command `picloud`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any, Final, NoReturn, cast

import msgspec
import typer
from cloud import CloudException
from typer.core import TyperGroup

from picloud import exits, output
from picloud.commands import account, key, wait_for
from picloud.commands.delete import delete
from picloud.commands.down import down
from picloud.commands.exec import execute
from picloud.commands.info import info
from picloud.commands.jobs import jobs
from picloud.commands.join import join
from picloud.commands.kill import kill
from picloud.commands.logs import logs
from picloud.commands.mapexec import mapexec
from picloud.commands.result import result
from picloud.commands.setup import setup
from picloud.commands.status import status
from picloud.commands.top import top
from picloud.commands.up import up
from picloud.options import server  # noqa: TC001 - typer reads annotations when it runs
from picloud.server_choice import ServerChoice

_UsageError = cast("type[Exception]", typer.BadParameter.__mro__[1])
"""What typer calls every command line that makes no sense; it names one kind of them only."""


class CommandRow(msgspec.Struct, frozen=True):
    """One command: its name and the function or the group of commands that runs it.

    With `options_first` everything after the first word of a command belongs to that command; with
    `needs_server` a server is chosen before it runs.
    """

    name: str
    run: Callable[..., None] | typer.Typer
    options_first: bool = False
    needs_server: bool = True


COMMANDS: Final = (
    CommandRow("up", up, needs_server=False),
    CommandRow("down", down, needs_server=False),
    CommandRow("setup", setup, needs_server=False),
    CommandRow("exec", execute, options_first=True),
    CommandRow("mapexec", mapexec, options_first=True),
    CommandRow("jobs", jobs),
    CommandRow("top", top),
    CommandRow("status", status),
    CommandRow("result", result),
    CommandRow("join", join),
    CommandRow("info", info),
    CommandRow("logs", logs),
    CommandRow("kill", kill),
    CommandRow("delete", delete),
    CommandRow("wait-for", wait_for.app),
    CommandRow("key", key.app),
    CommandRow("account", account.app),
)
"""Every command, in the order in which `picloud --help` lists them."""


class Commands(TyperGroup):
    """The commands; an error of any of them is told on standard error, with an exit code."""

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run the command line of a process, and end it."""
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except _UsageError as error:
            output.hint(_usage(error))
            sys.exit(exits.USAGE)
        except typer.Abort:
            sys.exit(exits.INTERRUPTED)
        sys.exit(code if isinstance(code, int) else exits.OK)

    def invoke(self, ctx: Any) -> Any:
        """Run what the command line names."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, _UsageError, BrokenPipeError):
            raise
        except Exception as error:  # noqa: BLE001 - nobody who types a command reads our tracebacks
            if ctx.params.get("debug"):
                sys.excepthook(type(error), error, error.__traceback__)
            else:
                output.hint(told(error))
            raise typer.Exit(exits.code_of(error)) from None


def told(error: Exception) -> str:
    r"""An error in one line; a failed job's with what the job said.

    >>> told(CloudException("Traceback ...\nValueError: no", jid=8, summary="ValueError: no"))
    'Job 8: ValueError: no\nTraceback ...\nValueError: no'
    >>> told(CloudException("signal 11 (SIGSEGV)\nlast words", jid=8))
    'Job 8: signal 11 (SIGSEGV)\nlast words'
    >>> told(TypeError("no"))
    'picloud met a fault of its own (TypeError: no); `picloud --debug ...` shows where.'
    """
    if not isinstance(error, CloudException):
        kind = type(error).__name__
        said = " ".join(f"{kind}: {error}".split())
        return f"picloud met a fault of its own ({said}); `picloud --debug ...` shows where."
    if not isinstance(error.jid, int):
        return " ".join(str(error).split())
    text = str(error.value).rstrip()
    if text.startswith("Traceback"):  # what happened is its last line: say it first
        text = f"{' '.join(error.summary.split())}\n{text}"
    return f"Job {error.jid}: {text}"


def _usage(error: Any) -> str:
    where = error.ctx.command_path if error.ctx else "picloud"
    said = " ".join(error.format_message().split())
    return f"{said if said.endswith('?') else said.rstrip('.') + '.'} Try '{where} --help'."


app = typer.Typer(
    cls=Commands,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - a third of the time to start

        output.text(version("picloud"))
        raise typer.Exit


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    *,
    version: Annotated[  # noqa: ARG001 - its callback has done it
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
    profile: server.ProfileName = None,
    api_key: server.ApiKey = None,
    api_secretkey: server.ApiSecretKey = None,
    simulate: server.Simulate = False,
    output_: server.Format = "text",
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Tell of every request, on standard error.")
    ] = False,
    debug: Annotated[  # noqa: ARG001 - see Commands.invoke
        bool, typer.Option("--debug", help="Show tracebacks instead of one line.")
    ] = False,
) -> None:
    """PiCloud runs your functions and programs on the cloud.

    \b
    Start it on this machine, then submit jobs from the shell or from Python:
      $ picloud up
      $ picloud exec echo hello, world
      1
      $ picloud result 1
      hello, world
      $ python -c "import cloud; print(cloud.call(pow, 2, 10))"
      2

    \b
    Exit codes:
      0  it worked
      1  it did not work
      2  the command line makes no sense
      3  a job asked about ended without a result
      4  jobs were unfinished when the time given was over
    """  # noqa: D301 - \b keeps the lines apart
    if context.invoked_subcommand is None:
        output.text(context.get_help())
        return
    context.obj = ServerChoice(
        profile=profile,
        api_key=api_key,
        api_secretkey=api_secretkey,
        simulate=simulate,
        verbose=verbose,
    )
    if output_ == "json":
        context.default_map = _as_json(context.command)
    if any(row.name == context.invoked_subcommand and row.needs_server for row in COMMANDS):
        context.obj.apply()


def _as_json(command: Any) -> dict[str, Any]:
    """The option --json for every command, and for those of groups."""
    below = getattr(command, "commands", None)
    if below is None:
        return {"json": True}
    return {name: _as_json(each) for name, each in below.items()}


for _row in COMMANDS:
    if isinstance(_row.run, typer.Typer):
        app.add_typer(_row.run, name=_row.name)
    else:
        _settings = {"allow_interspersed_args": not _row.options_first}
        app.command(_row.name, context_settings=_settings)(_row.run)


def main() -> None:
    """Run `picloud`."""
    app()
