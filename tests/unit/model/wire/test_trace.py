"""Names of spans, as they travel, and the ids that are derived from them."""

from __future__ import annotations

import pytest
from picloud_model.wire.trace import TraceParent

TEXT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_header_is_read_and_written() -> None:
    """What was read is written as it was."""
    parent = TraceParent.parse(TEXT)

    assert parent is not None
    assert parent.is_sampled
    assert str(parent) == TEXT


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", "00", TEXT.upper(), TEXT + "\n", "01" + TEXT[2:], TEXT + "-00"),
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
    ],
)
def test_what_names_no_span_is_ignored(text: str | None) -> None:
    """A request is not refused for it: the header may come from any proxy."""
    assert TraceParent.parse(text) is None


def test_each_attempt_of_each_job_has_a_span_of_its_own() -> None:
    """Also jobs of batches that one span has made, as in a job whose code makes no spans."""
    parent = TraceParent.parse(TEXT)
    assert parent is not None

    spans = {
        parent.of_job(batch, index, attempt).span_id
        for batch in ("b", "c")
        for index in range(10)
        for attempt in (1, 2)
    }

    assert len(spans) == 40
    assert parent.of_job("b", 0, 1) == parent.of_job("b", 0, 1)
    assert {len(span) for span in spans} == {16}
