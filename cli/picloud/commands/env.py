"""`picloud env`."""

from __future__ import annotations

import time
from pathlib import Path  # noqa: TC003 - typer reads annotations when it runs
from typing import Annotated, Any

import typer
from cloud import CloudException, environment
from picloud_model.size import size

from picloud import output, tables, units
from picloud.completion.environments import environments
from picloud.environments import setup_machine
from picloud.environments.setup_machine import Name  # noqa: TC001 - typer reads it when it runs
from picloud.help_pages import HelpfulGroup
from picloud.options.arguments import AsJson  # noqa: TC001 - Typer reads it

app = typer.Typer(rich_markup_mode=None, cls=HelpfulGroup)

NameOrPath = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="Name of an environment, or /owner/name.",
        autocompletion=environments,
    ),
]
Desc = Annotated[str | None, typer.Option("--desc", "-d", metavar="TEXT", help="Description.")]


@app.callback()
def all_environments() -> None:
    """Build the environments that jobs run in.

    \b
    Examples:
      $ picloud env build science -f environment.toml
      $ picloud env create plots base/python3.11
      $ picloud env list
      $ picloud exec -e science python -c "import numpy"
    """  # noqa: D301 - \b keeps the lines apart


setup_machine.add_to(app)


@app.command()
def build(
    name: Name,
    *,
    file: Annotated[
        Path, typer.Option("--file", "-f", metavar="FILE", help="Recipe, a TOML file.")
    ],
    desc: Desc = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Do not wait for the end of the build.")
    ] = False,
) -> None:
    """Build an environment from a recipe, and print the log.

    At the end it prints which packages are new (+), gone (-), or have another version.

    \b
    Examples:
      $ picloud env build science -f environment.toml
      $ picloud env build science -f environment.toml --detach
    """  # noqa: D301 - \b keeps the lines apart
    before = _known(name)
    built = environment.build(name, file, desc, wait=not detach, show=output.exactly)
    if built["status"] == "ready":
        setup_machine.show_version(before, built)


@app.command("list")
def list_environments(
    *,
    name: Annotated[
        list[str] | None,
        typer.Option(
            "--name",
            "-n",
            metavar="NAME",
            help="Environment (repeatable).",
            autocompletion=environments,
        ),
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="List the public ones of all accounts.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Print your environments by name.

    \b
    Examples:
      $ picloud env list
      $ picloud env list --public
    """  # noqa: D301 - \b keeps the lines apart
    found = environment.list_envs(name, public)
    if json:
        output.as_json([_plain(each) for each in found])
        return
    rows = [
        (
            each["path"] if public else each["name"],
            each["status"],
            str(each["version"] or "-"),
            each["base"] or "-",
            units.moment(each["modified"].timestamp(), time.time()),
            each["desc"],
        )
        for each in found
    ]
    names = ("name", "status", "version", "base", "modified", "desc")
    columns = tables.Columns(names, ("name", "desc"), ("modified", "base"))
    tables.show(columns, rows, empty="No public environments." if public else "No environments.")


@app.command("list-bases")
def list_bases(*, json: AsJson = False) -> None:
    """Print what environments can be built on.

    \b
    Examples:
      $ picloud env list-bases
    """  # noqa: D301 - \b keeps the lines apart
    found = environment.list_bases()
    if json:
        output.as_json(found)
        return
    names = ("name", "python", "desc")
    tables.show(tables.Columns(names), [tuple(each[name] for name in names) for each in found])


@app.command()
def info(name: NameOrPath, *, json: AsJson = False) -> None:
    """Print the state of an environment and its packages.

    \b
    Examples:
      $ picloud env info science
      $ picloud env info /a0000002/science
    """  # noqa: D301 - \b keeps the lines apart
    found = environment.get(name)
    if json:
        output.as_json(_plain(found))
        return
    packages = found.pop("packages")
    found["size"] = size(found["size"])
    for key, value in _plain(found).items():
        if value not in (None, ""):
            output.text(f"{key}: {value}")
    for package in packages:
        output.text(f"  {package}")


@app.command()
def log(name: Name) -> None:
    """Print the log of the latest build.

    \b
    Examples:
      $ picloud env log science
    """  # noqa: D301 - \b keeps the lines apart
    output.exactly(environment.log(name))


@app.command()
def history(name: Name, *, json: AsJson = False) -> None:
    """Print the last versions of an environment, the current one last.

    \b
    Examples:
      $ picloud env history science
    """  # noqa: D301 - \b keeps the lines apart
    found = environment.history(name)
    if json:
        output.as_json([_plain(each) for each in found])
        return
    rows = [
        (
            str(each["version"]),
            units.moment(each["created"].timestamp(), time.time()),
            each["base"],
            " ".join(each["pip"]),
        )
        for each in found
    ]
    tables.show(tables.Columns(("version", "created", "base", "pip"), flexible=("pip",)), rows)


@app.command()
def recipe(
    name: NameOrPath,
    *,
    version: Annotated[
        int | None, typer.Option("--version", metavar="VERSION", help="A version in its history.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Print the recipe of an environment, from which it can be built again.

    \b
    Examples:
      $ picloud env recipe science > environment.toml
      $ picloud env recipe science --version 2
    """  # noqa: D301 - \b keeps the lines apart
    from cloud._resources.recipe import as_toml  # noqa: PLC0415 - other commands need none

    found = environment.recipe(name, version)
    if json:
        output.as_json(found)
    else:
        output.exactly(as_toml(found))


@app.command()
def rollback(
    name: Name,
    version: Annotated[int, typer.Argument(metavar="VERSION", help="A version in its history.")],
) -> None:
    """Make an earlier version the current one; it becomes the next version.

    \b
    Examples:
      $ picloud env rollback science 3
    """  # noqa: D301 - \b keeps the lines apart
    output.text(f"{name} is version {environment.rollback(name, version)['version']}")


@app.command()
def clone(
    parent_name: NameOrPath,
    new_name: Annotated[str | None, typer.Argument(metavar="NEW_NAME", help="Its name.")] = None,
    *,
    desc: Annotated[
        str | None, typer.Option("--new-desc", "-d", metavar="TEXT", help="Description.")
    ] = None,
) -> None:
    """Copy an environment.

    \b
    Examples:
      $ picloud env clone science science-2
      $ picloud env clone /a0000002/science
    """  # noqa: D301 - \b keeps the lines apart
    output.text(environment.clone(parent_name, new_name, desc)["name"])


@app.command("edit-info")
def edit_info(
    name: Name,
    *,
    new_name: Annotated[
        str | None, typer.Option("--new-name", "-n", metavar="NAME", help="Another name.")
    ] = None,
    new_desc: Annotated[
        str | None, typer.Option("--new-desc", "-d", metavar="TEXT", help="Description.")
    ] = None,
) -> None:
    """Change the name or the description of an environment.

    \b
    Examples:
      $ picloud env edit-info science -n science-2024
    """  # noqa: D301 - \b keeps the lines apart
    environment.edit_info(name, new_name, new_desc)


@app.command("make-public")
def make_public(name: Name) -> None:
    """Let all accounts use an environment, and print its name for them.

    \b
    Examples:
      $ picloud env make-public science
    """  # noqa: D301 - \b keeps the lines apart
    output.text(environment.make_public(name))


@app.command("make-private")
def make_private(name: Name) -> None:
    """Let only your own jobs use an environment.

    \b
    Examples:
      $ picloud env make-private science
    """  # noqa: D301 - \b keeps the lines apart
    environment.make_private(name)


@app.command()
def delete(name: Name) -> None:
    """Delete an environment.

    \b
    Examples:
      $ picloud env delete science
    """  # noqa: D301 - \b keeps the lines apart
    environment.delete(name)


def _known(name: str) -> dict[str, Any] | None:
    """Return what is known of an environment; None if it does not exist yet."""
    try:
        return environment.get(name)
    except CloudException:
        return None


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    """Return what is known with times as text."""
    return {
        key: value.isoformat(timespec="seconds") if hasattr(value, "isoformat") else value
        for key, value in found.items()
    }
