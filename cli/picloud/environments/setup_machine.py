"""The commands of `picloud env` that change environments by hand, in setup machines."""

from __future__ import annotations

import re
from pathlib import Path  # noqa: TC003 - typer reads annotations when it runs
from typing import Annotated, Any

import typer
from cloud import environment
from picloud_model.size import size

from picloud import output
from picloud.completion.environments import environments

Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Name of an environment.", autocompletion=environments),
]


def create(
    name: Name,
    base: Annotated[str, typer.Argument(metavar="BASE", help="One of `picloud env list-bases`.")],
    *,
    desc: Annotated[
        str | None, typer.Option("--desc", "-d", metavar="TEXT", help="Description.")
    ] = None,
) -> None:
    """Create an environment, and start a setup machine to install packages.

    The machine is a copy of the base. `pip` in it installs packages; jobs find them once you have
    saved the environment. Where jobs are isolated, you are root in it: `apt-get` works, too.

    \b
    Examples:
      $ picloud env create plots base/python3.11
      $ picloud env ssh plots pip install matplotlib
      $ picloud env save-shutdown plots
    """  # noqa: D301 - \b keeps the lines apart
    environment.create(name, base, desc)
    _hint(name)


def modify(name: Name) -> None:
    """Start a setup machine with the current version of an environment.

    Jobs go on to run in that version until you save the next one.

    \b
    Examples:
      $ picloud env modify plots
    """  # noqa: D301 - \b keeps the lines apart
    environment.modify(name)
    _hint(name)


def ssh(
    name: Name,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="COMMAND...", help="Command to run instead of a shell."),
    ] = None,
) -> None:
    """Open a shell in the setup machine of an environment, or run a command there.

    Exits with the status of the command.

    \b
    Examples:
      $ picloud env ssh plots
      $ picloud env ssh plots pip install matplotlib
    """  # noqa: D301 - \b keeps the lines apart
    raise typer.Exit(environment.ssh(name, command))


def rsync(
    src_path: Annotated[str, typer.Argument(metavar="SOURCE", help="Path, or NAME:PATH.")],
    dest_path: Annotated[str, typer.Argument(metavar="TARGET", help="Path, or NAME:PATH.")],
    *,
    delete: Annotated[
        bool, typer.Option("--delete", "-d", help="Delete files that the source lacks.")
    ] = False,
) -> None:
    """Copy files to the setup machine of an environment, or from it.

    \b
    Examples:
      $ picloud env rsync data/ plots:data/
    """  # noqa: D301 - \b keeps the lines apart
    raise typer.Exit(environment.rsync(src_path, dest_path, delete))


def run_script(
    name: Name,
    filename: Annotated[Path, typer.Argument(metavar="FILE", help="Script of your machine.")],
) -> None:
    """Run a script of your machine in the setup machine of an environment.

    Exits with the status of the script.

    \b
    Examples:
      $ picloud env run-script plots install.sh
    """  # noqa: D301 - \b keeps the lines apart
    raise typer.Exit(environment.run_script(name, str(filename)))


def get_hostname(name: Name) -> None:
    """Print the name by which `picloud ssh-config` makes a setup machine known to OpenSSH.

    \b
    Examples:
      $ picloud env get-hostname plots
    """  # noqa: D301 - \b keeps the lines apart
    output.text(environment.get_setup_hostname(name))


def get_keypath() -> None:
    """Print the path of the private key for setup machines.

    \b
    Examples:
      $ picloud env get-keypath
    """  # noqa: D301 - \b keeps the lines apart
    output.text(environment.get_key_path())


def save(name: Name) -> None:
    """Save what the setup machine of an environment has become, as its next version.

    At the end it prints which packages are new (+), gone (-), or have another version. The machine
    goes on.

    \b
    Examples:
      $ picloud env save plots
    """  # noqa: D301 - \b keeps the lines apart
    before = environment.get(name)
    show_version(before, environment.save(name, output.exactly))


def save_shutdown(name: Name) -> None:
    """Save an environment as `save` does, and end its setup machine.

    \b
    Examples:
      $ picloud env save-shutdown plots
    """  # noqa: D301 - \b keeps the lines apart
    before = environment.get(name)
    show_version(before, environment.save_shutdown(name, output.exactly))


def shutdown(name: Name) -> None:
    """End the setup machine of an environment; what was not saved is lost.

    \b
    Examples:
      $ picloud env shutdown plots
    """  # noqa: D301 - \b keeps the lines apart
    environment.shutdown(name)


def add_to(app: typer.Typer) -> None:
    """Add these commands to a group."""
    app.command()(create)
    app.command()(modify)
    app.command()(ssh)
    app.command()(rsync)
    app.command("run-script")(run_script)
    app.command("get-hostname")(get_hostname)
    app.command("get-keypath")(get_keypath)
    app.command()(save)
    app.command("save-shutdown")(save_shutdown)
    app.command()(shutdown)


def show_version(before: dict[str, Any] | None, after: dict[str, Any]) -> None:
    """Print which packages of an environment have changed, and which version it is."""
    for line in changed(_by_name(before), _by_name(after)):
        output.text(line)
    grown = after["size"] - (before["size"] if before else 0)
    sign = "-" if grown < 0 else "+"
    difference = f" ({sign}{size(abs(grown))})" if before and before["size"] and grown else ""
    output.text(f"{after['name']} is version {after['version']}, {size(after['size'])}{difference}")


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return a line for each package that is new, gone or of another version.

    >>> changed({"attrs": "23.1", "six": "1.16"}, {"attrs": "24.2", "idna": "3.10"})
    ['  attrs 23.1 -> 24.2', '+ idna 3.10', '- six 1.16']
    """
    lines = []
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            lines.append(f"+ {name} {after[name]}")
        elif name not in after:
            lines.append(f"- {name} {before[name]}")
        elif before[name] != after[name]:
            lines.append(f"  {name} {before[name]} -> {after[name]}")
    return lines


def _hint(name: str) -> None:
    output.hint(
        f"The setup machine of {name} runs; `picloud env ssh {name}` opens a shell in it, and "
        f"`picloud env save-shutdown {name}` saves it."
    )


def _by_name(found: dict[str, Any] | None) -> dict[str, str]:
    """Return the versions of an environment's packages by their names, or where they come from."""
    python = [*found["packages"]] if found else []
    parts = [re.split("==| @ ", each, maxsplit=1) for each in python]
    versions = {name: version for name, *rest in parts for version in rest or [""]}
    debian = (each.partition("=") for each in (found["apt"] if found else []))
    return versions | {f"{name} (Debian)": version for name, _, version in debian}
