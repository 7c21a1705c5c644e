"""The command `picloud`."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated, Any

import typer
from cloud import CloudException
from typer.core import TyperGroup

from picloud import exits, output
from picloud.commands.down import down
from picloud.commands.join import join
from picloud.commands.kill import kill
from picloud.commands.result import result
from picloud.commands.status import status
from picloud.commands.up import up


class Commands(TyperGroup):
    """The commands; an error of any of them is one line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command line."""
        try:
            return super().invoke(ctx)
        except CloudException as error:
            if ctx.params.get("debug"):
                sys.excepthook(type(error), error, error.__traceback__)
            else:
                output.hint(one_line(error))
            raise typer.Exit(exits.code_of(error)) from None


def one_line(error: CloudException) -> str:
    """An error in one line; a failed job's is the last line of its traceback.

    >>> one_line(CloudException("Traceback ...", jid=8, summary="ValueError: no"))
    'Job 8: ValueError: no'
    """
    said = " ".join(error.summary.split())
    return said if error.jid is None else f"Job {error.jid}: {said}"


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        output.text(version("picloud"))
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks instead of one line.")
    ] = False,
) -> None:
    """PiCloud runs your functions on the cloud.

    \b
    Start it on this machine, then submit jobs from Python:
      $ picloud up
      $ python -c "import cloud; print(cloud.call(pow, 2, 10))"
      1
      $ picloud result 1
      1024
    """  # noqa: D301 - \b keeps the lines apart


for _command in (up, down, status, result, join, kill):
    app.command()(_command)


def main() -> None:
    """Run `picloud`."""
    app()
