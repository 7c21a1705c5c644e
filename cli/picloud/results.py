"""Printing the jids of new jobs, and results: text unchanged, other values as Python shows them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import cloud
from cloud._client.current import client
from cloud.errors import CloudException
from picloud_model.ranges import format_jids

from picloud import output

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_NO_JSON: Final = "has no JSON representation"


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
        CloudException: When a job failed: nothing is printed then. With `json` when a result has no
            JSON representation: the other results are printed before.
    """
    values = client().result(jids, timeout, ignore_errors, show=True)
    results = list(zip(jids, values, strict=True))
    if json:
        _show_json(results)
        return
    only = values[0] if len(values) == 1 else None
    if isinstance(only, str | bytes) and not sys.stdout.isatty():
        output.exactly(only)
        return
    for jid, value in results:
        if len(jids) > 1:
            output.text(f"Result for jid {jid}:")
        output.text(_text(jid, value), raw=raw)


def show_submitted(jids: range, *, json: bool) -> None:
    """Print the jids of new jobs in the form that every other command reads.

    With the simulator, jobs end with this command: their results are printed instead.
    """
    if not jids:
        if json:
            output.as_json({"jids": []})
        output.hint("No values, no jobs.")
    elif cloud.is_simulated():
        show(jids, json=json)
    elif json:
        output.as_json({"jids": list(jids)})
    else:
        output.text(format_jids(jids))


def _show_json(results: Sequence[tuple[int, Any]]) -> None:
    rows = [_row(jid, value) for jid, value in results]
    output.as_json(rows)
    without = [row["jid"] for row in rows if _NO_JSON in row.get("error", "")]
    if without:
        more = f" (and {len(without) - 1:,} more)" if len(without) > 1 else ""
        raise CloudException(
            f"Job {without[0]}{more}: the result {_NO_JSON}; `picloud result` without --json shows "
            f"it, and cloud.result({without[0]}) returns it."
        )


def _text(jid: int, value: Any) -> str:
    """Return a result as text, or the error of a failed job, which replaces its result."""
    if _failed(jid, value):
        return f"{value.status}: {' '.join(value.summary.split())}"
    return output.printable(value)


def _row(jid: int, value: Any) -> dict[str, Any]:
    if _failed(jid, value):
        return {"jid": jid, "result": None, "error": value.summary}
    if output.to_json(value) is None:
        kind = type(value).__name__
        return {"jid": jid, "result": None, "error": f"a value of type {kind} {_NO_JSON}"}
    return {"jid": jid, "result": value}


def _failed(jid: int, value: Any) -> bool:
    return isinstance(value, CloudException) and value.jid == jid
