"""Bodies about keys and accounts."""

from __future__ import annotations

import msgspec
import pytest
from picloud_model import wire


def test_a_new_key_is_not_printed() -> None:
    """What is logged holds no secret."""
    assert "hidden" not in repr(wire.KeyMade(key="hidden", account="a1"))


@pytest.mark.parametrize("name", ["", "x" * (wire.MAX_ACCOUNT_NAME + 1)])
def test_an_account_has_a_name_of_bounded_length(name: str) -> None:
    """Neither empty nor longer than the limit."""
    body = {"request_id": "0" * 32, "name": name}

    with pytest.raises(msgspec.ValidationError):
        wire.decode(wire.encode(body), wire.AccountRequest)
