"""`picloud notebook`."""

from __future__ import annotations

from typing import Annotated

import typer
from cloud import notebook

from picloud import output
from picloud.completion.notebooks import notebooks
from picloud.help_pages import HelpfulGroup
from picloud.options import machine
from picloud.options.arguments import AsJson, Timeout  # noqa: TC001 - Typer reads them
from picloud.options.job import JobOptions, takes_shell_options
from picloud.options.machine import LocalPort, Revoke  # noqa: TC001 - as above

app = typer.Typer(rich_markup_mode=None, cls=HelpfulGroup)

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of a notebook.", autocompletion=notebooks)
]


@app.callback()
def all_notebooks() -> None:
    """Work in JupyterLab, which runs as a job of your account.

    \b
    Examples:
      $ picloud notebook start sales --cores 2 --vol data
      $ picloud notebook open sales
      $ picloud notebook stop sales
    """  # noqa: D301 - \b keeps the lines apart


@app.command()
@takes_shell_options
def start(
    name: Name,
    idle: Annotated[
        float,
        typer.Option(
            "--idle",
            min=0,
            metavar="MINUTES",
            help="End after this time without a running cell or a browser; 0 for never.",
        ),
    ] = 60.0,
    *,
    options: JobOptions,
) -> None:
    """Start JupyterLab as a job, and print its jid.

    The files are those of the last time, or a first notebook. They are in the volume
    notebook-NAME, and are stored each minute and when the notebook is stopped.

    \b
    Examples:
      $ picloud notebook start sales
      $ picloud notebook start sales --env plots --idle 240
    """  # noqa: D301 - \b keeps the lines apart
    from cloud._notebook import session  # noqa: PLC0415 - only commands that start one need it

    output.text(str(session.start(name, idle, options.call_options())))
    output.hint(f"`picloud notebook open {name}` opens it in a browser.")


@app.command("open")
def open_notebook(name: Name, local_port: LocalPort = 0, timeout: Timeout = None) -> None:
    """Open a notebook in a browser, and forward a local port to it until Ctrl-C.

    Waits until the notebook runs. Where no browser can be started, the URL is printed.

    \b
    Examples:
      $ picloud notebook open sales
    """  # noqa: D301 - \b keeps the lines apart
    import webbrowser  # noqa: PLC0415 - only this command needs it

    machine.forward("notebook", name, local_port, timeout, webbrowser.open)


@app.command()
def url(name: Name, local_port: LocalPort = 0, timeout: Timeout = None) -> None:
    """Print the URL of a notebook, and forward a local port to it until Ctrl-C.

    Waits until the notebook runs. The URL works on this machine, and has a token in it that is
    valid until the notebook is stopped: keep it to yourself.

    \b
    Examples:
      $ picloud notebook url sales --local-port 8888
    """  # noqa: D301 - \b keeps the lines apart
    machine.forward("notebook", name, local_port, timeout)


@app.command()
def stop(name: Name) -> None:
    """Shut a notebook down, and wait until its files are stored.

    \b
    Examples:
      $ picloud notebook stop sales
    """  # noqa: D301 - \b keeps the lines apart
    notebook.stop(name)


@app.command("list")
def list_notebooks(*, json: AsJson = False) -> None:
    """Print your notebooks by name, with their last jobs.

    \b
    Examples:
      $ picloud notebook list
    """  # noqa: D301 - \b keeps the lines apart
    machine.show_list(notebook.list(), empty="No notebooks.", json=json)


@app.command()
def password(name: Name, *, revoke: Revoke = False) -> None:
    """Set or change a second password, and print the address at which it lets others in.

    It is typed twice, or read from standard input. Those whom the password before it let in are
    signed out. Anyone you let in can do in your account what your jobs can.

    \b
    Examples:
      $ picloud notebook password sales
      $ picloud notebook password sales --revoke
    """  # noqa: D301 - \b keeps the lines apart
    address = notebook.password(name, None if revoke else machine.read_password())
    if address is not None:
        output.text(address)


@app.command()
def delete(name: Name) -> None:
    """Delete a notebook that is not running; its files stay in its volume.

    \b
    Examples:
      $ picloud notebook delete sales
      $ picloud volume delete notebook-sales
    """  # noqa: D301 - \b keeps the lines apart
    notebook.delete(name)
