"""Source files are read once and again only when they change; a package is read whole."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest
from cloud._packing.source_files import (
    SourceCache,
    SourceFile,
    in_archive,
    in_directory,
    unchanged,
)

if TYPE_CHECKING:
    from pathlib import Path

SECOND_NS = 1_000_000_000
CHANGED_NS = 1_000 * SECOND_NS + 5
"""When the file of a test was changed."""


@pytest.fixture
def file(tmp_path: Path) -> SourceFile:
    """A source file that was changed long ago."""
    path = tmp_path / "solo.py"
    path.write_text("import far.away\n")
    os.utime(path, ns=(CHANGED_NS, CHANGED_NS))
    return SourceFile("solo.py", str(path), path.stat().st_size)


def cache_at(seconds: float) -> SourceCache:
    """Return a cache so long after the file was changed."""
    return SourceCache(lambda: CHANGED_NS + int(seconds * SECOND_NS))


def test_a_file_has_a_digest_and_imports(file: SourceFile) -> None:
    """They are those of its content."""
    source = cache_at(60).read(file)

    assert source.content == b"import far.away\n"
    assert source.digest == sha256(source.content).hexdigest()
    assert source.imports == {"far.away"}


def test_an_unchanged_file_is_read_once(file: SourceFile, tmp_path: Path) -> None:
    """A changed one is read again."""
    cache = cache_at(60)
    first = cache.read(file)
    assert cache.read(file) is first
    assert unchanged({file.path: first.stamp})

    (tmp_path / "solo.py").write_text("x = 1\n")

    assert cache.read(file).content == b"x = 1\n"
    assert not unchanged({file.path: first.stamp})


def test_a_file_that_was_just_changed_has_no_stamp(file: SourceFile) -> None:
    """A second change within a tick of the clock would not be seen."""
    cache = cache_at(0.001)

    first = cache.read(file)

    assert first.stamp is None
    assert cache.read(file) is not first
    assert not unchanged({file.path: None})
    assert cache_at(1).stamp(file.path) is not None


def test_a_time_in_whole_seconds_settles_later(file: SourceFile) -> None:
    """Some file systems store no fractions."""
    whole = CHANGED_NS - 5
    os.utime(file.path, ns=(whole, whole))

    assert cache_at(1.5).stamp(file.path) is None
    assert cache_at(2.5).stamp(file.path) is not None


def test_a_deleted_file_is_an_error(file: SourceFile, tmp_path: Path) -> None:
    """And it is a change."""
    cache = cache_at(60)
    stamp = cache.read(file).stamp
    (tmp_path / "solo.py").unlink()

    assert not unchanged({file.path: stamp})
    with pytest.raises(FileNotFoundError):
        cache.read(file)


def test_broken_code_has_no_imports(file: SourceFile, tmp_path: Path) -> None:
    """It is sent as it is: it may never be imported."""
    (tmp_path / "solo.py").write_text("import a\nthis is no Python")

    assert cache_at(60).read(file).imports == set()


def test_a_package_is_listed_without_what_no_import_reaches(tmp_path: Path) -> None:
    """Hidden directories, caches and environments are left out, and a link back ends."""
    for name in ("a.py", "sub/b.py", ".git/c.py", "__pycache__/d.py", "env/e.py", "sub/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    (tmp_path / "sub" / "back").symlink_to(tmp_path)

    found = in_directory(str(tmp_path), "pkg")

    assert sorted(file.target for file in found.sources) == ["pkg/a.py", "pkg/sub/b.py"]
    assert found.data == {"pkg/sub/notes.txt": str(tmp_path / "sub" / "notes.txt")}
    assert sorted(found.directories) == [str(tmp_path), str(tmp_path / "sub")]


def test_a_package_in_an_archive_is_listed(tmp_path: Path) -> None:
    """So is a single module; each is read from the archive."""
    archive = str(tmp_path / "code.zip")
    with ZipFile(archive, "w") as opened:
        for name in ("pkg/__init__.py", "pkg/a.py", "pkg/data.txt", "solo.py", "package/x.py"):
            opened.writestr(name, f"# {name}")

    package = in_archive(archive, f"{archive}/pkg", "pkg")
    (solo,) = in_archive(archive, f"{archive}/solo.py", "solo")

    assert [file.target for file in package] == ["pkg/__init__.py", "pkg/a.py"]
    assert (solo.target, cache_at(60).read(solo).content) == ("solo.py", b"# solo.py")
