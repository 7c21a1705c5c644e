"""Completion of jids and labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import typer
from picloud.app import app
from picloud.completion import jobs
from typer.main import get_command

from tests.unit.sdk.http_server import served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.unit.sdk.fake_server import FakeServer


@pytest.fixture
def context(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[typer.Context]:
    """The context of a completion, with a server that has 12 jobs."""
    server.next_jid = 13
    with served(server) as url:
        monkeypatch.setenv("PICLOUD_URL", url)
        monkeypatch.setenv("PICLOUD_API_KEY", "pk_12ab_secret")
        yield typer.Context(get_command(app))


def test_jids_begin_with_what_is_typed(context: typer.Context) -> None:
    """Each with the status and the function of its job, newest first."""
    assert jobs.jids(context, "1") == [
        ("12", "done f"),
        ("11", "done f"),
        ("10", "done f"),
        ("1", "done f"),
    ]


def test_after_a_comma_the_next_jid_is_completed(context: typer.Context) -> None:
    """Also after a dash."""
    assert [jid for jid, _ in jobs.jids(context, "3,9")] == ["3,9"]
    assert [jid for jid, _ in jobs.jids(context, "3-1")] == ["3-12", "3-11", "3-10", "3-1"]


def test_jobs_without_labels_offer_none(context: typer.Context) -> None:
    """Nothing is offered."""
    assert jobs.labels(context, "") == []


def test_without_a_server_nothing_is_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is anything printed."""
    monkeypatch.setenv("PICLOUD_CONFIG_DIR", str(tmp_path))

    assert jobs.jids(typer.Context(get_command(app)), "") == []
