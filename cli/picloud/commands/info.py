"""`picloud info`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import cloud
import typer

from picloud import output
from picloud.options.arguments import AsJson, Jids
from picloud.options.arguments import jids as read_jids

if TYPE_CHECKING:
    from collections.abc import Mapping


def info(
    jids: Jids,
    keys: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="KEYS",
            help="Values to print, such as stdout,cputime.user; or all.",
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Print information about jobs, also while they run.

    \b
    The default is status, stdout, stderr and runtime.
    \b
    Examples:
      $ picloud info 7
      $ picloud info 7 -o stdout,memory.max_usage,cputime.user
      $ picloud info 1-1000 -o status,runtime --json
    """  # noqa: D301 - \b keeps the lines apart
    requested = None if keys is None else [key.strip() for key in keys.split(",")]
    infos = cloud.info(read_jids(jids), requested)
    if json:
        output.as_json([{"jid": jid, **_plain(info_)} for jid, info_ in infos.items()])
        return
    texts = {
        jid: {key: _text(jid, value) for key, value in info_.items()}
        for jid, info_ in infos.items()
    }
    fits = not any("\n" in text for row in texts.values() for text in row.values())
    if len(texts) > 1 and fits:
        columns = list(next(iter(texts.values())))
        output.table(["jid", *columns], [(jid, *row.values()) for jid, row in texts.items()])
        return
    for jid, row in texts.items():
        if len(texts) > 1:
            output.text(f"Info for jid {jid}:")
        for key, text in row.items():
            output.text(f"{key}:\n{text}" if "\n" in text else f"{key}: {text}".rstrip())


def _text(jid: int, value: Any) -> str:
    """Return a value as text: unchanged text, nothing for None, else JSON."""
    return "" if value is None else output.printable(jid, _json(value))


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of types that JSON has."""
    return {key: _json(value) for key, value in values.items()}


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_json(each) for each in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return value.isoformat() if isinstance(value, datetime) else repr(value)
