"""`picloud secret`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Final

import typer
from cloud import secret
from cloud._config.env_file import parse

from picloud import output, tables, units
from picloud.completion.secrets import secrets
from picloud.help_pages import HelpfulGroup
from picloud.options.arguments import AsJson  # noqa: TC001 - Typer reads it

app = typer.Typer(rich_markup_mode=None, cls=HelpfulGroup)

_STANDARD_INPUT: Final = "-"
_VALUES: Final = "VARIABLE=VALUE"
_FROM_FILE: Final = "--from-file"

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of a secret.", autocompletion=secrets)
]


@app.callback()
def all_secrets() -> None:
    """Keep passwords and keys that only your jobs may see.

    \b
    Examples:
      $ picloud secret set db --from-env-file .env
      $ picloud exec --secret db psql -f report.sql
      $ picloud secret list
    """  # noqa: D301 - \b keeps the lines apart


@app.command("set")
def set_secret(
    name: Name,
    values: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="VARIABLE=VALUE...",
            show_default=False,
            help="Values that may stay in the history of your shell.",
        ),
    ] = None,
    *,
    from_env_file: Annotated[
        str | None,
        typer.Option(
            "--from-env-file",
            "-f",
            metavar="PATH",
            help="File with a line NAME=value for each; - for standard input.",
        ),
    ] = None,
    from_file: Annotated[
        list[str] | None,
        typer.Option(
            "--from-file",
            metavar="VARIABLE=PATH",
            help="File that holds the value of a variable (repeatable).",
        ),
    ] = None,
    as_file: Annotated[
        bool,
        typer.Option("--as-file", help="Give jobs paths of files that hold the values."),
    ] = False,
) -> None:
    """Store a secret under a name, in place of an earlier one.

    Jobs that start from now on find the new values. Without values and files, lines VARIABLE=VALUE
    are read from standard input.

    \b
    Examples:
      $ picloud secret set db --from-env-file .env
      $ vault read -field=env app | picloud secret set db
      $ picloud secret set tls --as-file --from-file TLS_KEY=key.pem
    """  # noqa: D301 - \b keeps the lines apart
    assigned = _assigned(values or [], _VALUES)
    for variable, path in _assigned(from_file or [], _FROM_FILE).items():
        if variable in assigned:
            raise typer.BadParameter(f"{variable} is given twice.", param_hint=_FROM_FILE)
        assigned[variable] = _contents(path)
    if assigned and from_env_file:
        raise typer.BadParameter("give values or --from-env-file, not both.")
    if assigned:
        secret.set(name, assigned, as_file=as_file)
    elif from_env_file in (None, _STANDARD_INPUT):
        secret.set(name, _from_standard_input(), as_file=as_file)
    else:
        secret.set(name, env_file=from_env_file, as_file=as_file)


@app.command("list")
def list_secrets(*, json: AsJson = False) -> None:
    """Print the secrets that your jobs may name, without their values.

    Those that are minted are made anew for each job, as the operator of the server has defined.

    \b
    Examples:
      $ picloud secret list
    """  # noqa: D301 - \b keeps the lines apart
    found = secret.list()
    if json:
        for each in found:
            each["set"] = each["set"].isoformat(timespec="seconds")
        output.as_json(found)
        return
    now = time.time()
    rows = [
        (
            each["name"],
            ", ".join(each["variables"]),
            ("minted " if each["minted"] else "") + ("files" if each["as_file"] else "variables"),
            units.moment(each["set"].timestamp(), now),
        )
        for each in found
    ]
    columns = ("name", "variables", "as", "set")
    tables.show(tables.Columns(columns, flexible=columns[:2]), rows, empty="No secrets.")


@app.command("rm")
def remove(name: Name) -> None:
    """Remove a secret; jobs that name it and have not started will fail.

    \b
    Examples:
      $ picloud secret rm db
    """  # noqa: D301 - \b keeps the lines apart
    secret.remove(name)


def _assigned(texts: list[str], hint: str) -> dict[str, str]:
    """Return the values of assignments by name; an error has no value in it."""
    values: dict[str, str] = {}
    for number, text in enumerate(texts, 1):
        name, equals, value = text.partition("=")
        if not equals or not name:
            form = "VARIABLE=PATH" if hint == _FROM_FILE else "VARIABLE=VALUE"
            raise typer.BadParameter(f"value {number} is not of the form {form}.", param_hint=hint)
        if name in values:
            raise typer.BadParameter(f"{name} is given twice.", param_hint=hint)
        values[name] = value
    return values


def _contents(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}."
        raise typer.BadParameter(message, param_hint=_FROM_FILE) from None
    except UnicodeDecodeError:
        message = f"{path} is not a text in UTF-8."
        raise typer.BadParameter(message, param_hint=_FROM_FILE) from None


def _from_standard_input() -> dict[str, str]:
    if sys.stdin.isatty():
        output.hint("Reading lines VARIABLE=VALUE; end them with Ctrl-D.")
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise typer.BadParameter("standard input is not a text in UTF-8.") from None
    values = parse(text, "standard input")
    if not values:
        raise typer.BadParameter(
            "give values, --from-file or --from-env-file, or pipe lines VARIABLE=VALUE into it.",
            param_hint=_VALUES,
        )
    return values
