"""`picloud setup`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer
from cloud import CloudException
from cloud._client.client import Client
from cloud._config import profile as profiles
from cloud._config.configuration import Config
from cloud._config.settings import ClientSettings
from cloud._http.transport import ServerAddress

from picloud import output
from picloud.completion import values

if TYPE_CHECKING:
    from picloud.server_choice import ServerChoice

_UNUSED = "Accepted for old scripts and not used: an API key opens its account."
_Unused: TypeAlias = Annotated[
    str | None, typer.Option("--email", "-e", metavar="EMAIL", help=_UNUSED)
]
_UnusedSecret: TypeAlias = Annotated[
    str | None, typer.Option("--password", "-p", metavar="PASSWORD", help=_UNUSED)
]
_USUAL_NAME = "default"
_USUAL_URL = "http://127.0.0.1:8787"


def setup(
    context: typer.Context,
    *,
    url: Annotated[
        str | None,
        typer.Option(
            "--url", "-u", metavar="URL", help="The server; PICLOUD_URL, or asked for, by default."
        ),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            "--api-key",
            "-a",
            metavar="KEY",
            help="The API key; - reads standard input. PICLOUD_API_KEY, or asked for, by default.",
        ),
    ] = None,
    email: _Unused = None,
    password: _UnusedSecret = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="NAME",
            help="What to call it; PICLOUD_PROFILE or 'default' by default.",
            autocompletion=values.profiles,
        ),
    ] = None,
    default: Annotated[
        bool, typer.Option("--default/--no-default", help="Use it where no profile is named.")
    ] = True,
) -> None:
    """Say which server to use from now on, and with which API key.

    Asks for what is not given, on a terminal. Both are verified with the server and kept in a
    profile, a file that only you can read.

    \b
    Examples:
      $ picloud setup
      $ picloud setup --url https://picloud.example.org --profile work
      $ picloud --profile work status 7
    """  # noqa: D301 - \b keeps the lines apart
    del email, password
    choice: ServerChoice = context.obj
    settings = ClientSettings.read()
    name = profile or choice.profile or settings.profile or _USUAL_NAME
    profiles.check_name(name)
    where = url or settings.url or _asked("Server", "--url", shown=_USUAL_URL)
    given = api_key or choice.api_key or settings.api_key
    key = sys.stdin.readline().strip() if given == "-" else given
    store(ServerAddress(where, key or _asked("API key", "--api-key")), name, default=default)


def store(address: ServerAddress, name: str, *, default: bool) -> None:
    """Verify a server and a key with it, and keep both.

    Raises:
        CloudException: When the server does not answer, does not know the key, or the profile
            cannot be written.
    """
    found = Client(address, Config())
    try:
        found.check_key()
    finally:
        found.close()
    file = profiles.path(ClientSettings.read())
    try:
        profiles.write(file, name, profiles.Profile(address.url, address.key), default=default)
    except OSError as error:
        raise CloudException(f"Cannot write {file}: {error.strerror}.") from error
    output.hint(f"{address.url} knows this key; profile {name!r} is kept in {file}.")


def _asked(what: str, option: str, shown: str | None = None) -> str:
    """What a person types, a key unseen.

    Raises:
        typer.BadParameter: When nobody is there to ask.
    """
    if not sys.stdin.isatty():
        raise typer.BadParameter(
            f"there is no terminal to ask for it on; give {option}.", param_hint=option
        )
    said: str = typer.prompt(what, default=shown, hide_input=shown is None, err=True)
    return said.strip()
