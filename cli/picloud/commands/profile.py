"""`picloud profile`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from cloud._config import profile as profiles
from cloud._config.settings import ClientSettings
from cloud._resources.key import id_of

from picloud import output, tables
from picloud.completion import values
from picloud.help_pages import HelpfulGroup
from picloud.options.arguments import AsJson  # noqa: TC001 - Typer reads it

if TYPE_CHECKING:
    from cloud._config.profile import Profile

app = typer.Typer(rich_markup_mode=None, cls=HelpfulGroup)
_COLUMNS = tables.Columns(("name", "server", "key", "default"))

Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Name of the profile.", autocompletion=values.profiles),
]


@app.callback()
def profile() -> None:
    """List, choose and remove profiles of servers.

    A profile is a name for the address of a server and your API key for it. `picloud up` and
    `picloud setup` write them. `picloud --profile NAME` and the variable PICLOUD_PROFILE choose one
    for a single command.

    \b
    Examples:
      $ picloud profile list
      $ picloud profile use work
    """  # noqa: D301 - \b keeps the lines apart


@app.command("list")
def list_profiles(*, json: AsJson = False) -> None:
    """List your profiles by name, without the secrets of their keys.

    \b
    Examples:
      $ picloud profile list
      $ picloud profile list --json
    """  # noqa: D301 - \b keeps the lines apart
    file = profiles.path(ClientSettings.read())
    found = profiles.read(file)
    by_name = sorted(found.profiles.items())
    if json:
        output.as_json([_fields(name, each, found.default) for name, each in by_name])
        return
    rows = [
        (name, each.url, id_of(each.key), "default" if name == found.default else "")
        for name, each in by_name
    ]
    tables.show(_COLUMNS, rows, empty="No profiles; `picloud up` and `picloud setup` write them.")


@app.command()
def show(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="Name of the profile; by default the one in use.",
            autocompletion=values.profiles,
            show_default=False,
        ),
    ] = None,
    *,
    json: AsJson = False,
) -> None:
    """Show the server of a profile, the id of its key, and the file that stores it.

    \b
    Examples:
      $ picloud profile show
      $ picloud profile show work
    """  # noqa: D301 - \b keeps the lines apart
    settings = ClientSettings.read()
    file = profiles.path(settings)
    found = profiles.read(file)
    chosen = name or settings.profile or found.default
    if chosen is None:
        raise typer.BadParameter(
            "there is no default profile: give a name, or choose one with `picloud profile use`.",
            param_hint="NAME",
        )
    each = found.named(chosen)
    if json:
        output.as_json(_fields(chosen, each, found.default) | {"file": str(file)})
        return
    mark = " (default)" if chosen == found.default else ""
    output.text(
        f"profile  {chosen}{mark}\nserver   {each.url}\nkey      {id_of(each.key)}\nfile     {file}"
    )
    if settings.url:
        output.hint(f"PICLOUD_URL is set, so commands use {settings.url} if they name no profile.")


@app.command()
def use(name: Name) -> None:
    """Use a profile from now on, if a command names no other.

    \b
    Examples:
      $ picloud profile use work
    """  # noqa: D301 - \b keeps the lines apart
    settings = ClientSettings.read()
    chosen = profiles.use(profiles.path(settings), name)
    output.hint(f"Profile {name} is the default now; it names {chosen.url}.")
    for variable, value in (("PICLOUD_URL", settings.url), ("PICLOUD_PROFILE", settings.profile)):
        if value and value != name:
            output.hint(f"{variable} is set to {value}, which has precedence; unset it.")


@app.command()
def remove(name: Name) -> None:
    """Remove a profile. The key remains valid; `picloud key deactivate` ends that.

    \b
    Examples:
      $ picloud profile remove work
    """  # noqa: D301 - \b keeps the lines apart
    file = profiles.path(ClientSettings.read())
    was_default = profiles.read(file).default == name
    profiles.remove(file, name)
    output.hint(f"Profile {name} is removed.")
    if was_default:
        output.hint("It was the default; choose another one with: picloud profile use NAME")


def _fields(name: str, profile: Profile, default: str | None) -> dict[str, object]:
    return {
        "name": name,
        "url": profile.url,
        "key": id_of(profile.key),
        "default": name == default,
    }
