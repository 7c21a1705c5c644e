"""The options in front of a command: which server, which key, which format."""

from __future__ import annotations

from typing import Annotated

import typer

from picloud.completion import values


def _format(name: str) -> str:
    if name not in values.output_formats(""):
        raise typer.BadParameter(f"{name!r} is not one of text and json.")
    return name


ProfileName = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="Use this server, of those that `picloud setup` knows.",
        autocompletion=values.profiles,
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
        autocompletion=values.output_formats,
    ),
]
