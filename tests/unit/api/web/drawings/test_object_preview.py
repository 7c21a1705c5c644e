"""Previews of objects: text, tables and images, and nothing that could run."""

from __future__ import annotations

import pytest
from picloud_api.web.drawings.object_preview import (
    HEAD_BYTES,
    IMAGE_BYTES,
    MOST_COLUMNS,
    MOST_ROWS,
    image_type,
    object_preview,
)

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


@pytest.mark.parametrize(
    ("key", "head", "kind"),
    [
        ("a.png", PNG, "image"),
        ("a", PNG, "image"),
        ("a.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "text"),
        ("a.html", b"<script>alert(1)</script>", "text"),
        ("a.csv", b"a,b\n1,2\n", "table"),
        ("A.TSV", b"a\tb\n", "table"),
        ("a.parquet", b"PAR1....", "parquet"),
        ("a", b"\0\1\2", "binary"),
        ("a.txt", b"\xff\xfe\xfd", "binary"),
        ("a", b"", "empty"),
    ],
)
def test_bytes_say_what_an_object_is(key: str, head: bytes, kind: str) -> None:
    """The end of its key only says which text is a table."""
    assert object_preview(key, head, len(head)).kind == kind


def test_an_image_that_is_too_large_is_not_shown() -> None:
    """Nor one that could hold scripts."""
    assert object_preview("a", PNG, IMAGE_BYTES + 1).kind == "binary"
    assert image_type(b"RIFF\0\0\0\0WEBPVP8 ") == "image/webp"
    assert image_type(b"<?xml version='1.0'?><svg/>") == ""


def test_a_character_that_is_cut_off_is_left_out() -> None:
    """The head of a longer object may end within one; wrong bytes before it are not text."""
    head = ("x" * (HEAD_BYTES - 1) + "\u00e9").encode()[:HEAD_BYTES]

    preview = object_preview("a.txt", head, HEAD_BYTES + 1)

    assert (preview.kind, preview.is_cut, len(preview.text)) == ("text", True, HEAD_BYTES - 1)
    assert object_preview("a.txt", head, HEAD_BYTES).kind == "binary"
    assert object_preview("a.txt", b"\xff" + head, HEAD_BYTES + 2).kind == "binary"


def test_a_table_has_its_first_rows() -> None:
    """The row that was cut off is not shown, nor what is beyond the bounds."""
    rows = "".join(f"{number},x\n" for number in range(20)) + "20"
    wide = ",".join(map(str, range(MOST_COLUMNS + 5)))

    cut = object_preview("a.csv", rows.encode(), 10_000)
    long = object_preview("a.csv", ("1,2\n" * 1000).encode(), 4000)

    assert (len(cut.rows), cut.is_cut) == (20, True)
    assert (len(long.rows), long.is_cut) == (MOST_ROWS + 1, True)
    assert len(object_preview("a.csv", wide.encode(), len(wide)).rows[0]) == MOST_COLUMNS
    field = b'"' + b"x" * 140_000
    assert object_preview("a.csv", field, len(field)).kind == "text"
