"""The options in front of a command: which server, which key, which format."""

from __future__ import annotations

from typing import Annotated

import typer

from picloud.completion import values


def _format(name: str) -> str:
    if name not in values.output_formats(""):
        raise typer.BadParameter(f"{name!r} is not a valid format: write text or json.")
    return name


ProfileName = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="Use the server of this profile; see `picloud setup`.",
        autocompletion=values.profiles,
    ),
]
ApiKey = Annotated[
    str | None,
    typer.Option("--api-key", "-a", metavar="KEY", help="API key, or the id of one."),
]
ApiSecretKey = Annotated[
    str | None,
    typer.Option(
        "--api-secretkey",
        "-k",
        metavar="SECRET",
        help="Secret of that API key, if only its id is given.",
    ),
]
Simulate = Annotated[
    bool,
    typer.Option(
        "--simulate",
        "-s",
        help="Use a temporary server that ends with the command: exec and mapexec wait for their "
        "jobs and print results instead of jids.",
    ),
]
Format = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="FORMAT",
        help="text or json; json has the effect of --json after the command.",
        callback=_format,
        autocompletion=values.output_formats,
    ),
]
