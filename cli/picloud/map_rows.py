"""The values for the jobs of `picloud mapexec`: from `-n`, from an argument file, and copied."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import typer
from cloud._arguments.command_template import is_name

from picloud.options import arguments

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LIST: Final = "-n"
_FILE: Final = "-N"


class MapRows(msgspec.Struct, frozen=True):
    """The names of template variables, and a row of their values for each job."""

    names: tuple[str, ...]
    rows: list[tuple[str, ...]]


def read(lists: Iterable[str] | None, file: str | None, copies: int | None) -> MapRows:
    """Return the rows that `-n`, `-N` and `--copies` specify together.

    Raises:
        typer.BadParameter: When they are inconsistent; names the option, or the line of the file.

    >>> read(["a=1,2", "b=x,y"], None, None)
    MapRows(names=('a', 'b'), rows=[('1', 'x'), ('2', 'y')])
    """
    listed = _listed(lists)
    if file is None and not listed.names:
        if copies is None:
            raise typer.BadParameter(
                "give values: -n NAME=VALUE,VALUE, an argument file, or a number of copies.",
                param_hint="-n / -N / --copies",
            )
        return MapRows((), [()] * copies)
    single = listed if file is None else _joined(listed, _filed(file))
    if copies is None:
        return single
    return MapRows(single.names, [row for row in single.rows for _ in range(copies)])


def _listed(lists: Iterable[str] | None) -> MapRows:
    texts = arguments.assignments(lists, _LIST)
    columns = {name: arguments.values(name, text, _LIST) for name, text in texts.items()}
    counts = {name: len(column) for name, column in columns.items()}
    if len(set(counts.values())) > 1:
        each = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise typer.BadParameter(
            f"every variable must have as many values as the others: {each}.", param_hint=_LIST
        )
    return MapRows(tuple(columns), list(zip(*columns.values(), strict=True)))


def _joined(listed: MapRows, filed: MapRows) -> MapRows:
    if not listed.names:
        return filed
    twice = next((name for name in listed.names if name in filed.names), None)
    if twice is not None:
        raise typer.BadParameter(f"{twice} is in the argument file, too.", param_hint=_LIST)
    if len(listed.rows) != len(filed.rows):
        raise typer.BadParameter(
            f"there are {len(listed.rows)} values of {listed.names[0]}, but {len(filed.rows)} "
            "rows in the argument file.",
            param_hint=_LIST,
        )
    rows = [one + other for one, other in zip(listed.rows, filed.rows, strict=True)]
    return MapRows(listed.names + filed.names, rows)


def _filed(path: str) -> MapRows:
    lines = _lines(path)
    first = next(lines, None)
    if first is None:
        raise typer.BadParameter(
            f"{path} is empty; its first line names the variables.", param_hint=_FILE
        )
    at, header = first
    names = tuple(name.strip() for name in header)
    for name in names:
        if not is_name(name) or names.count(name) > 1:
            raise _error(path, at, f"{name!r} is not a valid variable name, or is repeated")
    rows: list[tuple[str, ...]] = []
    for at, row in lines:
        if len(row) != len(names):
            have = f"{len(row)} {'value' if len(row) == 1 else 'values'}"
            raise _error(path, at, f"{have}, but {len(names)} are needed: {', '.join(names)}")
        rows.append(tuple(row))
    return MapRows(names, rows)


def _lines(path: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not empty, with the number of its first line."""
    import csv  # noqa: PLC0415 - few commands read such a file

    begins = 1
    with contextlib.ExitStack() as stack:
        try:
            lines = (
                sys.stdin
                if path == "-"
                else stack.enter_context(
                    Path(path).open(encoding="utf-8-sig", errors="surrogateescape", newline="")
                )
            )
            reader = csv.reader(lines, strict=True)
            for row in reader:
                if row:
                    yield begins, row
                begins = reader.line_num + 1
        except csv.Error as error:
            raise _error(path, begins, str(error)) from None
        except OSError as error:
            raise typer.BadParameter(
                f"{path} cannot be read: {error.strerror}.", param_hint=_FILE
            ) from None


def _error(path: str, line: int, what: str) -> typer.BadParameter:
    return typer.BadParameter(f"{path}, line {line}: {what}.", param_hint=_FILE)
