"""The layout: every key of every kind leads back to what it names and how it is decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from picloud_api.store import layout
from picloud_api.store.layout import PageId
from picloud_api.store.records import (
    Account,
    BatchId,
    ChangeLog,
    Event,
    EventKind,
    Finished,
    Memo,
    Ready,
    Span,
    Staged,
    StoredQuery,
    Waiting,
)
from picloud_driver.scheduler import Pool
from picloud_model.job import State
from picloud_model.page import Page
from picloud_model.wire import AttemptRef

if TYPE_CHECKING:
    from collections.abc import Callable

VALUES = [
    (layout.account("a1"), Account("science", 1.0)),
    (layout.next_jid("a1"), 17),
    (layout.block("a1", 117), [Span(101, 20, "b1")]),
    (layout.wide_block("a1", 117), [Span(101, 20_000, "b1")]),
    (layout.arguments("a1", "b1", 2000), b"pack"),
    (layout.results(PageId("a1", "b1", 2), 7), b"pack"),
    (
        layout.ready("a1", "b1"),
        Ready(first=1, count=2, priority=5, pool=Pool("a1", "c1", 1), open_pages=1),
    ),
    (layout.waiting("a1", "b1"), Waiting([(1, 3)], ignore=False)),
    (layout.finished("a1", "b1"), Finished(3, 2.0)),
    (layout.staged("a1", "b1"), Staged([], 2.0)),
    (layout.memo("a1", "d1"), Memo("b1", "c1", 2.0, 3.0)),
    (
        layout.query("a1", "b1", 4, "p1"),
        StoredQuery(job=AttemptRef("b" * 32, 0, 1), slot=9, since={"stdout": 4}, asked_at=2.0),
    ),
    (layout.change_log("p1"), ChangeLog(1, [Event(EventKind.READY, "a1", "b1")], 2.0)),
]


EARLIER = {
    layout.account("a1"): "93a7736369656e6365cb3ff0000000000000c400",
    layout.key("k1"): "95a26131c406646967657374c3cb3ff0000000000000cb0000000000000000",
    layout.block("a1", 117): "91936514a26231",
    layout.header("a1", "b1"): "9d0103a36d617093a003c403616263a16692a4332e3131a5332e312e30a081"
    "a56c6162656ca16c9193000393a001c40170cb4000000000000000c402667000a0",
    layout.ready("a1", "b1"): "9801030584a76163636f756e74a26131a9636f72655f74797065a26331"
    "a5636f72657301a5696d616765a001c20000",
    layout.page(PageId("a1", "b1", 0)): "940300c4009ac400c400c400c400c400c400c400c400c400c400",
    layout.change_log("p1"): "9301919301a26131a26231cb4000000000000000",
}
"""Records as they were written on 29 November 2026, in hexadecimal: only added to."""


@pytest.mark.parametrize("key", EARLIER)
def test_what_an_earlier_version_has_stored_is_read(key: str) -> None:
    """A field that was added since then has its default; the rest is written as it was."""
    stored = bytes.fromhex(EARLIER[key])

    value = layout.decode(key, stored)

    before, now = (msgspec.msgpack.decode(each) for each in (stored, layout.encode(value)))
    assert now[: len(before)] == before


def _with_a_new_option(header: list[Any]) -> list[Any]:
    return [*header[:7], {**header[7], "of_a_newer_version": 1}, *header[8:]]


def _with_a_new_column(page: list[Any]) -> list[Any]:
    return [page[0], page[1], [*page[2], b""], page[3]]


@pytest.mark.parametrize(
    ("key", "newer"),
    [
        (layout.header("a1", "b1"), _with_a_new_option),
        (layout.page(PageId("a1", "b1", 0)), _with_a_new_column),
        (layout.next_jid("a1"), str),
    ],
)
def test_what_cannot_be_read_is_refused(key: str, newer: Callable[[Any], Any]) -> None:
    """A record of a newer version is an error that names it and what to do."""
    fields = msgspec.msgpack.decode(bytes.fromhex(EARLIER.get(key, "11")))

    with pytest.raises(layout.UnreadableRecord, match=f"The record {key} was written"):
        layout.decode(key, msgspec.msgpack.encode(newer(fields)))


@pytest.mark.parametrize(("key", "value"), VALUES, ids=lambda each: str(each)[:20])
def test_a_stored_value_is_read_as_it_was_written(key: str, value: object) -> None:
    """The prefix of a key decides how the value under it is decoded."""
    assert layout.decode(key, layout.encode(value)) == value


def test_a_stored_page_is_read_as_it_was_written() -> None:
    """A page has a coding of its own."""
    page = Page.fresh(3, State.WAITING)

    copy = layout.decode(layout.page(PageId("a1", "b1", 0)), layout.encode(page))

    assert bytes(copy.state) == bytes(page.state)
    assert len(copy) == 3


@pytest.mark.parametrize(
    ("parse", "key"),
    [
        (Ready.parse, layout.ready("a1", "b1")),
        (Waiting.parse, layout.waiting("a1", "b1")),
        (Finished.parse, layout.finished("a1", "b1")),
        (Staged.parse, layout.staged("a1", "b1")),
        (layout.batch_of, layout.page(PageId("a1", "b1", 0))),
        (layout.batch_of, layout.arguments("a1", "b1", 0)),
    ],
)
def test_the_key_of_a_batch_names_it(parse: Callable[[str], BatchId | None], key: str) -> None:
    """Every record of a batch parses its own keys."""
    assert parse(key) == BatchId("a1", "b1")


def test_packs_belong_to_pages() -> None:
    """Argument packs by the first job in them, result packs by the page that wrote them."""
    assert layout.page_of(layout.page(PageId("a1", "b1", 2))) == PageId("a1", "b1", 2)
    assert layout.page_of(layout.arguments("a1", "b1", 2000)) == PageId("a1", "b1", 2)
    assert layout.page_of(layout.results(PageId("a1", "b1", 2), 7)) == PageId("a1", "b1", 2)
    assert layout.page_of(layout.ready("a1", "b1")) is None


def test_a_batch_is_listed_in_narrow_blocks_unless_it_is_large() -> None:
    """A batch of 1,600 jobs is in one or two wide blocks, a smaller one in up to 17 narrow ones."""
    assert layout.blocks("a1", 95, 105) == [layout.block("a1", 1), layout.block("a1", 100)]
    assert layout.blocks("a1", 1, layout.WIDE_BATCH) == [layout.wide_block("a1", 1)]
