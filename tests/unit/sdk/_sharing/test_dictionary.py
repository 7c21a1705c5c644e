"""Dictionaries as a program sees them: what is refused before any request, and what a job gets."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import cloud
import pytest
from cloud import CloudException

from tests.current_client import current_client
from tests.unit.sdk.fake_server import FakeServer, client_for


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cloud.Dict("a b"), "'a b' is not a valid name of a dictionary: use 1 to 64"),
        (lambda: cloud.Dict("a")[1], "Keys of a dictionary are texts, not 1"),  # type: ignore[index]
        (lambda: cloud.Dict("a")[""], "'' is not a valid key of a dictionary: use 1 to 200"),
        (lambda: cloud.Dict("a").set("k" * 201, 1), "is not a valid key"),
        (lambda: cloud.Dict("a").read("a\n"), "is not a valid key"),
        (lambda: cloud.Dict("a").read("\ud800"), "is not a valid key"),
        (lambda: cloud.Dict("a").set("k", 1, version=-1), "version must be a whole number from 0"),
        (lambda: cloud.Dict("a").wait("k", 1.5), "version must be"),  # type: ignore[arg-type]
        (lambda: cloud.Dict("a").set("k", b"x" * 65_536), "is 65,5.. bytes pickled, and the limit"),
        (lambda: cloud.Dict("a").set("k", threading.Lock()), "value of 'k'.*lock"),
        (
            lambda: cloud.Dict("a").set("k", 1, lock=threading.Lock()),  # type: ignore[arg-type]
            "lock must be a cloud.Lock that is held",
        ),
        (
            lambda: cloud.Dict("a").set("k", 1, lock=cloud.Lock("l")),
            r"Lock\('l'\) is not held here: acquire it first",
        ),
    ],
)
def test_what_is_refused_before_any_request(make: Any, message: str) -> None:
    """In one sentence, which names the value."""
    with current_client(client_for(FakeServer())), pytest.raises(CloudException, match=message):
        make()


def test_a_job_gets_the_same_dictionary() -> None:
    """Pickled, it is its name; only texts are keys."""
    copy = pickle.loads(pickle.dumps(cloud.Dict("a")))

    assert repr(copy) == "Dict('a')"
    assert 1 not in copy
