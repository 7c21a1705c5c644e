"""Rendering: pages from templates, in which every value is escaped."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import falcon
import jinja2
from picloud_model.job import Status
from picloud_model.size import size
from picloud_model.wire.usage import money

if TYPE_CHECKING:
    from collections.abc import Mapping

    from falcon.asgi import Response

    from picloud_api.web.static import StaticFiles
    from picloud_api.web.visitor import Visitor

_FOLDER: Final = Path(__file__).with_name("templates")
NAVIGATION: Final = (
    ("/jobs", "Jobs"),
    ("/queues", "Queues"),
    ("/bucket", "Bucket"),
    ("/volumes", "Volumes"),
    ("/environments", "Environments"),
    ("/crons", "Cron jobs"),
    ("/endpoints", "Endpoints"),
    ("/notebooks", "Notebooks"),
    ("/realtime", "Reserved cores"),
    ("/keys", "Keys"),
    ("/members", "Members"),
    ("/audit", "Audit log"),
    ("/usage", "Usage"),
)
"""The address and the name of each page that every page links to."""
BAR_WIDTH: Final = 160
"""The width of a bar of states."""
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600


class Renderer:
    """Makes pages from the templates of the folder `templates`."""

    def __init__(self, static: StaticFiles) -> None:
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_FOLDER),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["static"] = static.address
        self._templates.globals["navigation"] = NAVIGATION
        self._templates.globals["statuses"] = [status.value for status in Status]
        self._templates.filters |= {
            "bytes": size,
            "duration": duration,
            "money": money,
            "moment": moment,
            "bar": bar,
        }

    def show(
        self, response: Response, template: str, visitor: Visitor | None, **values: Any
    ) -> None:
        """Reply with a page.

        Args:
            response: The reply.
            template: The name of its template.
            visitor: The visitor, if one is signed in.
            values: The variables of the template.
        """
        page = self._templates.get_template(template)
        response.content_type = "text/html; charset=utf-8"
        # Names and outputs that users choose may have surrogates, which UTF-8 has not.
        text = page.render(visitor=visitor, **values)
        response.data = text.encode(errors="replace")


def go_to(response: Response, address: str) -> None:
    """Reply with another address; reloading what is there does not send the form again."""
    response.status = falcon.HTTP_303
    response.location = address


def duration(seconds: float | None) -> str:
    """Return a time span for people.

    >>> duration(0.0123), duration(75), duration(7384), duration(None)
    ('0.012 s', '1 min 15 s', '2 h 3 min', '')
    """
    if seconds is None:
        return ""
    if seconds < _MINUTE_S:
        return f"{seconds:.3f} s" if seconds < 10 else f"{seconds:.1f} s"  # noqa: PLR2004
    minutes, rest = divmod(int(seconds), _MINUTE_S)
    if seconds < _HOUR_S:
        return f"{minutes} min {rest} s"
    return f"{minutes // _MINUTE_S} h {minutes % _MINUTE_S} min"


def moment(at: float | None) -> str:
    """Return a time of the epoch as a date and time of UTC.

    >>> moment(0.0), moment(86400.5)
    ('', '1970-01-02 00:00:00')
    """
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S") if at else ""


def bar(counts: Mapping[str, int]) -> list[tuple[str, int, float, float]]:
    """Return the parts of a bar of states: the status, its jobs, the left edge and the width.

    >>> bar({"done": 3, "queued": 1})
    [('done', 3, 0.0, 120.0), ('queued', 1, 120.0, 40.0)]
    """
    total = sum(counts.values()) or 1
    parts, left = [], 0.0
    for status in sorted(counts, key=_order):
        width = round(BAR_WIDTH * counts[status] / total, 2)
        parts.append((status, counts[status], left, width))
        left = round(left + width, 2)
    return parts


_ORDER: Final = ("done", "error", "killed", "stalled", "processing", "queued", "waiting")


def _order(status: str) -> int:
    return _ORDER.index(status) if status in _ORDER else len(_ORDER)
