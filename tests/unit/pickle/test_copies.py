"""Classes that a process knows are left alone by what it loads; copies follow their sender."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from cloudpickle import cloudpickle
from picloud_pickle import dumps

SOURCE = """
import functools

FACTOR = 2
class Order:
    made = 0
    items = {}
    def total(self):
        return FACTOR
    @functools.lru_cache
    def cached(self, x):
        return x * FACTOR
"""


@pytest.fixture
def scope() -> dict[str, Any]:
    """The namespace of a main program that defines a class."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(SOURCE, names)
    return names


def copy_of(kind: Any) -> Any:
    """The copy of a class in a process that loads it; `follow` loads it there again."""
    token = cloudpickle._get_or_create_tracker_id(kind)
    del cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID[token]
    return pickle.loads(dumps(kind))


def follow(kind: Any, copy: Any) -> None:
    """Load a class once more where the copy is."""
    token = cloudpickle._get_or_create_tracker_id(kind)
    cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID[token] = copy
    assert pickle.loads(dumps(kind)) is copy


def test_a_class_at_home_is_left_alone(scope: dict[str, Any]) -> None:
    """What the program did to its class since it was pickled stays."""
    kind = scope["Order"]
    data = dumps(kind)
    kind.made, kind.patched, kind.total = 5, True, len

    assert pickle.loads(data) is kind
    assert (kind.made, kind.patched, kind.total) == (5, True, len)


def test_a_copy_keeps_what_jobs_did_to_it(scope: dict[str, Any]) -> None:
    """Counters, registries, patches and caches stay where the sender has changed nothing."""
    kind = scope["Order"]
    copy = copy_of(kind)
    copy.made, copy.patched, copy.total = 5, True, len
    copy.items["a"] = 1
    copy.cached(copy(), 1)

    follow(kind, copy)

    assert (copy.made, copy.patched, copy.total) == (5, True, len)
    assert copy.items == {"a": 1}
    assert copy.cached.cache_info().currsize == 1


def test_a_copy_gets_what_its_sender_changed(scope: dict[str, Any]) -> None:
    """Attributes that were set, changed in place, replaced or deleted, and globals of methods."""
    kind = scope["Order"]
    kind.old = 1
    copy = copy_of(kind)
    copy.items["b"] = 2
    kind.made = 7
    kind.items["a"] = 1
    kind.new = "new"
    del kind.old
    scope["FACTOR"] = 3

    follow(kind, copy)

    assert (copy.made, copy.items, copy.new) == (7, {"a": 1}, "new")
    assert not hasattr(copy, "old")
    assert copy().total() == 3
    assert copy.cached(copy(), 2) == 6


def test_an_attribute_that_a_job_replaced_is_not_deleted(scope: dict[str, Any]) -> None:
    """Where the sender deletes an attribute, a job's own value of it stays."""
    kind = scope["Order"]
    kind.old = "sent"
    copy = copy_of(kind)
    copy.old = "own"
    del kind.old

    follow(kind, copy)

    assert copy.old == "own"


def test_a_class_that_failed_to_load_is_filled_by_the_next_load(scope: dict[str, Any]) -> None:
    """A load that breaks off in the middle leaves no class without attributes."""
    kind = scope["Order"]
    token = cloudpickle._get_or_create_tracker_id(kind)
    data = dumps(kind)
    del cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID[token]
    with pytest.raises((EOFError, pickle.UnpicklingError)):
        pickle.loads(data[: len(data) - 60])

    assert pickle.loads(data)().total() == 2
