"""Previews of objects: what a page shows of one, from its key and its first bytes."""

from __future__ import annotations

import csv
from typing import Final, Literal

import msgspec

HEAD_BYTES: Final = 64 * 1024
"""How much of an object is read for its preview."""
IMAGE_BYTES: Final = 16_000_000
"""The largest image that is shown."""
MOST_ROWS: Final = 50
"""How many rows of a table are shown."""
MOST_COLUMNS: Final = 40
_DELIMITERS: Final = {".csv": ",", ".tsv": "\t"}
_IMAGES: Final = (
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"GIF87a", 0, "image/gif"),
    (b"GIF89a", 0, "image/gif"),
    (b"WEBP", 8, "image/webp"),
)
"""How images begin, where, and their type. SVG is not among them: it can hold scripts."""
_PARQUET: Final = b"PAR1"

Kind = Literal["empty", "image", "parquet", "table", "text", "binary"]


class ObjectPreview(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown of an object; `is_cut` if there is more of it."""

    kind: Kind
    text: str = ""
    rows: list[list[str]] = []
    is_cut: bool = False


def image_type(head: bytes) -> str:
    """Return the media type of an image by its first bytes; "" for anything else.

    >>> image_type(b"GIF89a..."), image_type(b"<svg onload='alert(1)'>")
    ('image/gif', '')
    """
    return next((kind for mark, at, kind in _IMAGES if head[at:].startswith(mark)), "")


def object_preview(key: str, head: bytes, size: int) -> ObjectPreview:
    r"""Return what is shown of an object.

    Args:
        key: Its key, whose end says what it is, if its bytes do not.
        head: Its first bytes, up to `HEAD_BYTES`.
        size: How long it is.

    >>> object_preview("a.csv", b"x,y\n1,2\n", 8).rows
    [['x', 'y'], ['1', '2']]
    """
    if not size:
        return ObjectPreview(kind="empty")
    if image_type(head):
        return ObjectPreview(kind="image" if size <= IMAGE_BYTES else "binary")
    if head.startswith(_PARQUET):
        return ObjectPreview(kind="parquet")
    is_cut = size > len(head)
    text = _text(head, is_cut=is_cut)
    if text is None:
        return ObjectPreview(kind="binary")
    delimiter = _DELIMITERS.get(key[-4:].lower())
    if delimiter is None:
        return ObjectPreview(kind="text", text=text, is_cut=is_cut)
    return _table(text, delimiter, is_cut=is_cut)


def _text(head: bytes, *, is_cut: bool) -> str | None:
    """Return bytes as text, without a character that was cut off; None if they are not text."""
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if not is_cut or error.start < len(head) - 3:
            return None
        text = head[: error.start].decode("utf-8-sig")
    return None if "\0" in text else text


def _table(text: str, delimiter: str, *, is_cut: bool) -> ObjectPreview:
    if is_cut:
        text = text[: text.rfind("\n") + 1] or text
    rows: list[list[str]] = []
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter)
    try:
        for row in reader:
            if len(rows) > MOST_ROWS:
                is_cut = True
                break
            is_cut |= len(row) > MOST_COLUMNS
            rows.append(row[:MOST_COLUMNS])
    except csv.Error:  # a field that is longer than the module allows
        return ObjectPreview(kind="text", text=text, is_cut=is_cut)
    return ObjectPreview(kind="table", rows=rows, is_cut=is_cut)
