"""The command `picloud`."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Final, NoReturn, cast

import msgspec
import typer
from cloud import CloudException

from picloud import exits, output
from picloud.commands import (
    account,
    admin,
    bucket,
    cron,
    env,
    files,
    key,
    queue,
    rest,
    volume,
    wait_for,
)
from picloud.commands.delete import delete
from picloud.commands.down import down
from picloud.commands.du import du
from picloud.commands.exec import execute
from picloud.commands.forward import forward
from picloud.commands.info import info
from picloud.commands.jobs import jobs
from picloud.commands.join import join
from picloud.commands.kill import kill
from picloud.commands.logs import logs
from picloud.commands.mapexec import mapexec
from picloud.commands.open import open_pages
from picloud.commands.profile import app as profile_app
from picloud.commands.replay import replay
from picloud.commands.restart_slots import restart_slots
from picloud.commands.result import result
from picloud.commands.setup import setup
from picloud.commands.ssh import exec_shell, ssh, ssh_config, ssh_info
from picloud.commands.status import status
from picloud.commands.top import top
from picloud.commands.up import up
from picloud.commands.why import why
from picloud.help_pages import HelpfulGroup
from picloud.options import server  # noqa: TC001 - typer reads annotations when it runs
from picloud.server_choice import ServerChoice

_UsageError = cast("type[Exception]", typer.BadParameter.__mro__[1])
"""The base class of typer's usage errors, of which typer itself exports only one kind."""


def _unquoted(matched: re.Match[str]) -> str:
    """Return the beginning of a usage error with its option as our own errors write it."""
    return f"Invalid value for {' / '.join(filter(None, matched.groups()))}:"


_NAMES: Final = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"(?<![\w.'\"-])_os_env_vars\b", "--os-env"),
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
        (r"^Invalid value for '(\S+)'(?: / '(\S+)')?:", _unquoted),
    )
)
"""What typer says of values, and how we say it."""
_TRACEBACKS: Final = ("Traceback", "Exception Group Traceback")
_CALL: Final = re.compile(r"cloud\.(result|kill)\((?:range\((\d+), (\d+)\)|(\d+|jids))\)")
"""How the SDK names the calls that wait for jobs again, and end them."""
_WAITING: Final = frozenset({"join", "logs"})
"""Commands that wait for jobs as `picloud result` does."""
_WITH_JOBS: Final = frozenset({"exec", "mapexec", "result", "join", "logs", "wait-for"})
"""Commands that submit jobs or wait for them."""


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
    CommandRow("profile", profile_app, needs_server=False),
    CommandRow("exec", execute, options_first=True),
    CommandRow("mapexec", mapexec, options_first=True),
    CommandRow("jobs", jobs),
    CommandRow("open", open_pages),
    CommandRow("top", top),
    CommandRow("status", status),
    CommandRow("result", result),
    CommandRow("join", join),
    CommandRow("info", info),
    CommandRow("logs", logs),
    CommandRow("why", why),
    CommandRow("replay", replay),
    CommandRow("kill", kill),
    CommandRow("delete", delete),
    CommandRow("du", du),
    CommandRow("restart-slots", restart_slots),
    CommandRow("wait-for", wait_for.app),
    CommandRow("forward", forward),
    CommandRow("ssh", ssh, options_first=True),
    CommandRow("exec-shell", exec_shell),
    CommandRow("ssh-info", ssh_info),
    CommandRow("ssh-config", ssh_config),
    CommandRow("bucket", bucket.app),
    CommandRow("files", files.app),
    CommandRow("queue", queue.app),
    CommandRow("cron", cron.app),
    CommandRow("rest", rest.app),
    CommandRow("volume", volume.app),
    CommandRow("env", env.app),
    CommandRow("key", key.app),
    CommandRow("account", account.app),
    CommandRow("admin", admin.app, needs_server=False),
)
"""Every command, in the order in which `picloud --help` lists them."""


class CommandGroup(HelpfulGroup):
    """The group of all commands; prints an error to standard error and sets the exit code."""

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run the command line of this process and exit."""
        try:
            with output.disk_errors():  # of the help, which typer prints
                code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except CloudException as error:
            output.error(message_of(error))
            sys.exit(exits.code_of(error))
        except _UsageError as error:
            output.error(_usage(error))
            sys.exit(exits.USAGE)
        except typer.Abort:
            sys.exit(exits.INTERRUPTED)
        sys.exit(code if isinstance(code, int) else exits.OK)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the command line names."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, _UsageError, BrokenPipeError):
            raise
        except (typer.Abort, KeyboardInterrupt) as stop:
            command = "" if ctx.params.get("simulate") else ctx.invoked_subcommand or ""
            output.hint(interruption(command, str(stop)))
            raise typer.Exit(exits.INTERRUPTED) from None
        except Exception as error:  # noqa: BLE001 - users of commands see no traceback
            if ctx.params.get("debug"):
                sys.excepthook(type(error), error, error.__traceback__)
            else:
                output.error(message_of(error))
            raise typer.Exit(exits.code_of(error)) from None


def interruption(command: str, wait: str = "") -> str:
    """Return what Ctrl-C means for a command.

    Args:
        command: Its name.
        wait: What the SDK says of the wait that was stopped, if the command waited for jobs.

    >>> interruption("setup")
    'Interrupted.'
    >>> interruption("join", "Job 8 goes on; cloud.result(8) waits again, cloud.kill(8) ends it.")
    'Interrupted. Job 8 goes on; `picloud join 8` waits again, `picloud kill 8` ends it.'
    """
    if command and _CALL.search(wait):
        return f"Interrupted. {_CALL.sub(partial(_as_command, command), wait)}"
    if command not in _WITH_JOBS:  # jobs of the simulator end with this command
        return "Interrupted."
    return (
        "Interrupted. Submitted jobs go on; `picloud jobs` lists them, and "
        "`picloud kill JIDS` ends them."
    )


def _as_command(command: str, call: re.Match[str]) -> str:
    """Return the command that does what a call of `cloud.result` or `cloud.kill` does."""
    function, first, stop, jids = call.groups()
    if stop:
        jids = f"{first}-{int(stop) - 1}"
    again = command if command in _WAITING else "result"
    return f"`picloud {again if function == 'result' else function} {jids.upper()}`"


def message_of(error: Exception) -> str:
    r"""Return an error in one line; that of a failed job with its traceback.

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
        return in_words_of_commands(" ".join(str(error).split()))
    text = str(error.value).rstrip()
    if text.lstrip(" +").startswith(_TRACEBACKS):  # the last line of a traceback says what happened
        text = f"{' '.join(error.summary.split())}\n{text}"
    among = f"{error.among}: " if error.among else ""
    return f"{among}Job {error.jid}: {text}"


def in_words_of_commands(text: str) -> str:
    """Return a text with the options of this command in place of those of `cloud.call`.

    >>> in_words_of_commands("A job on c1 may have 1 core (_cores), not 2.")
    'A job on c1 may have 1 core (--cores), not 2.'
    """
    for pattern, name in _NAMES:
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


def _usage(error: Any) -> str:
    where = error.ctx.command_path if error.ctx else "picloud"
    text = plain(" ".join(error.format_message().split()))
    text = text if text.endswith(("?", "...")) else f"{text.rstrip('.')}."
    return f"{text} Try '{where} --help'."


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
    if output_ == "json":
        context.default_map = _as_json(context.command)
    if any(row.name == context.invoked_subcommand and row.needs_server for row in COMMANDS):
        context.obj.apply()


def _as_json(command: Any) -> dict[str, Any]:
    """Return the defaults that set --json for a command, or for all commands of a group."""
    commands = getattr(command, "commands", None)
    if commands is None:
        return {"json": True}
    return {name: _as_json(each) for name, each in commands.items()}


for _row in COMMANDS:
    if isinstance(_row.run, typer.Typer):
        app.add_typer(_row.run, name=_row.name)
    else:
        _settings = {"allow_interspersed_args": not _row.options_first}
        app.command(_row.name, context_settings=_settings)(_row.run)


def main() -> None:
    """Run `picloud`."""
    output.open_closed_streams()
    warnings.showwarning = output.warn
    app()
