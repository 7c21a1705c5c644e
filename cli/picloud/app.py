"""The command `picloud`."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Final, NoReturn, cast

import msgspec
import typer
from cloud import CloudException
from typer.core import TyperCommand
from typer.main import get_command, get_group

from picloud import exits, output
from picloud.help_pages import HelpfulGroup, with_our_help
from picloud.messages import interruption, message_of, usage_error
from picloud.options import server  # noqa: TC001 - typer reads annotations when it runs
from picloud.server_choice import ServerChoice

_UsageError = cast("type[Exception]", typer.BadParameter.__mro__[1])
"""The base class of typer's usage errors, of which typer itself exports only one kind."""


class CommandRow(msgspec.Struct, frozen=True):
    """One command: its name, where it is, and its first sentence, for lists of commands.

    `place` names a module of `picloud.commands`, and in it a function or a group of commands. Only
    the command that is run is imported, as importing all of them takes longer than a short command.
    With `options_first` everything after the first word of a command belongs to that command; with
    `needs_server` a server is chosen before it runs.
    """

    name: str
    place: str
    summary: str
    options_first: bool = False
    needs_server: bool = True

    def load(self) -> Any:
        """Import the command and return it."""
        module, _, member = self.place.partition(":")
        run = getattr(importlib.import_module(f"picloud.commands.{module}"), member)
        if isinstance(run, typer.Typer):
            command: Any = get_group(run)
            command.name = self.name
        else:
            alone = typer.Typer(add_completion=False, rich_markup_mode=None)
            settings = {"allow_interspersed_args": not self.options_first}
            alone.command(self.name, context_settings=settings)(run)
            command = get_command(alone)
        return with_our_help(command)


COMMANDS: Final = (
    CommandRow("up", "up:up", "Run PiCloud on this machine until Ctrl-C.", needs_server=False),
    CommandRow("down", "down:down", "Stop PiCloud on this machine.", needs_server=False),
    CommandRow(
        "setup",
        "setup:setup",
        "Choose the server to use, and the API key for it.",
        needs_server=False,
    ),
    CommandRow(
        "profile", "profile:app", "List, choose and remove profiles of servers.", needs_server=False
    ),
    CommandRow(
        "exec",
        "exec:execute",
        "Run a shell command as a job, and print its jid.",
        options_first=True,
    ),
    CommandRow(
        "mapexec",
        "mapexec:mapexec",
        "Run a shell command as a job for each tuple of values.",
        options_first=True,
    ),
    CommandRow(
        "plan",
        "mapexec:plan",
        "Run a few jobs of a `picloud mapexec`, and say what all of them would cost and take.",
        options_first=True,
    ),
    CommandRow("jobs", "jobs:jobs", "List your calls and maps, newest first, a row for each."),
    CommandRow(
        "open", "open:open_pages", "Open the web pages of the server, signed in to your account."
    ),
    CommandRow("top", "top:top", "Show what runs and what waits, until Ctrl-C."),
    CommandRow(
        "status",
        "status:status",
        "Print the status of jobs; of more than 20, how many have which status.",
    ),
    CommandRow("result", "result:result", "Wait for jobs and print their results."),
    CommandRow("join", "join:join", "Wait until jobs have ended."),
    CommandRow("info", "info:info", "Print information about jobs, also while they run."),
    CommandRow("logs", "logs:logs", "Print the output of jobs, one after the other."),
    CommandRow("stream", "stream:stream", "Print the values that a job yields, while it runs."),
    CommandRow("why", "why:why", "Say why jobs wait, or why they failed."),
    CommandRow("replay", "replay:replay", "Run a job again, here, and print its result."),
    CommandRow("kill", "kill:kill", "Abort jobs; jobs that have ended do not change."),
    CommandRow(
        "delete", "delete:delete", "Delete the results, output and arguments of finished jobs."
    ),
    CommandRow("du", "du:du", "Show how much your account has stored."),
    CommandRow("usage", "usage:usage", "Show how long your jobs have run and what that costs."),
    CommandRow("prices", "usage:prices", "Show the price of an hour of a core, by core type."),
    CommandRow("budget", "budget:app", "Limit what your jobs may cost."),
    CommandRow("realtime", "realtime:app", "Reserve cores, so that your jobs begin at once."),
    CommandRow(
        "restart-slots",
        "restart_slots:restart_slots",
        "Run the next jobs in new slots, with new Python processes.",
    ),
    CommandRow(
        "wait-for", "wait_for:app", "Wait until jobs have a status, or a job listens on a port."
    ),
    CommandRow(
        "forward",
        "forward:forward",
        "Forward a local port to a TCP port of a job, until the job ends or Ctrl-C.",
    ),
    CommandRow(
        "ssh",
        "ssh:ssh",
        "Open a shell in a job with ssh, or run a command there.",
        options_first=True,
    ),
    CommandRow(
        "exec-shell",
        "ssh:exec_shell",
        "Create a job and open a shell in it, to try what jobs find.",
    ),
    CommandRow("ssh-info", "ssh:ssh_info", "Print the command by which ssh reaches a job."),
    CommandRow(
        "ssh-config",
        "ssh:ssh_config",
        "Print lines for ~/.ssh/config, so that ssh, scp, rsync and editors reach a job by a name.",
    ),
    CommandRow(
        "notebook", "notebook:app", "Work in JupyterLab, which runs as a job of your account."
    ),
    CommandRow(
        "desktop", "desktop:app", "Work on a Linux desktop, which runs as a job of your account."
    ),
    CommandRow("bucket", "bucket:app", "Store files and other data as objects under keys."),
    CommandRow(
        "files", "files:app", "Store files: the older commands for what `picloud bucket` does."
    ),
    CommandRow("queue", "queue:app", "Pass messages between programs and jobs."),
    CommandRow("cron", "cron:app", "Run jobs on a schedule."),
    CommandRow(
        "rest", "rest:app", "Publish commands as web services, and call what you have published."
    ),
    CommandRow(
        "volume", "volume:app", "Keep directories on the server, synchronized as with rsync."
    ),
    CommandRow("env", "env:app", "Build the environments that jobs run in."),
    CommandRow("secret", "secret:app", "Keep passwords and keys that only your jobs may see."),
    CommandRow("dict", "dictionary:app", "Share small values between jobs and programs."),
    CommandRow("lock", "lock:app", "Show which locks your jobs and programs hold."),
    CommandRow(
        "key", "key:app", "Create, list, activate and deactivate the API keys of your account."
    ),
    CommandRow(
        "member",
        "member:app",
        "Invite people to your account, list them, change their roles and remove them.",
    ),
    CommandRow(
        "audit", "audit:audit", "Show who did what in your account, newest first; for owners."
    ),
    CommandRow("account", "account:app", "Create and list accounts, as an administrator."),
    CommandRow(
        "admin", "admin:app", "Operate PiCloud and the servers that it runs on.", needs_server=False
    ),
)
"""Every command, in the order in which `picloud --help` lists them."""


class _Commands(Mapping[str, Any]):
    """All commands by name, each of which is imported when it is first used."""

    def __init__(self) -> None:
        self._rows = {row.name: row for row in COMMANDS}
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        row = self._rows[name]
        if name not in self._loaded:
            self._loaded[name] = row.load()
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


class CommandGroup(HelpfulGroup):
    """The group of all commands; prints an error to standard error and sets the exit code."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = cast("Any", _Commands())

    def list_commands(self, _ctx: Any) -> list[str]:
        """Return the names of all commands."""
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each command with its first sentence."""
        with self._summaries():
            super().format_commands(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Return the commands, or the options in front of a command, that begin so."""
        with self._summaries():
            return super().shell_complete(ctx, incomplete)

    @contextmanager
    def _summaries(self) -> Iterator[None]:
        """List the commands without importing them: as names with their first sentences."""
        commands = self.commands
        self.commands = {row.name: TyperCommand(row.name, help=row.summary) for row in COMMANDS}
        try:
            yield
        finally:
            self.commands = commands

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run the command line of this process and exit."""
        try:
            with output.disk_errors():  # of the help, which typer prints
                code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except CloudException as error:
            output.error(message_of(error, sys.argv[1:]))
            sys.exit(exits.code_of(error))
        except _UsageError as error:
            output.error(usage_error(error))
            sys.exit(exits.USAGE)
        except typer.Abort:
            sys.exit(exits.INTERRUPTED)
        sys.exit(code if isinstance(code, int) else exits.OK)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the command line names."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, BrokenPipeError):
            raise
        except _UsageError as error:
            output.error(usage_error(error, f"{ctx.command_path} {ctx.invoked_subcommand}"))
            raise typer.Exit(exits.USAGE) from None
        except (typer.Abort, KeyboardInterrupt) as stop:
            command = "" if ctx.params.get("simulate") else ctx.invoked_subcommand or ""
            output.hint(interruption(command, stop))
            raise typer.Exit(exits.INTERRUPTED) from None
        except Exception as error:  # noqa: BLE001 - users of commands see no traceback
            if ctx.params.get("debug"):
                sys.excepthook(type(error), error, error.__traceback__)
            else:
                output.error(message_of(error, sys.argv[1:]))
            raise typer.Exit(exits.code_of(error)) from None


app = typer.Typer(
    cls=CommandGroup,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(requested: bool) -> None:
    if requested:
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
        bool, typer.Option("--verbose", "-v", help="Log every request to standard error.")
    ] = False,
    debug: Annotated[  # noqa: ARG001 - see CommandGroup.invoke
        bool, typer.Option("--debug", help="Print tracebacks of errors.")
    ] = False,
) -> None:
    """Run functions and programs on the cloud.

    \b
    Start PiCloud on this machine, then submit jobs from the shell or from Python:
      $ picloud up
      $ picloud exec echo hello, world
      1
      $ picloud result 1
      hello, world
      $ python -c "import cloud; print(cloud.call(pow, 2, 10))"
      2

    Options of picloud precede the command, and options of a command follow its name. A letter can
    mean one thing before the command and another after it: see `picloud COMMAND --help`.

    \b
    Exit codes:
      0  success
      1  error: a job or queue that does not exist, no server, ...
      2  usage error: an option or value is not valid
      3  a job failed or was killed
      4  timed out before all jobs ended
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
    name = context.invoked_subcommand
    if output_ == "json":
        context.default_map = {name: _as_json(cast("Any", context.command).commands[name])}
    if any(row.name == name and row.needs_server for row in COMMANDS):
        context.obj.apply()


def _as_json(command: Any) -> dict[str, Any]:
    """Return the defaults that set --json for a command, or for all commands of a group."""
    commands = getattr(command, "commands", None)
    if commands is None:
        return {"json": True}
    return {name: _as_json(each) for name, each in commands.items()}


def main() -> None:
    """Run `picloud`."""
    output.open_closed_streams()
    warnings.showwarning = output.warn
    app()
