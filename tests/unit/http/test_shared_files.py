"""Files that a server shares: used only if they are those that it means, and checked when read."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from picloud_http.shared_files import SharedFiles, may_share
from picloud_model.errors import BlobMissing
from picloud_model.wire.blob import SharedDirectories

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = sha256(b"content").hexdigest()


@pytest.fixture
def directories(tmp_path: Path) -> SharedDirectories:
    """Directories as a server of this machine shows them."""
    for name in ("blobs", "incoming"):
        (tmp_path / name).mkdir()
    (tmp_path / "incoming" / "proof").write_text("p1", encoding="ascii")
    return SharedDirectories(f"{tmp_path}/blobs/", f"{tmp_path}/incoming/", "p1")


def _found(directories: SharedDirectories) -> SharedFiles:
    files = SharedFiles.found(directories)
    assert files is not None
    return files


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("http://localhost:1", True),
        ("http://[::1]:1/x", True),
        ("http://127.0.0.1.example.org", False),
        ("http://10.0.0.1:8787", False),
    ],
)
def test_only_a_server_of_this_machine_shares(url: str, *, may: bool) -> None:
    """A name that only begins like this machine's is another machine's."""
    assert may_share(url) is may


def test_directories_of_another_machine_are_not_used(directories: SharedDirectories) -> None:
    """Without the proof, or with another one, the paths are not those of the server."""
    other = SharedDirectories(directories.blobs, directories.incoming, "p2")
    nowhere = SharedDirectories("/nowhere/", "/nowhere/", "p1")
    unproven = SharedDirectories(directories.blobs, directories.incoming, "")

    assert [SharedFiles.found(each) for each in (other, nowhere, unproven, None)] == [None] * 4


def test_what_is_written_has_its_digest_as_name(
    directories: SharedDirectories, tmp_path: Path
) -> None:
    """The file is whole under its name, and only the user can read it."""
    assert _found(directories).write(DIGEST, (b"con", b"tent"))

    (written,) = set((tmp_path / "incoming").iterdir()) - {tmp_path / "incoming" / "proof"}
    assert (written.name, written.read_bytes()) == (DIGEST, b"content")
    assert written.stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_written_is_sent_instead(
    directories: SharedDirectories, tmp_path: Path
) -> None:
    """If the directory is gone, the bytes travel."""
    files = _found(directories)
    (tmp_path / "incoming" / "proof").unlink()
    (tmp_path / "incoming").rmdir()

    assert not files.write(DIGEST, (b"content",))


def test_bytes_are_compared_with_their_digest(
    directories: SharedDirectories, tmp_path: Path
) -> None:
    """Both ways to read notice that a file has other bytes, and say that one is not here."""
    files = _found(directories)
    assert (files.read(DIGEST), files.check(DIGEST)) == (None, False)

    (tmp_path / "blobs" / DIGEST).write_bytes(b"content")
    assert (files.read(DIGEST), files.check(DIGEST)) == (b"content", True)

    for damaged in (b"contend", b""):
        (tmp_path / "blobs" / DIGEST).write_bytes(damaged)
        for read in (files.read, files.check):
            with pytest.raises(BlobMissing, match="other bytes"):
                read(DIGEST)
