"""`picloud setup`."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated, TypeAlias, TypeVar

import typer
from cloud import CloudConnectionError, CloudException
from cloud._client.client import Client
from cloud._config import profile as profiles
from cloud._config.configuration import Config
from cloud._config.settings import ClientSettings
from cloud._http.exchange import NoAnswer
from cloud._http.health import check_server
from cloud._http.transport import ServerAddress, Transport, check_key
from picloud_model.errors import KeyRefused

from picloud import output
from picloud.completion import values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from picloud.server_choice import ServerChoice

_UNUSED = "Accepted for old scripts, without effect: the API key identifies the account."
_Unused: TypeAlias = Annotated[
    str | None, typer.Option("--email", "-e", metavar="EMAIL", help=_UNUSED)
]
_UnusedSecret: TypeAlias = Annotated[
    str | None, typer.Option("--password", "-p", metavar="PASSWORD", help=_UNUSED)
]
_T = TypeVar("_T")
_USUAL_NAME = "default"
_USUAL_URL = "http://127.0.0.1:8787"


def setup(
    context: typer.Context,
    *,
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            "-u",
            metavar="URL",
            help="Server URL; by default PICLOUD_URL, else prompted for.",
        ),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            "--api-key",
            "-a",
            metavar="KEY",
            help="API key, or - for standard input; by default PICLOUD_API_KEY, else prompted for.",
        ),
    ] = None,
    email: _Unused = None,
    password: _UnusedSecret = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="NAME",
            help="Name of the profile; by default PICLOUD_PROFILE, else 'default'.",
            autocompletion=values.profiles,
        ),
    ] = None,
    default: Annotated[
        bool, typer.Option("--default/--no-default", help="Use this profile if none is named.")
    ] = True,
) -> None:
    """Choose the server to use, and the API key for it.

    On a terminal, prompts for what is not given, and again if it is wrong. Verifies both with the
    server and stores them in a profile, in a file that only you can read.

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
    text = api_key or choice.api_key or settings.api_key
    key = sys.stdin.readline().strip() if text == "-" else text
    known = profiles.read(profiles.path(settings))
    earlier = known.profiles.get(name) or known.profiles.get(known.default or "")
    suggested = earlier.url if earlier else _USUAL_URL
    store(_verified(url or settings.url, key, suggested), name, default=default)


def _verified(url: str | None, key: str | None, suggested: str) -> ServerAddress:
    """Return an address and a key that a server accepts; on a terminal, ask for missing ones."""
    if url is None:
        url = _retried(lambda: _reached(_ask("Server", "--url", shown=suggested)))
    elif key is None:
        _reached(url)
    if key is None:
        return _retried(lambda: _asked_key(url))
    address = ServerAddress(url, key)
    _verify(address)
    return address


def store(address: ServerAddress, name: str, *, default: bool) -> None:
    """Store a server and an API key in a profile.

    Raises:
        CloudException: When the profile cannot be written.
    """
    file = profiles.path(ClientSettings.read())
    profiles.write(file, name, profiles.Profile(address.url, address.key), default=default)
    output.hint(f"{address.url} knows this key; profile {name!r} is stored in {file}.")


def _reached(url: str) -> str:
    """Return a URL at which a server answers.

    Raises:
        CloudException: When none does.
    """
    transport = Transport(ServerAddress(url, ""), Config())
    try:
        with _advised(url):
            check_server(transport)
    finally:
        transport.close()
    return url


def _asked_key(url: str) -> ServerAddress:
    address = ServerAddress(url, _ask("API key", "--api-key"))
    _verify(address)
    return address


def _verify(address: ServerAddress) -> None:
    """Verify an API key with its server.

    Raises:
        CloudException: When the server does not answer or does not know the key.
    """
    check_key(address.key)
    client = Client(address, Config())
    try:
        with _advised(address.url):
            client.check_key()
    finally:
        client.close()


@contextlib.contextmanager
def _advised(url: str) -> Iterator[None]:
    """Let errors advise what helps here; elsewhere some advise to run this very command."""
    try:
        yield
    except CloudException as error:
        cause = error.__cause__
        if isinstance(cause, NoAnswer):
            raise CloudConnectionError(
                f"No PiCloud server answers at {url} ({cause}); check the address, or start one "
                "with `picloud up`."
            ) from None
        if error.code == KeyRefused.code:
            raise CloudException(
                "The server does not know this API key; check that you have copied all of it."
            ) from None
        raise


def _retried(step: Callable[[], _T]) -> _T:
    """Return what a step returns; show its errors and repeat it, as a person can correct them."""
    while True:
        try:
            return step()
        except CloudException as error:
            output.error(str(error))


def _ask(what: str, option: str, shown: str | None = None) -> str:
    """Ask for a value on the terminal; without `shown` the input is hidden.

    Raises:
        typer.BadParameter: When there is no terminal.
    """
    if not sys.stdin.isatty():
        raise typer.BadParameter(
            f"there is no terminal to ask for it on; give {option}.", param_hint=option
        )
    text: str = typer.prompt(what, default=shown, hide_input=shown is None, err=True)
    return text.strip()
