"""Printing results: text as it is, the rest as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloud._client.current import client

from picloud import output, progress

if TYPE_CHECKING:
    from collections.abc import Sequence


def show(
    jids: Sequence[int],
    timeout: float | None = None,
    *,
    ignore_errors: bool = False,
    json: bool = False,
    raw: bool = False,
) -> None:
    """Wait for jobs and print their results.

    Raises:
        CloudException: What the first failed job failed with; nothing was printed then. Or when a
            result can be read in Python only.
    """
    with progress.shown(len(jids)) as on_progress:
        found = client().result(jids, timeout, ignore_errors, on_progress=on_progress)
    texts = [output.printable(jid, value) for jid, value in zip(jids, found, strict=True)]
    if json:
        output.as_json(
            [{"jid": jid, "result": value} for jid, value in zip(jids, found, strict=True)]
        )
        return
    for jid, text in zip(jids, texts, strict=True):
        if len(jids) > 1:
            output.text(f"Result for jid {jid}:")
        output.text(text, raw=raw)
