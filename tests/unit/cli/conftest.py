"""What the command line's tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.current_client import current_client
from tests.unit.cli.command_runner import invoke
from tests.unit.sdk.fake_server import FakeServer, client_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeServer]:
    """A server in this process that the current client talks to."""
    found = FakeServer()
    monkeypatch.setenv("PICLOUD_CONFIG_DIR", str(tmp_path))
    with current_client(client_for(found)):
        yield found


@pytest.fixture
def run(server: FakeServer) -> Callable[..., Any]:
    """Runs `picloud` with arguments; the outcome has exit_code, stdout and stderr."""
    return invoke
