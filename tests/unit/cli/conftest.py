"""What the command line's tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cloud._client import functions
from picloud.app import app
from typer.testing import CliRunner

from tests.unit.sdk.stand_in import StandIn, client_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> StandIn:
    """A server in this process that the current client talks to."""
    found = StandIn()
    monkeypatch.setenv("PICLOUD_CONFIG_DIR", str(tmp_path))
    monkeypatch.setattr(functions, "_current", functions._Current())
    functions._current.client = client_of(found)
    return found


@pytest.fixture
def run(server: StandIn) -> Callable[..., Any]:
    """Runs `picloud` with arguments; the outcome has exit_code, stdout and stderr."""
    return lambda *arguments: CliRunner().invoke(app, list(arguments))
