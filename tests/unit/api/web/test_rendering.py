"""Rendering: every value is escaped, and every template can be read."""

from __future__ import annotations

import falcon.asgi
import jinja2
import pytest
from picloud_api.web.rendering import Renderer, bar, duration
from picloud_api.web.static import StaticFiles


def test_values_are_escaped() -> None:
    """A text with markup is shown as text; surrogates do not break the page."""
    response = falcon.asgi.Response()
    values = {"status": 404, "message": "<script>alert(1)</script>\ud800", "is_signed_out": False}

    Renderer(StaticFiles()).show(response, "error.html", None, **values)

    assert response.data is not None
    assert b"&lt;script&gt;alert(1)&lt;/script&gt;?" in response.data
    assert b"<script>alert" not in response.data


def test_a_missing_value_is_an_error() -> None:
    """A template never shows an empty place for a value that a page forgot."""
    with pytest.raises(jinja2.UndefinedError):
        Renderer(StaticFiles()).show(falcon.asgi.Response(), "error.html", None)


def test_a_bar_has_the_width_of_all_jobs() -> None:
    """The parts of a bar fill it, in a fixed order, however small they are."""
    parts = bar({"queued": 999_999, "error": 1, "done": 1_000_000})

    assert [name for name, *_ in parts] == ["done", "error", "queued"]
    assert sum(width for *_, width in parts) == pytest.approx(160.0, abs=0.1)
    assert bar({}) == []


def test_a_duration_has_two_units() -> None:
    """Long times are not given to the millisecond."""
    assert [duration(seconds) for seconds in (59.94, 3599, 86400)] == [
        "59.9 s",
        "59 min 59 s",
        "24 h 0 min",
    ]
