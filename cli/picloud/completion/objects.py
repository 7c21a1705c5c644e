"""Completion of keys of objects; nothing is offered if no server answers."""

from __future__ import annotations

from typing import Final

import typer  # noqa: TC002 - typer reads annotations when it runs

from picloud.completion.server import quick_client
from picloud.completion.values import PLAIN, inserted

_MOST: Final = 100


def keys(context: typer.Context, incomplete: str) -> list[str]:
    """Complete a key up to its next `/`; in the folder of --prefix, if that was typed before."""
    from cloud._resources.bucket import BucketClient  # noqa: PLC0415 - completion alone needs it

    folder = context.params.get("prefix")
    before = f"{folder.rstrip('/')}/" if folder else ""
    try:
        bucket = BucketClient(quick_client(context).transport)
        found, _ = bucket.keys(before + incomplete, "", _MOST, folderize=True)
    except Exception:  # noqa: BLE001 - completion prints no messages
        return []
    return [inserted(key.removeprefix(before)) for key in found if PLAIN.fullmatch(key)]
