"""What is known of a published function, for users."""

from __future__ import annotations

from cloud._endpoints.endpoint_info import as_dictionary
from picloud_model.wire.rest import EndpointInfo, Parameter


def test_what_is_known_is_in_words_of_users() -> None:
    """The URL is whole, and what is not set is None."""
    parameter = Parameter(name="x", kind="int")
    found = EndpointInfo(
        label="e", path="/r/a1/e", function_name="f", parameters=[parameter], published_at=1.0
    )

    known = as_dictionary(found, "https://example.org")

    assert known["url"] == "https://example.org/r/a1/e"
    assert known["parameters"] == {"x": {"type": "int", "required": True}}
    assert (known["content_type"], known["calls_per_minute"]) == (None, None)
