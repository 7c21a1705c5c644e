"""`picloud info`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import cloud
import typer
from picloud_model.errors import RequestRefused, nearest_name
from picloud_model.info import ALL, DEFAULT_KEYS, KEYS, InfoKey, read_keys
from picloud_model.size import size

from picloud import output, tables, units
from picloud.completion import values
from picloud.options.arguments import AsJson, Jids
from picloud.options.arguments import jids as read_jids

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_DEFAULT: Final = (InfoKey.STATUS.value, InfoKey.FUNCTION.value, *map(str, DEFAULT_KEYS[1:]))
_TIMES: Final = (InfoKey.RUNTIME, InfoKey.CPU_USER, InfoKey.CPU_SYSTEM)
_SIZES: Final = (
    InfoKey.MEMORY_USAGE,
    InfoKey.MEMORY_PEAK,
    InfoKey.SWAP_USAGE,
    InfoKey.SWAP_PEAK,
    InfoKey.DISK_USAGE,
)
_FORMATS: Final[Mapping[str, Callable[[float], str]]] = {
    **dict.fromkeys(_TIMES, units.duration),
    **dict.fromkeys(_SIZES, size),
    InfoKey.CPU_PERCENTAGE: lambda percentage: f"{percentage:.0f} %",
}
"""How the text of numbers is made, by their keys."""


def info(
    jids: Jids,
    keys: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="KEYS",
            help="Values to print, such as stdout,cputime.user; or all.",
            autocompletion=values.info_keys,
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Print information about jobs, also while they run.

    The default is status, function, stdout, stderr and runtime, without those that are empty. Dates
    are in local time. With --json they are in UTC, times in seconds and sizes in bytes.

    \b
    Examples:
      $ picloud info 7
      $ picloud info 7 -o stdout,memory.max_usage,cputime.user
      $ picloud info 1-1000 -o status,runtime --json
    """  # noqa: D301 - \b keeps the lines apart
    _refuse_keys(jids)
    requested = None if keys is None else _keys(keys)
    infos = cloud.info(read_jids(*jids), requested or list(_DEFAULT))
    if json:
        output.as_json([{"jid": jid, **_plain(info_)} for jid, info_ in infos.items()])
        return
    texts = {
        jid: {key: _text(key, value) for key, value in info_.items()}
        for jid, info_ in infos.items()
    }
    fits = not any("\n" in text for row in texts.values() for text in row.values())
    if len(texts) > 1 and fits:
        columns = list(next(iter(texts.values())))
        layout = tables.Columns(("jid", *columns), flexible=tuple(columns))
        tables.show(layout, [(jid, *row.values()) for jid, row in texts.items()])
        return
    leaves_out = requested is None or ALL in requested
    for jid, row in texts.items():
        if len(texts) > 1:
            output.text(f"Info for jid {jid}:")
        for key, text in row.items():
            if text or not leaves_out:
                output.text(f"{key}:\n{text}" if "\n" in text else f"{key}: {text}".rstrip())


def _refuse_keys(words: list[str]) -> None:
    """Refuse the name of a value among the jids, as in `picloud info 7 stdout`."""
    for word in words:
        near = None if word[:1].isdigit() else nearest_name(word, KEYS)
        if near:
            raise typer.BadParameter(
                f"{word!r} is not a valid job id; to print {near}, write -o {near}.",
                param_hint="JIDS",
            )


def _keys(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    try:
        read_keys(names)
    except RequestRefused as error:
        raise typer.BadParameter(error.message, param_hint="--output / -o") from None
    return names


def _text(key: str, value: Any) -> str:
    """Return a value as text: unchanged text, nothing for None, a number with its unit."""
    if value is None:
        return ""
    if isinstance(value, dict) and value and f"{key}.{next(iter(value))}" in _FORMATS:
        texts = {name: _text(f"{key}.{name}", each) for name, each in value.items()}
        return ", ".join(f"{name} {text}" for name, text in texts.items() if text)
    if key == InfoKey.WEBHOOK:
        return output.printable(_webhook(value))
    if isinstance(value, datetime):
        return units.exact(value.timestamp())
    if key in _FORMATS:
        return _FORMATS[key](value)
    return "" if value in ([], {}) else output.printable(_json(value))


def _webhook(value: Mapping[str, Any]) -> str:
    """Return what became of a post: "retrying after 3 attempts, next at ...: It answered ..."."""
    text = value["state"]
    if value["problem"]:
        last = _text("", value["last_attempt"])
        text += f" after {value['attempts']} attempts, the last at {last}"
    if value["next_attempt"]:
        text += f", the next at {_text('', value['next_attempt'])}"
    return f"{text}: {value['problem']}" if value["problem"] else text


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
