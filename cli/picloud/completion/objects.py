"""Completion of keys of objects; nothing is offered if no server answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import typer  # noqa: TC002 - typer reads annotations when it runs

from picloud.completion.server import answered
from picloud.completion.values import PLAIN, inserted

if TYPE_CHECKING:
    from cloud._client.client import Client

_MOST: Final = 100


def keys(context: typer.Context, incomplete: str) -> list[str]:
    """Complete a key up to its next `/`; in the folder of --prefix, if that was typed before."""
    from cloud._resources.bucket import BucketClient  # noqa: PLC0415 - completion alone needs it

    folder = context.params.get("prefix")
    before = f"{folder.rstrip('/')}/" if folder else ""

    def read(client: Client) -> list[str]:
        bucket = BucketClient(client.transport)
        return [*bucket.keys(before + incomplete, "", _MOST, folderize=True)[0]]

    found = answered(context, read)
    return [inserted(key.removeprefix(before)) for key in found if PLAIN.fullmatch(key)]
