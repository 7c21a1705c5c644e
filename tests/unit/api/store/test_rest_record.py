"""Records of endpoints: under a key for each account and label."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_api.store import layout
from picloud_api.store.rest_record import EndpointRecord, endpoint_key
from picloud_model.wire.rest import Parameter

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


def test_a_record_is_read_as_it_was_stored(api: ApiHarness) -> None:
    """The key says which kind of record it is."""
    record = EndpointRecord(
        job=api.request(1),
        parameters=[Parameter(name="x", kind="int")],
        takes_any=False,
        published_at=1.0,
    )
    key = endpoint_key("a1", "square")

    assert key == "endpoints/a1/square"
    assert layout.decode(key, layout.encode(record)) == record
