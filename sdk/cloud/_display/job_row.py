"""Jobs as notebooks show them, in HTML."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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


def counted(statuses: Mapping[str, int]) -> str:
    """Return numbers of jobs by status.

    >>> counted({"done": 1000, "error": 1})
    '1,000 done, 1 error'
    """
    return ", ".join(f"{count:,} {status}" for status, count in statuses.items())


def job_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a table in HTML, in which no value is markup; the rows have the same keys.

    >>> job_table([{"jids": "7", "label": "<b>"}, {"jids": "8-9", "label": None}])
    '<table><tr><th>jids<th>label<tr><td>7<td>&lt;b&gt;<tr><td>8-9<td></table>'
    >>> job_table([])
    '<div>No jobs.</div>'
    """
    if not rows:
        return "<div>No jobs.</div>"
    lines = ["".join(f"<th>{escape(name)}" for name in rows[0])]
    lines += ["".join(f"<td>{escape(str(v or ''))}" for v in row.values()) for row in rows]
    return f"<table>{''.join(f'<tr>{line}' for line in lines)}</table>"
