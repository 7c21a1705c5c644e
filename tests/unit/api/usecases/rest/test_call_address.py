"""Addresses of calls: only those that this server has made open a result."""

from __future__ import annotations

import pytest
from picloud_api.usecases.rest.call_address import Call, CallAddresses
from picloud_model.errors import JobNotFound

ADDRESSES = CallAddresses(b"k" * 32)
CALL = ADDRESSES.of("a", "square", Call(7, 2)).rpartition("/")[2]


def test_an_address_leads_to_its_job() -> None:
    """The same on each server that has the key."""
    assert ADDRESSES.of("a", "square", Call(7, 2)) == f"/r/a/square/jobs/{CALL}"
    assert CallAddresses(b"k" * 32).read("a", "square", CALL) == Call(7, 2)


@pytest.mark.parametrize(
    ("account", "label", "call"),
    [
        ("b", "square", CALL),
        ("a", "other", CALL),
        ("a", "square", CALL.replace("7-", "8-", 1)),
        ("a", "square", CALL[:-1]),
        ("a", "square", "7"),
        ("a", "square", ""),
        ("a", "square", CALL.replace("-2-", "-1-", 1)),
        ("a", "square", "7-2-" + "0" * 32),
    ],
)
def test_every_other_address_is_unknown(account: str, label: str, call: str) -> None:
    """Another account, endpoint or job, a cut or a guessed address."""
    with pytest.raises(JobNotFound, match="no call at this address"):
        ADDRESSES.read(account, label, call)
