"""`picloud dict`."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from cloud import CloudException
from cloud._sharing.dictionary import Dict, values_of
from picloud_model.errors import missing_name, nearest_name

from picloud import output, tables
from picloud.completion import names as completion
from picloud.help_pages import HelpfulGroup
from picloud.options.arguments import AsJson, parsed

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
    values = values_of(Dict(name), _Unreadable)
    if json:
        output.as_json({key: _plain(value) for key, value in values.items()})
        return
    tables.show(
        tables.Columns(("key", "value"), flexible=("key", "value")),
        [(key, output.printable(value)) for key, value in values.items()],
        empty="" if values else missing_name("dictionary", name, Dict.names()),
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
        raise CloudException(_without(dictionary, key)) from None
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
    Dict(name)[key] = parsed(value) if parse else value


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


class _Unreadable:
    """In place of a value that cannot be read here."""

    def __init__(self, error: CloudException) -> None:
        self._error = error

    def __repr__(self) -> str:
        return f"<{self._error}>"


def _without(dictionary: Dict, key: str) -> str:
    """Return what to say of a key that a dictionary does not have."""
    if not (keys := list(dictionary)):
        return missing_name("dictionary", dictionary.name, Dict.names())
    near = nearest_name(key, keys)
    hint = f"; did you mean {near!r}?" if near else "."
    return f"The dictionary {dictionary.name!r} has no key {key!r:.80}{hint}"


def _plain(value: Any) -> Any:
    return value if output.to_json(value) is not None else repr(value)
