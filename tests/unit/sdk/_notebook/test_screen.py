"""Desktops: what is refused before any request."""

from __future__ import annotations

from typing import Any

import pytest
from cloud import CloudValueError, desktop

from tests.current_client import current_client


@pytest.mark.parametrize("geometry", ["", "1280", "1280x", "x800", "99999x1", "1x1", "a", None, 7])
def test_a_screen_has_a_size(geometry: Any) -> None:
    """Width and height in pixels, neither too small to be one nor too large for a machine."""
    with current_client(object()), pytest.raises(CloudValueError, match="not the size of a screen"):
        desktop.start("a", geometry=geometry)


@pytest.mark.parametrize("depth", [0, 8, 32, "24", None, True])
def test_a_pixel_has_16_or_24_bits(depth: Any) -> None:
    """Browsers show no others."""
    with current_client(object()), pytest.raises(CloudValueError, match="use 16 or 24 bits"):
        desktop.start("a", depth=depth)


@pytest.mark.parametrize("run", [None, 7, "a\0b", "x" * 10_001])
def test_what_runs_is_a_command_line(run: Any) -> None:
    """A text that a shell can be given."""
    with current_client(object()), pytest.raises(CloudValueError, match="is a command line"):
        desktop.start("a", run=run)
