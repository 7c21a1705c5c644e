"""`picloud du`."""

from __future__ import annotations

from cloud._client.current import client
from picloud_model.size import size

from picloud import output, tables
from picloud.options.arguments import AsJson  # noqa: TC001 - Typer reads it


def du(json: AsJson = False) -> None:
    """Show how much your account has stored.

    "job records" are states, and arguments, results and output of up to 256 KiB; a deleted job
    keeps a short one. "blobs" are larger values, your modules, the files of volumes, and finished
    maps that were moved out of the state store; what only deleted jobs had is removed after a day.
    "objects" are those of your bucket.

    \b
    Examples:
      $ picloud du
      $ picloud delete --all
    """  # noqa: D301 - \b keeps the lines apart
    used = client().usage()
    kinds = {"jobs": used.jobs, "blobs": used.blobs, "objects": used.objects}
    if json:
        output.as_json(
            {name: {"count": each.count, "bytes": each.size} for name, each in kinds.items()}
        )
        return
    rows = [
        (name.replace("jobs", "job records"), f"{each.count:,}", size(each.size))
        for name, each in kinds.items()
    ]
    total = sum(each.size for each in kinds.values())
    tables.show(tables.Columns(("kind", "count", "size")), [*rows, ("total", "", size(total))])
