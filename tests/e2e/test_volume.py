"""`cloud.volume` and `picloud volume`, on every stack."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from cloud import CloudException, volume

from tests.current_client import current_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited

PART = 4 * 1024 * 1024


@pytest.fixture
def data(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of an empty volume; the test runs in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PICLOUD_CONFIG_DIR", str(tmp_path / "config"))
    with current_client(client):
        name = f"data-{uuid4().hex[:12]}"
        volume.create(name, f"/{name}")
        yield name
        volume.delete(name)


def make_tree(root: Path) -> None:
    """Make files, directories and links of several kinds."""
    (root / "sets" / "empty").mkdir(parents=True)
    (root / "sets" / "a.txt").write_text("one", encoding="utf-8")
    (root / "sets" / "nothing").touch()
    (root / "sets" / "run.sh").write_text("exit 0", encoding="utf-8")
    (root / "sets" / "run.sh").chmod(0o750)
    (root / "sets" / "\u00e4 b").write_bytes(os.urandom(2 * PART + 1))
    (root / "sets" / "link").symlink_to("a.txt")
    (root / "sets" / "away").symlink_to("/nowhere")
    os.utime(root / "sets" / "a.txt", ns=(10**18, 10**18 + 7))


def found(root: Path) -> dict[str, tuple[Any, ...]]:
    """Return what is below a directory: kinds, modes, times and bytes."""
    return {
        str(path.relative_to(root)): (
            path.lstat().st_mode,
            None if path.is_symlink() else path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() and not path.is_symlink() else None,
            path.readlink() if path.is_symlink() else None,
        )
        for path in root.rglob("*")
    }


def test_a_directory_comes_back_as_it_was(data: str, tmp_path: Path) -> None:
    """Bytes, modes, times, links and empty directories are kept, as with `rsync -a`."""
    make_tree(tmp_path)

    volume.sync("sets", f"{data}:")
    volume.sync(f"{data}:sets/", "copy")
    volume.sync(f"{data}:", "all/")

    assert found(tmp_path / "copy") == found(tmp_path / "sets")
    assert found(tmp_path / "all" / "sets") == found(tmp_path / "sets")


def test_a_trailing_slash_stands_for_what_is_in_a_directory(data: str, tmp_path: Path) -> None:
    """`sets` is the directory itself; a file goes into a directory that exists."""
    make_tree(tmp_path)

    volume.sync("sets/", f"{data}:x/y")
    volume.sync("sets", f"{data}:z")
    volume.sync("sets/a.txt", f"{data}:z")
    volume.sync("sets/a.txt", f"{data}:b.txt")
    volume.sync(f"{data}:z/sets", "here")
    volume.sync(f"{data}:b.txt", "here")

    assert volume.ls(f"{data}:") == ["b.txt", "x", "z"]
    assert "a.txt" in volume.ls(f"{data}:x/y")
    assert volume.ls(f"{data}:z") == ["a.txt", "sets"]
    assert (tmp_path / "here" / "sets" / "a.txt").read_text(encoding="utf-8") == "one"
    assert (tmp_path / "here" / "b.txt").read_text(encoding="utf-8") == "one"


def test_only_parts_that_differ_are_transferred(data: str, tmp_path: Path) -> None:
    """Nothing is sent twice, in either direction."""
    make_tree(tmp_path)
    volume.sync("sets/", f"{data}:")
    sent: list[int] = []
    volume.sync("sets/", f"{data}:", progress=sent.append)
    assert sum(sent) == 0
    volume.sync(f"{data}:", "copy")

    with (tmp_path / "sets" / "\u00e4 b").open("r+b") as file:
        file.seek(PART + 5)
        file.write(b"changed")
    volume.sync("sets/", f"{data}:")
    received: list[int] = []
    volume.sync(f"{data}:", "copy", progress=received.append)

    assert sum(received) == PART
    assert found(tmp_path / "copy") == found(tmp_path / "sets")


def test_what_is_not_in_the_source_is_kept_or_deleted(data: str, tmp_path: Path) -> None:
    """Only `delete` removes, and only in the directory that is synchronized."""
    make_tree(tmp_path)
    volume.sync("sets/", f"{data}:a")
    volume.sync("sets/", f"{data}:b")
    (tmp_path / "sets" / "a.txt").unlink()
    (tmp_path / "sets" / "link").unlink()
    (tmp_path / "sets" / "link").mkdir()

    volume.sync("sets/", f"{data}:a")
    kept = volume.ls(f"{data}:a")
    volume.sync("sets/", f"{data}:a", delete=True)
    volume.sync(f"{data}:b", ".")
    volume.sync(f"{data}:a/", "b", delete=True)

    assert "a.txt" in kept
    assert "a.txt" not in volume.ls(f"{data}:a")
    assert "a.txt" in volume.ls(f"{data}:b")
    assert found(tmp_path / "b") == found(tmp_path / "sets")


def test_several_may_change_a_volume_at_once(data: str, tmp_path: Path) -> None:
    """No change is lost; of the same file, one version is left."""

    def store(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / f"{number}.txt").write_text(str(number), encoding="utf-8")
        (folder / "same.txt").write_text(str(number), encoding="utf-8")
        volume.sync(f"{folder}/", f"{data}:")

    threads = [threading.Thread(target=store, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert volume.ls(f"{data}:") == ["0.txt", "1.txt", "2.txt", "3.txt", "same.txt"]


def test_files_are_listed_made_and_removed(data: str, tmp_path: Path) -> None:
    """`mkdir`, `ls` and `rm` work on the volume, as the programs of these names do."""
    make_tree(tmp_path)
    volume.mkdir(f"{data}:x/y", parents=True)
    volume.mkdir(f"{data}:x/y", parents=True)
    volume.mkdir(f"{data}:x/z")
    volume.sync("sets/", f"{data}:x/y")

    assert volume.ls(f"{data}:x") == ["y", "z"]
    assert volume.ls(f"{data}:x/y/a.txt") == ["a.txt"]
    (entry,) = volume.ls(f"{data}:x/y/run.sh", extended_info=True)
    assert (entry["type"], entry["size"], entry["mode"]) == ("file", 6, 0o750)
    volume.rm(f"{data}:x/y/a.txt")
    assert "a.txt" not in volume.ls(f"{data}:x/y")
    volume.rm(f"{data}:x", recursive=True)
    assert volume.ls(f"{data}:") == []


def test_errors_say_what_is_wrong(data: str, tmp_path: Path) -> None:
    """Each is one sentence that names the path, the volume or the value."""
    make_tree(tmp_path)
    volume.sync("sets", f"{data}:")
    cases: list[tuple[Callable[[], Any], str]] = [
        (lambda: volume.sync("none", f"{data}:"), "none does not exist"),
        (lambda: volume.sync("sets", "copy"), "one path of this machine and one in a volume"),
        (lambda: volume.sync(f"{data}:none", "copy"), "no 'none' in the volume"),
        (lambda: volume.sync("sets", "absent-volume:"), "no volume 'absent-volume'"),
        (lambda: volume.sync("sets", f"{data}:../x"), "outside of the volume"),
        (lambda: volume.mkdir(f"{data}:sets"), "exists already"),
        (lambda: volume.mkdir(f"{data}:a/b"), "not a directory"),
        (lambda: volume.ls(f"{data}:none"), "no 'none' in the volume"),
        (lambda: volume.ls("none"), "not a path in a volume"),
        (lambda: volume.rm(f"{data}:sets"), "is a directory"),
        (lambda: volume.rm(f"{data}:"), "whole volume"),
        (lambda: volume.create(data, "/other"), f"already a volume '{data}'"),
        (lambda: volume.create("new", "/usr/lib/x"), "would hide"),
        (lambda: volume.create("new", "/"), "would hide"),
        (lambda: volume.create("new", "data"), "absolute path"),
        (lambda: volume.create("no name", "/data"), "name"),
        (lambda: volume.delete("absent-volume"), "no volume 'absent-volume'"),
        (lambda: volume.get_list("absent-volume"), "no volume 'absent-volume'"),
    ]
    for call, message in cases:
        with pytest.raises(CloudException, match=message):
            call()


def test_volumes_from_the_shell(data: str, tmp_path: Path, picloud: Callable[..., Exited]) -> None:
    """The command prints names only, unless asked for more."""
    make_tree(tmp_path)

    picloud("volume", "sync", "sets", f"{data}:")
    picloud("volume", "mkdir", f"{data}:x")

    assert picloud("volume", "ls", f"{data}:").out == "sets\nx\n"
    assert "-rwxr-x---" in picloud("volume", "ls", "-l", f"{data}:sets/run.sh").out
    assert "a.txt" in picloud("volume", "ls", f"{data}:sets/link", "-l").out
    picloud("volume", "rm", "-r", f"{data}:sets")
    assert picloud("volume", "ls", f"{data}:").out == "x\n"
    assert data in picloud("volume", "list").out
    wrong = picloud("volume", "ls", f"{data}:none")
    assert (wrong.code, wrong.out) == (1, "")
    assert wrong.err == f"error: There is no 'none' in the volume '{data}'.\n"
