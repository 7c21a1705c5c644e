"""`picloud du`."""

from __future__ import annotations

from typing import Final

from cloud._client.current import client

from picloud import output
from picloud.options.arguments import AsJson  # noqa: TC001 - Typer reads it

_UNITS: Final = ("B", "kB", "MB", "GB", "TB")
_STEP: Final = 1000


def du(json: AsJson = False) -> None:
    """Show how much your account has stored.

    "jobs" are states, and arguments, results and output of up to 256 KiB. "blobs" are larger ones,
    your modules, and finished maps that were moved out of the state store. Objects in buckets are
    not counted.

    \b
    Examples:
      $ picloud du
      $ picloud delete --all
    """  # noqa: D301 - \b keeps the lines apart
    used = client().usage()
    kinds = {"jobs": used.jobs, "blobs": used.blobs}
    if json:
        output.as_json(
            {name: {"count": each.count, "bytes": each.size} for name, each in kinds.items()}
        )
        return
    rows = [(name, f"{each.count:,}", in_units(each.size)) for name, each in kinds.items()]
    total = used.jobs.size + used.blobs.size
    output.table(("kind", "count", "size"), [*rows, ("total", "", in_units(total))])


def in_units(size: float) -> str:
    """Return a number of bytes for people.

    >>> in_units(999), in_units(1_500), in_units(217_000_000)
    ('999 B', '1.5 kB', '217.0 MB')
    """
    for unit in _UNITS:
        if size < _STEP or unit == _UNITS[-1]:
            break
        size /= _STEP
    return f"{size:,.0f} B" if unit == _UNITS[0] else f"{size:,.1f} {unit}"
