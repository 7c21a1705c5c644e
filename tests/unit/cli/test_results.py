"""Printing results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cloud import CloudException
from picloud import results

if TYPE_CHECKING:
    from tests.unit.sdk.fake_server import FakeServer


def test_results_without_json_are_counted(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first is named."""
    server.done(1, "text")
    server.done(2, object)
    server.done(3, {1})

    with pytest.raises(CloudException, match=r"Job 2 \(and 1 more\): the result has no JSON"):
        results.show([1, 2, 3], json=True)

    assert capsys.readouterr().out.startswith('[{"jid": 1, "result": "text"}')


def test_jids_are_printed_in_the_form_that_commands_read(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """One jid or a range."""
    results.show_submitted(range(7, 8), json=False)
    results.show_submitted(range(7, 10), json=False)

    assert capsys.readouterr().out == "7\n7-9\n"


def test_no_jobs_are_no_output(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    """A hint says so; JSON has an empty list."""
    results.show_submitted(range(0), json=False)
    assert capsys.readouterr() == ("", "No values, no jobs.\n")

    results.show_submitted(range(0), json=True)
    assert capsys.readouterr().out == '{"jids": []}\n'
