"""`picloud volume`."""

from __future__ import annotations

import stat
import time
from typing import Annotated, Any, Final

import typer
from cloud import volume
from cloud._display.transfer import transfer_shown
from picloud_model.size import size

from picloud import output, tables, units
from picloud.completion.volumes import paths, volumes
from picloud.help_pages import HelpfulGroup
from picloud.options.arguments import AsJson  # noqa: TC001 - Typer reads it

app = typer.Typer(rich_markup_mode=None, cls=HelpfulGroup)

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of a volume.", autocompletion=volumes)
]
VolumePath = Annotated[
    str,
    typer.Argument(
        metavar="VOLUME_PATH", help="Path in a volume, volume:path.", autocompletion=paths
    ),
]
_LETTERS: Final = {"file": stat.S_IFREG, "directory": stat.S_IFDIR, "link": stat.S_IFLNK}


@app.callback()
def all_volumes() -> None:
    """Keep directories on the server, synchronized as with rsync.

    \b
    Examples:
      $ picloud volume create data /data
      $ picloud volume sync sets/ data:
      $ picloud volume ls data:
    """  # noqa: D301 - \b keeps the lines apart


@app.command("list")
def list_volumes(
    *,
    name: Annotated[
        list[str] | None,
        typer.Option(
            "--name", "-n", metavar="NAME", help="Volume (repeatable).", autocompletion=volumes
        ),
    ] = None,
    desc: Annotated[bool, typer.Option("--desc", "-d", help="Print descriptions, too.")] = False,
    json: AsJson = False,
) -> None:
    """Print your volumes by name.

    \b
    Examples:
      $ picloud volume list
      $ picloud volume list -n data --desc
    """  # noqa: D301 - \b keeps the lines apart
    found = volume.get_list(name, desc)
    if json:
        for each in found:
            each["created"] = each["created"].isoformat(timespec="seconds")
        output.as_json(found)
        return
    rows = [
        (
            each["name"],
            each["mount_path"],
            units.moment(each["created"].timestamp(), time.time()),
            f"{each['entries']:,}",
            size(each["size"]),
            *([each["desc"]] if desc else []),
        )
        for each in found
    ]
    columns = ("name", "mount_path", "created", "entries", "size", *(("desc",) if desc else ()))
    flexible = ("name", "mount_path", "desc")
    layout = tables.Columns(columns, flexible=flexible, optional=("created",))
    tables.show(layout, rows, empty="No volumes.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the volume.")],
    mount_path: Annotated[
        str, typer.Argument(metavar="MOUNT_PATH", help="Where jobs find it, such as /data.")
    ],
    *,
    desc: Annotated[
        str | None, typer.Option("--desc", "-d", metavar="TEXT", help="Description.")
    ] = None,
) -> None:
    """Create an empty volume.

    \b
    Examples:
      $ picloud volume create data /data
      $ picloud volume create models /models --desc "trained models"
    """  # noqa: D301 - \b keeps the lines apart
    volume.create(name, mount_path, desc)


@app.command()
def mkdir(
    volume_path: VolumePath,
    *,
    parents: Annotated[
        bool, typer.Option("--parents", "-p", help="Make directories above it, too.")
    ] = False,
) -> None:
    """Make a directory in a volume.

    \b
    Examples:
      $ picloud volume mkdir data:sets
      $ picloud volume mkdir -p data:sets/2024/june
    """  # noqa: D301 - \b keeps the lines apart
    volume.mkdir(volume_path, parents)


@app.command()
def sync(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="Path here, or volume:path.", autocompletion=paths),
    ],
    dest: Annotated[
        str,
        typer.Argument(metavar="DEST", help="The other kind of path.", autocompletion=paths),
    ],
    *,
    delete: Annotated[
        bool, typer.Option("--delete", "-d", help="Remove what is not in SOURCE.")
    ] = False,
) -> None:
    """Copy a directory to or from a volume, as rsync does.

    Afterwards the directory at DEST has the files of SOURCE. As with rsync, `sets/` stands for what
    is in the directory, and `sets` for the directory itself.

    \b
    Examples:
      $ picloud volume sync sets/ data:
      $ picloud volume sync --delete sets data:
      $ picloud volume sync data:results/ results
    """  # noqa: D301 - \b keeps the lines apart
    volume.synchronize(source, dest, transfer_shown, delete=delete)


@app.command()
def ls(
    volume_path: VolumePath,
    *,
    extended_info: Annotated[
        bool, typer.Option("--extended-info", "-l", help="Print modes, sizes and times, too.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Print the names of what is in a directory of a volume.

    \b
    Examples:
      $ picloud volume ls data:
      $ picloud volume ls -l data:sets
    """  # noqa: D301 - \b keeps the lines apart
    found = volume.ls(volume_path, extended_info)
    if json:
        for each in found if extended_info else ():
            each["modified"] = each["modified"].isoformat(timespec="seconds")
        output.as_json(found)
    elif extended_info:
        rows = [_row(each) for each in found]
        tables.show(tables.Columns(("mode", "size", "modified", "name"), flexible=("name",)), rows)
    else:
        for each in found:
            output.text(each)


@app.command()
def rm(
    volume_path: VolumePath,
    *,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Remove directories with everything in them.")
    ] = False,
) -> None:
    """Remove a file or a directory of a volume.

    \b
    Examples:
      $ picloud volume rm data:sets/old.csv
      $ picloud volume rm -r data:sets
    """  # noqa: D301 - \b keeps the lines apart
    volume.rm(volume_path, recursive)


@app.command()
def delete(name: Name) -> None:
    """Delete a volume with all its files.

    \b
    Examples:
      $ picloud volume delete data
    """  # noqa: D301 - \b keeps the lines apart
    volume.delete(name)


def _row(each: dict[str, Any]) -> tuple[str, ...]:
    mode = stat.filemode(_LETTERS[each["type"]] | each["mode"])
    name = f"{each['name']} -> {each['target']}" if each["target"] else each["name"]
    modified = units.moment(each["modified"].timestamp(), time.time())
    return mode, size(each["size"]), modified, name
