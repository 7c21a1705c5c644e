"""The server's log: whatever a text contains, a record is one line with all of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import structlog
from picloud_api.server import gunicorn_server

from tests.attacks.corpus import NAMES

if TYPE_CHECKING:
    import pytest


def test_a_record_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Line breaks, controls and quotes in an address or an exception do not start another
    record.
    """
    gunicorn_server._set_up_logging("warning")
    try:
        log = structlog.get_logger()
        for name in NAMES:
            log.error("request.failed", path=name, exc_info=ValueError(name))
    finally:
        structlog.reset_defaults()

    lines = capsys.readouterr().err.rstrip("\n").split("\n")
    assert [json.loads(line)["path"] for line in lines] == list(NAMES)
    assert all(line.isascii() and line.isprintable() for line in lines)
