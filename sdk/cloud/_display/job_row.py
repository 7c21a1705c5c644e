"""A job as notebooks show it: a line of HTML."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_COLORS: Final = {"done": "#2a7", "error": "#c33", "killed": "#c33", "stalled": "#c33"}


def job_row(name: str, values: Mapping[str, Any]) -> str:
    """Return a line of HTML about jobs, in which no value is markup.

    >>> job_row("Job 7", {"status": "queued", "label": "<b>"})
    "<div><b>Job 7</b> <span style='color:#777'>queued</span> &lt;b&gt;</div>"
    """
    status = str(values["status"])
    shown = [escape(str(values[key])) for key in ("function", "label") if values.get(key)]
    if values.get("runtime") is not None:
        shown.append(f"{values['runtime']:.1f} s")
    color = _COLORS.get(status, "#777")
    return (
        f"<div><b>{escape(name)}</b> <span style='color:{color}'>{escape(status)}</span> "
        f"{' · '.join(shown)}</div>"
    )
