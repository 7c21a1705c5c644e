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
