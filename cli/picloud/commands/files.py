"""`picloud files`: the older name of `picloud bucket`."""

from __future__ import annotations

from typing import Annotated

import typer
from cloud import CloudException, files

from picloud import output
from picloud.completion import objects
from picloud.help_pages import HelpfulGroup

app = typer.Typer(rich_markup_mode=None, cls=HelpfulGroup)

Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Name of a stored file.", autocompletion=objects.keys),
]
OptionalName = Annotated[
    str | None, typer.Argument(metavar="NAME", help="Name; by default that of the file.")
]
Source = Annotated[str, typer.Argument(metavar="SOURCE", help="File on this machine.")]
Destination = Annotated[
    str | None,
    typer.Argument(metavar="DESTINATION", help="File; by default the last part of the name."),
]


@app.callback()
def stored_files() -> None:
    """Store files: the older commands for what `picloud bucket` does.

    \b
    Examples:
      $ picloud files put names.txt
      $ picloud files get names.txt names2.txt
    """  # noqa: D301 - \b keeps the lines apart


@app.command()
def put(source: Source, name: OptionalName = None) -> None:
    """Store a file, in place of an earlier one.

    \b
    Examples:
      $ picloud files put names.txt
      $ picloud files put names.txt names2.txt
    """  # noqa: D301 - \b keeps the lines apart
    files.put(source, name)


@app.command()
def get(
    name: Name,
    destination: Destination = None,
    *,
    start_byte: Annotated[
        int, typer.Option("--start-byte", min=0, metavar="BYTE", help="First byte.")
    ] = 0,
    end_byte: Annotated[
        int | None,
        typer.Option(
            "--end-byte",
            min=0,
            metavar="BYTE",
            help="Byte after the last one; by default the size.",
        ),
    ] = None,
) -> None:
    """Write a stored file, or a range of its bytes, to a file of this machine.

    \b
    Examples:
      $ picloud files get names.txt
      $ picloud files get names.txt start.txt --end-byte 1000
    """  # noqa: D301 - \b keeps the lines apart
    files.get(name, destination, start_byte, end_byte)


@app.command("list")
def list_names() -> None:
    """Print the names of all stored files.

    \b
    Examples:
      $ picloud files list
    """  # noqa: D301 - \b keeps the lines apart
    output.names(files.list(), empty="No files.")


@app.command("get-md5")
def get_md5(name: Name) -> None:
    """Print the MD5 of a stored file in hex.

    \b
    Examples:
      $ picloud files get-md5 names.txt
    """  # noqa: D301 - \b keeps the lines apart
    digest = files.get_md5(name, log_missing_file_error=False)
    if digest is None:
        raise CloudException(f"There is no stored file {name!r:.80}.")
    output.text(digest)


@app.command()
def delete(name: Name) -> None:
    """Remove a stored file.

    \b
    Examples:
      $ picloud files delete names.txt
    """  # noqa: D301 - \b keeps the lines apart
    files.delete(name)


@app.command("sync-to-cloud")
def sync_to_cloud(source: Source, name: OptionalName = None) -> None:
    """Store a file, unless the stored file has the same bytes already.

    \b
    Examples:
      $ picloud files sync-to-cloud names.txt
    """  # noqa: D301 - \b keeps the lines apart
    files.sync_to_cloud(source, name)


@app.command("sync-from-cloud")
def sync_from_cloud(name: Name, destination: Destination = None) -> None:
    """Write a stored file to a file, unless that has the same bytes already.

    \b
    Examples:
      $ picloud files sync-from-cloud names.txt copy.txt
    """  # noqa: D301 - \b keeps the lines apart
    files.sync_from_cloud(name, destination)
