"""A bundle's modules are a directory of this machine, kept while they are used."""

from __future__ import annotations

import os
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cloud._packing.bundle_tree import fetched
from picloud_model import wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from picloud_model.wire import Content

_SOURCE = b"class Score: pass"
_MANIFEST = wire.encode(wire.Manifest(modules=[wire.Module("far.py", sha256(_SOURCE).hexdigest())]))
_DIGEST = sha256(_MANIFEST).hexdigest()
_DAY_S = 86_400


def _read(contents: Sequence[Content]) -> Iterator[bytes]:
    blobs = {sha256(each).hexdigest(): each for each in (_SOURCE, _MANIFEST)}
    return (blobs[content.digest] for content in contents)


def _none_read(contents: Sequence[Content]) -> Iterator[bytes]:
    raise AssertionError(f"{contents} are read again")


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The directory that holds one directory a bundle."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "picloud" / "bundles"


def test_modules_are_fetched_once(cache: Path) -> None:
    """The next process finds them, and nothing half written is left."""
    tree = fetched(_DIGEST, _read)

    assert fetched(_DIGEST, _none_read) == tree == cache / _DIGEST
    assert (tree / "far.py").read_bytes() == _SOURCE
    assert [each.name for each in cache.iterdir()] == [_DIGEST]


def test_modules_that_nobody_used_for_a_month_are_removed(cache: Path) -> None:
    """Use counts from the last time, not from the first."""
    old, used = cache / ("ab" * 32), cache / ("cd" * 32)
    for tree, days in ((old, 31), (used, 29)):
        tree.mkdir(parents=True)
        then = tree.stat().st_mtime - days * _DAY_S
        os.utime(tree, (then, then))

    fetched(_DIGEST, _read)

    assert {each.name for each in cache.iterdir()} == {used.name, _DIGEST}


def test_a_cache_that_cannot_be_written_is_not_needed(cache: Path) -> None:
    """Modules go into a directory of this process where the user's cache directory is a file."""
    cache.parent.write_bytes(b"")

    tree = fetched(_DIGEST, _read)

    assert (tree / "far.py").read_bytes() == _SOURCE
    assert tree.parent.parent == Path(tempfile.gettempdir())
