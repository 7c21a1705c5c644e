"""`picloud desktop`."""

from __future__ import annotations

from typing import Annotated

import typer
from cloud import desktop

from picloud import output
from picloud.completion.notebooks import desktops
from picloud.help_pages import HelpfulGroup
from picloud.options import machine
from picloud.options.arguments import AsJson, Timeout  # noqa: TC001 - Typer reads them
from picloud.options.job import JobOptions, takes_shell_options
from picloud.options.machine import LocalPort, Revoke  # noqa: TC001 - as above

app = typer.Typer(rich_markup_mode=None, cls=HelpfulGroup)

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of a desktop.", autocompletion=desktops)
]


@app.callback()
def all_desktops() -> None:
    """Work on a Linux desktop, which runs as a job of your account.

    \b
    Examples:
      $ picloud desktop start plots --cores 2 --vol data
      $ picloud desktop open plots
      $ picloud desktop stop plots
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
            help="End after this time without a browser or VNC client; 0 for never.",
        ),
    ] = 60.0,
    geometry: Annotated[
        str, typer.Option("--geometry", metavar="WxH", help="Size of the screen in pixels.")
    ] = "1280x800",
    depth: Annotated[
        int, typer.Option("--depth", metavar="BITS", help="Bits of a pixel: 16 or 24.")
    ] = 24,
    run: Annotated[
        str,
        typer.Option(
            "--run", metavar="COMMAND", help="Command line to run there; a terminal by default."
        ),
    ] = "",
    *,
    options: JobOptions,
) -> None:
    """Start a desktop as a job, and print its jid.

    Its home directory is as it was the last time: it is in the volume desktop-NAME, which is stored
    each minute and when the desktop is stopped. Without --env the job runs in /picloud/desktop, if
    the server has it.

    \b
    Examples:
      $ picloud desktop start plots
      $ picloud desktop start plots --geometry 1920x1080 --run firefox-esr
    """  # noqa: D301 - \b keeps the lines apart
    from cloud._notebook import screen  # noqa: PLC0415 - only commands that start one need it

    jid = screen.start(name, idle, options.call_options(), geometry=geometry, depth=depth, run=run)
    output.text(str(jid))
    output.hint(f"`picloud desktop open {name}` opens it in a browser.")


@app.command("open")
def open_desktop(name: Name, local_port: LocalPort = 0, timeout: Timeout = None) -> None:
    """Open a desktop in a browser, and forward a local port to it until Ctrl-C.

    Waits until the desktop runs. Where no browser can be started, the URL is printed.

    \b
    Examples:
      $ picloud desktop open plots
    """  # noqa: D301 - \b keeps the lines apart
    import webbrowser  # noqa: PLC0415 - only this command needs it

    machine.forward("desktop", name, local_port, timeout, webbrowser.open)


@app.command()
def url(name: Name, local_port: LocalPort = 0, timeout: Timeout = None) -> None:
    """Print the URL of a desktop, and forward a local port to it until Ctrl-C.

    Waits until the desktop runs. The URL works on this machine, and has a token in it that is
    valid until the desktop is stopped: keep it to yourself.

    \b
    Examples:
      $ picloud desktop url plots --local-port 8888
    """  # noqa: D301 - \b keeps the lines apart
    machine.forward("desktop", name, local_port, timeout)


@app.command()
def vnc(name: Name, local_port: LocalPort = 0, timeout: Timeout = None) -> None:
    """Print the address and password for a VNC client, and forward a local port until Ctrl-C.

    Waits until the desktop runs. The password is another one at each start.

    \b
    Examples:
      $ picloud desktop vnc plots --local-port 5901
    """  # noqa: D301 - \b keeps the lines apart
    from cloud import tunnel  # noqa: PLC0415 - only these commands need sockets

    found = desktop.vnc(name, timeout)
    with tunnel.forward(found["jid"], found["port"], local_port) as forwarded:
        output.text(f"127.0.0.1:{forwarded.port}")
        output.text(found["password"])
        machine.await_end("desktop", found["jid"])


@app.command()
def stop(name: Name) -> None:
    """Shut a desktop down, and wait until its files are stored.

    \b
    Examples:
      $ picloud desktop stop plots
    """  # noqa: D301 - \b keeps the lines apart
    desktop.stop(name)


@app.command("list")
def list_desktops(*, json: AsJson = False) -> None:
    """Print your desktops by name, with their last jobs.

    \b
    Examples:
      $ picloud desktop list
    """  # noqa: D301 - \b keeps the lines apart
    machine.show_list(desktop.list(), empty="No desktops.", json=json)


@app.command()
def password(name: Name, *, revoke: Revoke = False) -> None:
    """Set or change a second password, and print the address at which it lets others in.

    It is typed twice, or read from standard input. Those whom the password before it let in are
    signed out. Anyone you let in can do in your account what your jobs can.

    \b
    Examples:
      $ picloud desktop password plots
      $ picloud desktop password plots --revoke
    """  # noqa: D301 - \b keeps the lines apart
    address = desktop.password(name, None if revoke else machine.read_password())
    if address is not None:
        output.text(address)


@app.command()
def delete(name: Name) -> None:
    """Delete a desktop that is not running; its files stay in its volume.

    \b
    Examples:
      $ picloud desktop delete plots
      $ picloud volume delete desktop-plots
    """  # noqa: D301 - \b keeps the lines apart
    desktop.delete(name)
