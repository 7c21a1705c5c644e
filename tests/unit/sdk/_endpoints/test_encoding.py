"""Encodings of results: named by the user."""

from __future__ import annotations

from typing import Any

import pytest
from cloud._endpoints.encoding import Encoding, checked_encoding
from cloud.errors import CloudException


def test_an_encoding_may_have_a_content_type() -> None:
    """Only raw results have one of the user's."""
    assert checked_encoding("json", "") == Encoding()
    assert checked_encoding("raw", "text/csv") == Encoding("raw", "text/csv")


@pytest.mark.parametrize(
    ("name", "content_type", "reason"),
    [
        ("xml", "", "must be 'json', 'raw' or 'pickle', not 'xml'"),
        (None, "", "not None"),
        ("json", "text/csv", "Only the results of out_encoding='raw'"),
        ("raw", "a\nb", "must be text as 'image/png'"),
        ("raw", "a" * 101, "must be text as 'image/png'"),
        ("raw", 5, "must be text as 'image/png', not 5"),
    ],
)
def test_others_are_refused(name: Any, content_type: Any, reason: str) -> None:
    """The error says what is possible."""
    with pytest.raises(CloudException, match=reason):
        checked_encoding(name, content_type)
