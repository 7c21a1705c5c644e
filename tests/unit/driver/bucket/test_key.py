"""Keys as paths: reversible, in the same order, and never a path that a file system refuses."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from picloud_driver.bucket.key import (
    KEY_BYTES,
    checked_key,
    decoded,
    decoded_folder,
    encoded,
    encoded_prefix,
)
from picloud_model.errors import RequestRefused

HOSTILE = [
    "a",
    "a/",
    "a/b",
    "a%",
    "a-",
    "a.",
    "a0",
    "a/.",
    "a/..",
    "a//",
    "a//b",
    "/",
    "//",
    "/a",
    ".",
    "..",
    "...",
    ".!",
    ".~",
    "./a",
    "../a",
    ".sgwtmp/x",
    "x" * 250,
    "x" * 251,
    "x" * 252,
    "x" * 252 + "/y",
    "x" * 251 + ".",
    "x" * 251 + "..",
    "x" * 251 + "-",
    "x" * 251 + "0",
    "x" * 251 + "/",
    "x" * 251 + "//",
    "x" * 250 + " ",
    "x" * 251 + " ",
    "x" * 300,
    "x" * 1024,
    " " * 1024,
    "\x01" * 1024,
    "\U0001f600" * 256,
    "/" * 1024,
    "." * 1024,
    "é",
    "e\u0301",
    "\ufffd",
    "\ufffd0",
    "\ufffe",
    "\uffff",
    "\U00010000",
    "\r\n\t",
    "a\\b?c#d&e=f+g",
]

parts = st.lists(
    st.sampled_from([*"a/.%-0 &~!é\ufffd\uffff\U0001f600", "..", "x" * 249, "x" * 251]),
    max_size=9,
).map("".join)
any_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
texts = (parts | any_text).filter(lambda text: len(text.encode()) <= KEY_BYTES)
keys = texts.filter(bool)


@pytest.mark.parametrize("key", HOSTILE)
def test_a_path_is_one_that_a_file_system_takes(key: str) -> None:
    """A path returns to its key, and each part of it is a plain file name of at most 255 bytes."""
    path = encoded(checked_key(key))

    assert decoded(path) == key
    for part in path.split("/"):
        assert 1 <= len(part.encode()) <= 255
        assert part not in {".", ".."}
        assert not part.startswith(".sgwtmp")


@given(keys)
def test_every_key_returns_from_its_path(key: str) -> None:
    """No two keys share a path."""
    path = encoded(key)

    assert decoded(path) == key
    assert all(0 < len(part.encode()) <= 255 for part in path.split("/"))


@given(st.lists(keys, min_size=2, max_size=8))
def test_paths_sort_as_keys(several: list[str]) -> None:
    """The order of bytes is the same, so that a server lists keys in their order."""
    assert [*map(decoded, sorted(map(encoded, several), key=str.encode))] == sorted(
        several, key=str.encode
    )


def test_hostile_keys_sort_by_their_paths() -> None:
    """Each pair has the same order."""
    for one, other in itertools.combinations(HOSTILE, 2):
        assert (one.encode() < other.encode()) == (
            encoded(one).encode() < encoded(other).encode()
        ), (one, other)


@given(texts, keys)
def test_a_prefix_finds_the_keys_that_begin_with_it(prefix: str, key: str) -> None:
    """A path begins with the path of a prefix only if the key begins with the prefix."""
    assert encoded(prefix + key).startswith(encoded_prefix(prefix))
    if encoded(key).startswith(encoded_prefix(prefix)):
        assert key.startswith(prefix)


@given(keys)
def test_each_folder_returns_from_its_path(key: str) -> None:
    """Every beginning of a key up to a slash is a folder; other directories are none."""
    path = encoded(key)
    directories = [path[: at + 1] for at, character in enumerate(path) if character == "/"]
    folders = [key[: at + 1] for at, character in enumerate(key) if character == "/"]

    decoded_ones = [decoded_folder(each) for each in directories]

    assert [folder for folder in decoded_ones if folder is not None] == folders


@given(st.lists(keys, min_size=2, max_size=6, unique=True))
def test_no_object_is_in_the_way_of_another(several: list[str]) -> None:
    """No path is a directory of another one."""
    paths = [*map(encoded, several)]

    for one, other in itertools.permutations(paths, 2):
        assert not other.startswith(f"{one}/")


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "at least one"),
        ("x" * 1025, "1025 bytes"),
        ("é" * 513, "1026"),
        ("a\0", "NUL"),
        ("\ud800", "half a surrogate"),
    ],
)
def test_other_keys_are_refused(key: str, reason: str) -> None:
    """The message says what is wrong with the key."""
    with pytest.raises(RequestRefused, match=reason) as refused:
        checked_key(key)

    assert refused.value.field == "key"


@pytest.mark.parametrize("path", ["", "%", "a", "a//b%", "./a%", "a%20b", "%zz%", "x" * 252 + "%"])
def test_a_foreign_path_is_no_object(path: str) -> None:
    """A path that no key has is left out of listings."""
    assert decoded(path) is None
