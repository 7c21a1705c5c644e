"""Keys of objects and paths of files, as users pass them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cloud import CloudException
from cloud._arguments.object_path import file_of, key_of, named_key


def test_a_prefix_is_joined_with_one_slash() -> None:
    """A key is not a path: nothing else of it is changed."""
    assert key_of("a", None) == key_of("a", "") == "a"
    assert key_of("a", "b") == key_of("a", "b/") == "b/a"
    assert key_of("/a//../", "b") == "b//a//../"


def test_a_key_may_have_1024_bytes() -> None:
    """The limit is of bytes in UTF-8, with the prefix."""
    assert len(key_of("\u00fc" * 512, None)) == 512
    for path, prefix in (("\u00fc" * 513, None), ("a" * 1023, "b")):
        with pytest.raises(CloudException, match=r"at most 1,024 bytes in UTF-8, and not 1,02"):
            key_of(path, prefix)


@pytest.mark.parametrize(
    ("path", "prefix", "message"),
    [
        ("", None, "must not be empty"),
        ("", "folder", "must not be empty"),
        (b"a", None, "is text, not b'a'"),
        ("a", 1, "prefix of a key is text or None, not 1"),
        ("a\udc80", None, "is Unicode text"),
    ],
)
def test_what_is_not_a_key_is_refused(path: Any, prefix: Any, message: str) -> None:
    """The message says what a key is."""
    with pytest.raises(CloudException, match=message):
        key_of(path, prefix)


def test_names_are_taken_from_the_other_side() -> None:
    """A file gives its name to an object, and an object the last part of its key to a file."""
    assert named_key(Path("/data/a.csv"), None) == named_key(b"a.csv", None) == "a.csv"
    assert named_key("/data/a.csv", "b") == "b"
    assert file_of("folder/a.csv", None) == "a.csv"
    assert file_of("folder/a.csv", Path("b.csv")) == "b.csv"


def test_a_key_may_name_no_file() -> None:
    """Then the file has to be named; what is not a path is refused."""
    for key in ("folder/", "a/..", "."):
        with pytest.raises(CloudException, match="Name a file"):
            file_of(key, None)
    with pytest.raises(CloudException, match="path of a file is text, not 3"):
        named_key(3, None)
    with pytest.raises(CloudException, match="path of a file is text, not 3"):
        file_of("a", 3)
    for path in ("", ".", ".."):
        with pytest.raises(CloudException, match=f"'{path}' is not the path of a file"):
            file_of("a", path)
