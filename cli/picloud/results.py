"""Printing results: text unchanged, other values as JSON."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cloud._client.current import client
from cloud.errors import CloudException

from picloud import output, progress

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


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
        CloudException: When a job failed, or a result has no JSON representation; nothing is
            printed then.
    """
    with progress.shown(len(jids)) as on_progress:
        values = client().result(jids, timeout, ignore_errors, on_progress=on_progress)
    only = values[0] if len(values) == 1 else None
    if isinstance(only, str | bytes) and not json and not sys.stdout.isatty():
        output.exactly(only)
        return
    texts = [_text(jid, value) for jid, value in zip(jids, values, strict=True)]
    if json:
        output.as_json([_row(jid, value) for jid, value in zip(jids, values, strict=True)])
        return
    for jid, text in zip(jids, texts, strict=True):
        if len(jids) > 1:
            output.text(f"Result for jid {jid}:")
        output.text(text, raw=raw)


def _text(jid: int, value: Any) -> str:
    """Return a result as text, or the error of a failed job, which replaces its result."""
    if _failed(jid, value):
        return f"{value.status}: {' '.join(value.summary.split())}"
    return output.printable(jid, value)


def _row(jid: int, value: Any) -> dict[str, Any]:
    if _failed(jid, value):
        return {"jid": jid, "result": None, "error": value.summary}
    return {"jid": jid, "result": value}


def _failed(jid: int, value: Any) -> bool:
    return isinstance(value, CloudException) and value.jid == jid
