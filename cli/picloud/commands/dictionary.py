"""`picloud dict`."""

from __future__ import annotations

import json as json_format
from typing import Annotated, Any

import typer
from cloud import CloudException
from cloud._sharing.dictionary import Dict

from picloud import output, tables
from picloud.completion import names as completion
from picloud.help_pages import HelpfulGroup
from picloud.options.arguments import AsJson  # noqa: TC001 - Typer reads it

app = typer.Typer(rich_markup_mode=None, cls=HelpfulGroup)

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="Name of the dictionary.", autocompletion=completion.dictionaries
    ),
]
Key = Annotated[
    str,
    typer.Argument(
        metavar="KEY", help="Key in the dictionary.", autocompletion=completion.dictionary_keys
    ),
]


@app.callback()
def dictionaries() -> None:
    """Share small values between jobs and programs.

    \b
    Examples:
      $ picloud dict set limits depth 3 --parse
      $ picloud dict get limits depth
    """  # noqa: D301 - \b keeps the lines apart


@app.command("list")
def list_keys(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="Name of a dictionary; by default all are listed.",
            autocompletion=completion.dictionaries,
        ),
    ] = None,
    *,
    json: AsJson = False,
) -> None:
    """Print the names of all dictionaries, or the keys of one with their values.

    \b
    Examples:
      $ picloud dict list
      $ picloud dict list limits
    """  # noqa: D301 - \b keeps the lines apart
    if name is None:
        names = Dict.names()
        if json:
            output.as_json(names)
            return
        tables.show(
            tables.Columns(("name",), flexible=("name",)),
            [(each,) for each in names],
            empty="There are no dictionaries.",
        )
        return
    values = Dict(name).copy()
    if json:
        output.as_json({key: _plain(value) for key, value in values.items()})
        return
    tables.show(
        tables.Columns(("key", "value"), flexible=("key", "value")),
        [(key, output.printable(value)) for key, value in values.items()],
        empty=f"The dictionary {name!r} has no keys.",
    )


@app.command()
def get(name: Name, key: Key) -> None:
    """Print a value: text unchanged, other values as JSON, or as Python shows them.

    Exits with 1 when there is no such key.

    \b
    Examples:
      $ picloud dict get limits depth
    """  # noqa: D301 - \b keeps the lines apart
    dictionary = Dict(name)
    try:
        value = dictionary[key]
    except KeyError:
        raise CloudException(f"The dictionary {name!r} has no key {key!r}.") from None
    output.text(output.printable(value))


@app.command("set")
def set_value(
    name: Name,
    key: Key,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="Its value.")],
    *,
    parse: Annotated[
        bool, typer.Option("--parse", help="Read the value as JSON, not as text.")
    ] = False,
) -> None:
    """Store a value under a key, in place of an earlier one.

    \b
    Examples:
      $ picloud dict set limits colour red
      $ picloud dict set limits depth 3 --parse
    """  # noqa: D301 - \b keeps the lines apart
    stored: Any = value
    if parse:
        try:
            stored = json_format.loads(value)
        except ValueError as error:
            raise CloudException(f"{value!r:.80} is not valid JSON: {error}.") from None
    Dict(name)[key] = stored


@app.command()
def remove(
    name: Name,
    key: Annotated[
        str | None,
        typer.Argument(
            metavar="KEY",
            help="Key to remove; without it all of the dictionary.",
            autocompletion=completion.dictionary_keys,
        ),
    ] = None,
) -> None:
    """Remove a key, or a dictionary; one that does not exist is not an error.

    \b
    Examples:
      $ picloud dict remove limits depth
      $ picloud dict remove limits
    """  # noqa: D301 - \b keeps the lines apart
    if key is None:
        Dict(name).clear()
    else:
        Dict(name).remove(key)


def _plain(value: Any) -> Any:
    return value if output.to_json(value) is not None else repr(value)
