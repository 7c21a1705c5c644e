"""`picloud bucket`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from cloud import CloudValueError, bucket
from cloud._arguments.object_path import file_of, key_of, named_key
from cloud._client.current import client

from picloud import output, tables, units
from picloud.completion import objects
from picloud.help_pages import HelpfulGroup
from picloud.options.arguments import AsJson  # noqa: TC001 - Typer reads it

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

app = typer.Typer(rich_markup_mode=None, cls=HelpfulGroup)

Key = Annotated[
    str,
    typer.Argument(metavar="OBJ_PATH", help="Key of an object.", autocompletion=objects.keys),
]
Keys = Annotated[
    list[str],
    typer.Argument(metavar="OBJ_PATH...", help="Keys of objects.", autocompletion=objects.keys),
]
OptionalKey = Annotated[
    str | None, typer.Argument(metavar="OBJ_PATH", help="Key; by default the file's name.")
]
File = Annotated[str, typer.Argument(metavar="FILE_PATH", help="File on this machine.")]
OptionalFile = Annotated[
    str | None,
    typer.Argument(metavar="FILE_PATH", help="File; by default the last part of the key."),
]
Prefix = Annotated[
    str | None,
    typer.Option(
        "--prefix", "-p", metavar="PREFIX", help="Folder of the key: the part before a /."
    ),
]
KeyPrefix = Annotated[
    str | None, typer.Option("--prefix", "-p", metavar="PREFIX", help="How the keys begin.")
]
Folderize = Annotated[
    bool, typer.Option("--folderize", "-f", help="Print a folder once instead of the keys in it.")
]
StartByte = Annotated[int, typer.Option("--start-byte", min=0, metavar="BYTE", help="First byte.")]
EndByte = Annotated[
    int | None,
    typer.Option(
        "--end-byte", min=0, metavar="BYTE", help="Byte after the last one; by default the size."
    ),
]


@app.callback()
def buckets() -> None:
    """Store files and other data as objects under keys.

    \b
    Examples:
      $ picloud bucket put results.csv
      $ picloud bucket list
      results.csv
      $ picloud bucket get results.csv copy.csv
    """  # noqa: D301 - \b keeps the lines apart


@app.command()
def put(file_path: File, obj_path: OptionalKey = None, prefix: Prefix = None) -> None:
    """Store a file as an object, in place of an earlier one.

    The file `-` is standard input; name the key then.

    \b
    Examples:
      $ picloud bucket put results.csv
      $ picloud bucket put results.csv 2024/results.csv
      $ picloud bucket put results.csv -p 2024
      $ sort results.csv | picloud bucket put - sorted.csv
    """  # noqa: D301 - \b keeps the lines apart
    if file_path == "-":
        if obj_path is None:
            raise CloudValueError("Name the key that standard input is stored under.")
        bucket.putf(sys.stdin.buffer, obj_path, prefix)
        return
    key = key_of(named_key(file_path, obj_path), prefix)
    size = os.path.getsize(file_path) if os.path.isfile(file_path) else 0  # noqa: PTH113, PTH202
    with _progress(size) as advance:
        client().bucket.put_file(file_path, key, advance)


@app.command()
def get(
    obj_path: Key,
    file_path: OptionalFile = None,
    *,
    prefix: Prefix = None,
    start_byte: StartByte = 0,
    end_byte: EndByte = None,
) -> None:
    """Write an object, or a range of its bytes, to a file.

    The file `-` is standard output.

    \b
    Examples:
      $ picloud bucket get results.csv
      $ picloud bucket get results.csv copy.csv --end-byte 1000
      $ picloud bucket get results.csv - | sort
    """  # noqa: D301 - \b keeps the lines apart
    if file_path == "-":
        with bucket.getf(obj_path, prefix, start_byte, end_byte) as opened:
            while block := opened.read(1024 * 1024):
                output.exactly(block)
        return
    bucket_client = client().bucket
    key, path = key_of(obj_path, prefix), file_of(obj_path, file_path)
    size = bucket_client.info(key).size if sys.stderr.isatty() else 0
    with _progress(size) as advance:
        bucket_client.get_file(key, path, start_byte, end_byte, progress=advance)


@app.command("list")
def list_keys(
    *,
    prefix: KeyPrefix = None,
    folderize: Folderize = False,
    marker: Annotated[
        str | None, typer.Option("--marker", "-m", metavar="KEY", help="Key after which to begin.")
    ] = None,
    max_keys: Annotated[
        int,
        typer.Option(
            "--max-keys", "-k", min=1, metavar="N", help="Maximum number of keys to print."
        ),
    ] = 1000,
    json: AsJson = False,
) -> None:
    """Print keys in the order of their bytes, up to a number.

    \b
    Examples:
      $ picloud bucket list
      $ picloud bucket list -p 2024/ -f
    """  # noqa: D301 - \b keeps the lines apart
    keys = bucket.list(prefix, folderize, marker, max_keys)
    if json:
        output.as_json({"keys": [*keys], "truncated": keys.truncated})
        return
    output.names(keys, empty=f"No keys begin with {prefix}." if prefix else "No keys.")
    if keys.truncated:
        output.hint("There are more: continue with --marker, or use `picloud bucket iterlist`.")


@app.command()
def iterlist(
    *, prefix: KeyPrefix = None, folderize: Folderize = False, json: AsJson = False
) -> None:
    """Print all keys in the order of their bytes.

    \b
    Examples:
      $ picloud bucket iterlist -p 2024/
      $ picloud bucket iterlist | wc -l
    """  # noqa: D301 - \b keeps the lines apart
    keys = bucket.iterlist(prefix, folderize)
    if json:
        output.as_json([*keys])
    else:
        output.names(keys, empty="No keys.")


@app.command()
def info(obj_path: Key, *, prefix: Prefix = None, json: AsJson = False) -> None:
    """Print the size, checksum, headers and other facts of an object.

    \b
    Examples:
      $ picloud bucket info results.csv
      $ picloud bucket info results.csv --json
    """  # noqa: D301 - \b keeps the lines apart
    known = bucket.info(obj_path, prefix)
    modified = known["last_modified"]
    if json:
        output.as_json({**known, "last_modified": modified.isoformat(timespec="seconds")})
        return
    known["last_modified"] = units.exact(modified.timestamp())
    headers = known.pop("headers")
    tables.show_fields({**known, **headers})


@app.command("get-md5")
def get_md5(obj_path: Key, *, prefix: Prefix = None) -> None:
    """Print the MD5 of an object in hex.

    \b
    Examples:
      $ picloud bucket get-md5 results.csv
    """  # noqa: D301 - \b keeps the lines apart
    output.text(bucket.get_md5(obj_path, prefix))


@app.command()
def exists(obj_path: Key, *, prefix: Prefix = None) -> None:
    """Print whether an object exists: yes or no.

    \b
    Examples:
      $ picloud bucket exists results.csv
      yes
    """  # noqa: D301 - \b keeps the lines apart
    output.text(tables.in_words(bucket.exists(obj_path, prefix)))


@app.command()
def remove(obj_paths: Keys, *, prefix: Prefix = None) -> None:
    """Remove objects; missing ones are not an error.

    \b
    Examples:
      $ picloud bucket remove results.csv
      $ picloud bucket remove a.csv b.csv -p 2024
    """  # noqa: D301 - \b keeps the lines apart
    bucket.remove(obj_paths, prefix)


@app.command("remove-prefix")
def remove_prefix(
    prefix: Annotated[
        str,
        typer.Argument(metavar="PREFIX", help="How the keys begin.", autocompletion=objects.keys),
    ],
) -> None:
    """Remove all objects whose keys begin with a prefix.

    The prefix `folder/` removes a folder.

    \b
    Examples:
      $ picloud bucket remove-prefix 2024/
    """  # noqa: D301 - \b keeps the lines apart
    bucket.remove_prefix(prefix)


@app.command("sync-to-cloud")
def sync_to_cloud(file_path: File, obj_path: OptionalKey = None, prefix: Prefix = None) -> None:
    """Store a file as an object, unless the object has the same bytes already.

    \b
    Examples:
      $ picloud bucket sync-to-cloud results.csv
      $ picloud bucket sync-to-cloud results.csv -p 2024
    """  # noqa: D301 - \b keeps the lines apart
    bucket.sync_to_cloud(file_path, obj_path, prefix)


@app.command("sync-from-cloud")
def sync_from_cloud(obj_path: Key, file_path: OptionalFile = None, prefix: Prefix = None) -> None:
    """Write an object to a file, unless the file has the same bytes already.

    \b
    Examples:
      $ picloud bucket sync-from-cloud results.csv copy.csv
    """  # noqa: D301 - \b keeps the lines apart
    bucket.sync_from_cloud(obj_path, file_path, prefix)


@app.command("mpsafe-get")
def mpsafe_get(
    obj_path: Key,
    file_path: OptionalFile = None,
    *,
    prefix: Prefix = None,
    start_byte: StartByte = 0,
    end_byte: EndByte = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            "-t",
            min=0,
            metavar="SECONDS",
            help="Stop waiting for another process after this time.",
        ),
    ] = None,
    sync: Annotated[
        bool,
        typer.Option("--sync", "-s", help="Write a file that exists if the object differs."),
    ] = False,
) -> None:
    """Write an object to a file once for several processes of this machine.

    \b
    Examples:
      $ picloud bucket mpsafe-get model.bin /tmp/model.bin --timeout 60
      $ picloud bucket mpsafe-get model.bin /tmp/model.bin --sync
    """  # noqa: D301 - \b keeps the lines apart
    bucket.mpsafe_get(obj_path, file_path, prefix, start_byte, end_byte, timeout, sync)


@app.command("make-public")
def make_public(
    obj_path: Key,
    *,
    prefix: Prefix = None,
    header: Annotated[
        list[str] | None,
        typer.Option("--header", "-d", metavar="NAME=VALUE", help="Header to send (repeatable)."),
    ] = None,
    reset_headers: Annotated[
        bool, typer.Option("--reset-headers", "-r", help="Remove the headers that were set before.")
    ] = False,
) -> None:
    """Allow everybody to read an object, and print its URL.

    \b
    Examples:
      $ picloud bucket make-public page.html
      $ picloud bucket make-public page.html -d Cache-Control=no-cache
    """  # noqa: D301 - \b keeps the lines apart
    output.text(bucket.make_public(obj_path, prefix, _headers(header or ()), reset_headers))


@app.command("make-private")
def make_private(obj_path: Key, *, prefix: Prefix = None) -> None:
    """Allow only your account to read an object.

    \b
    Examples:
      $ picloud bucket make-private page.html
    """  # noqa: D301 - \b keeps the lines apart
    bucket.make_private(obj_path, prefix)


@app.command("is-public")
def is_public(obj_path: Key, *, prefix: Prefix = None) -> None:
    """Print whether everybody may read an object: yes or no.

    \b
    Examples:
      $ picloud bucket is-public page.html
      no
    """  # noqa: D301 - \b keeps the lines apart
    output.text(tables.in_words(bucket.is_public(obj_path, prefix)))


@app.command("public-url-folder")
def public_url_folder() -> None:
    """Print the URL below which your public objects are.

    \b
    Examples:
      $ picloud bucket public-url-folder
    """  # noqa: D301 - \b keeps the lines apart
    output.text(bucket.public_url_folder())


def _progress(size: int) -> AbstractContextManager[Callable[[int], None]]:
    from cloud._display.transfer import transfer_shown  # noqa: PLC0415 - other commands need none

    return transfer_shown(size)


def _headers(texts: Iterable[str]) -> dict[str, str]:
    headers = {}
    for text in texts:
        # The original command took NAME=VALUE; a header is often copied as "Name: value".
        name, found, value = text.partition("=" if "=" in text else ":")
        if not found or not name.strip():
            raise CloudValueError(f"{text!r:.80} is not a header: write NAME=VALUE.")
        headers[name.strip()] = value.strip()
    return headers
