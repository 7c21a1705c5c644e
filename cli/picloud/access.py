"""Which server a command talks to, as the options before it say."""

from __future__ import annotations

import logging
from typing import Annotated

import cloud
import msgspec
import typer
from cloud import CloudException
from cloud._config import profile
from cloud._config.settings import Settings

from picloud import complete


def _format(name: str) -> str:
    if name not in complete.output_formats(""):
        raise typer.BadParameter(f"{name!r} is not one of text and json.")
    return name


ProfileName = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="Use this server, of those that `picloud setup` knows.",
        autocompletion=complete.profiles,
    ),
]
ApiKey = Annotated[
    str | None,
    typer.Option("--api-key", "-a", metavar="KEY", help="Use this API key, or this id of one."),
]
ApiSecretKey = Annotated[
    str | None,
    typer.Option("--api-secretkey", "-k", metavar="SECRET", help="The secret of that id."),
]
Simulate = Annotated[
    bool,
    typer.Option(
        "--simulate",
        "-s",
        help="Run on a server of its own, which ends with the command: exec and mapexec wait for "
        "their jobs and print results in place of jids.",
    ),
]
Format = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="FORMAT",
        help="text, or json, as --json of each command.",
        callback=_format,
        autocompletion=complete.output_formats,
    ),
]


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """The options before a command. The key is in no `repr`."""

    profile: str | None = None
    api_key: str | None = None
    api_secretkey: str | None = None
    simulate: bool = False
    verbose: bool = False

    def __repr__(self) -> str:
        return f"Access(profile={self.profile!r}, simulate={self.simulate!r})"

    def open(self) -> None:
        """Let `cloud` use what was chosen; the environment and the profile decide on the rest.

        Raises:
            CloudException: When the profile does not exist, or the simulator cannot start.
        """
        if self.verbose:
            logging.basicConfig(format="%(name)s: %(message)s", level=logging.DEBUG)
        if self.simulate:
            cloud.start_simulator()
            return
        if self.api_secretkey is not None and self.api_key is None:
            raise CloudException("--api-secretkey needs --api-key, the id that belongs to it.")
        url = None
        key, secret = self.api_key, self.api_secretkey
        if self.profile is not None:
            chosen = profile.read(profile.path(Settings.read())).chosen(self.profile)
            assert chosen is not None
            url = chosen.url
            key = chosen.key if key is None else key
        if key is not None:
            cloud.setkey(key, secret, url)
