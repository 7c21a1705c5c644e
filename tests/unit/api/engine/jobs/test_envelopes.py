"""The envelopes of a reply."""

from __future__ import annotations

from picloud_api.engine.jobs.envelopes import EnvelopeTable
from picloud_model.pack import Envelope


def test_equal_envelopes_share_a_position() -> None:
    """An envelope is listed once, however many jobs have it; positions follow first use."""
    table = EnvelopeTable()
    old, new = Envelope("3.11", "3.1.0"), Envelope("3.12", "3.1.0")

    positions = [table.position(each) for each in (new, old, Envelope("3.12", "3.1.0"), old)]

    assert positions == [0, 1, 0, 1]
    assert table.envelopes == [new, old]
