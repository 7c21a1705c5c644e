"""Printing results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cloud import CloudException
from picloud import results

if TYPE_CHECKING:
    from tests.unit.sdk.fake_server import FakeServer


def test_nothing_is_printed_if_one_result_has_no_json(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half of the results would be mistaken for all."""
    server.done(1, "text")
    server.done(2, object)

    with pytest.raises(CloudException, match="no JSON"):
        results.show([1, 2])

    assert capsys.readouterr().out == ""
