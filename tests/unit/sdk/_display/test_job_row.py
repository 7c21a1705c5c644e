"""A job as notebooks show it."""

from __future__ import annotations

from cloud._display.job_row import job_row


def test_it_shows_what_is_known() -> None:
    """The status has a color, and the time a unit."""
    row = job_row("Job 7", {"status": "error", "function": "f", "label": None, "runtime": 1.25})

    assert row == "<div><b>Job 7</b> <span style='color:#c33'>error</span> f · 1.2 s</div>"


def test_nothing_of_the_user_is_markup() -> None:
    """Names and labels are text."""
    row = job_row("Job 7", {"status": "<i>", "function": "<lambda>", "label": "<script>"})

    assert "<script>" not in row
    assert "<lambda>" not in row
    assert "<i>" not in row
