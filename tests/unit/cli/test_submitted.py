"""Printing the jids of new jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud import submitted

if TYPE_CHECKING:
    import pytest

    from tests.unit.sdk.fake_server import FakeServer


def test_jids_are_printed_in_the_form_that_commands_read(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """One jid or a range."""
    submitted.show(range(7, 8), json=False)
    submitted.show(range(7, 10), json=False)

    assert capsys.readouterr().out == "7\n7-9\n"


def test_no_jobs_are_no_output(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    """A hint says so; JSON has an empty list."""
    submitted.show(range(0), json=False)
    assert capsys.readouterr() == ("", "No values, no jobs.\n")

    submitted.show(range(0), json=True)
    assert capsys.readouterr().out == '{"jids": []}\n'
