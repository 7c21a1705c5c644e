"""Records: how they are stored must not change, as stores of earlier versions are read."""

from __future__ import annotations

import msgspec
import pytest
from picloud_api.store.records import (
    BatchRecord,
    ChangeLog,
    Event,
    EventKind,
    KeyedRecord,
    NamedRecord,
    Ready,
    Slot,
    Span,
    Waiting,
)
from picloud_driver.scheduler import Pool

POOL = Pool("a1", "c1", 1)
STORED = [
    (Span(5, 3, "b1"), [5, 3, "b1"]),
    (Waiting([(1, 3)], ignore=True), [[[1, 3]], True]),
    (Event(EventKind.FAILED, "a1", "b1"), [6, "a1", "b1"]),
    (ChangeLog(4, [], 2.0), [4, [], 2.0]),
]


@pytest.mark.parametrize(("record", "array"), STORED, ids=lambda each: type(each).__name__)
def test_a_record_is_an_array_of_its_fields(record: object, array: list[object]) -> None:
    """So fields may only ever be added at the end."""
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(record)) == array


def test_fields_that_are_given_by_name_keep_their_order() -> None:
    """Building by keyword changes nothing of what is stored."""
    ready = Ready(
        first=1, count=2, priority=3, pool=POOL, open_pages=4, waits=True, parent=5, size=6
    )
    slot = Slot(number=1, pool=POOL, burst="b", place="p", started_at=2.0, seen_at=3.0)

    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(ready))
    assert [*stored[:3], *stored[4:]] == [1, 2, 3, 4, True, 5, 6, False]
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(slot))
    assert [stored[0], *stored[2:]] == [1, "b", "p", 2.0, 3.0, False]


def test_what_an_earlier_version_stored_is_read() -> None:
    """Fields that it did not have get their defaults."""
    pool = msgspec.msgpack.decode(msgspec.msgpack.encode(POOL))

    ready = msgspec.msgpack.decode(msgspec.msgpack.encode([1, 2, 3, pool, 4]), type=Ready)

    assert (ready.waits, ready.parent, ready.size, ready.notifies) == (False, 0, 0, False)


def test_each_kind_of_record_has_keys_of_its_own() -> None:
    """No prefix begins another one."""
    kinds = [
        record
        for base in (KeyedRecord, NamedRecord, BatchRecord)
        for record in base.__subclasses__()
        if "prefix" in vars(record)
    ]
    prefixes = [kind.prefix for kind in kinds]

    assert len(set(prefixes)) == len(prefixes) >= 10
    assert all(prefix.endswith("/") and prefix.count("/") == 1 for prefix in prefixes)
