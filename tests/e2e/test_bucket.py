"""`cloud.bucket` and `cloud.files`, on every stack."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import cloud
import pytest
from cloud import CloudException, bucket, files

from tests.current_client import current_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloud._client.client import Client

    from tests.e2e.stacks import Stack

PARTS = 65 * 1024 * 1024 + 1
"""The size of an object that is sent in parts."""


@pytest.fixture
def prefix(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A prefix of this test's objects; files are in its directory."""
    monkeypatch.chdir(tmp_path)
    with current_client(client):
        name = uuid4().hex
        yield name
        bucket.remove_prefix(name)


def test_a_file_is_stored_and_fetched(prefix: str, tmp_path: Path) -> None:
    """A put replaces the object, and a get the file; both take their names from each other."""
    (tmp_path / "a.txt").write_text("one", encoding="utf-8")
    bucket.put("a.txt", prefix=prefix)
    (tmp_path / "a.txt").write_text("two", encoding="utf-8")
    bucket.put(tmp_path / "a.txt", prefix=prefix)
    (tmp_path / "a.txt").write_text("three", encoding="utf-8")

    bucket.get("a.txt", prefix=prefix)
    bucket.get(f"{prefix}/a.txt", tmp_path / "b.txt", start_byte=1, end_byte=2)

    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "two"
    assert (tmp_path / "b.txt").read_text(encoding="utf-8") == "w"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.txt"]


@pytest.mark.parametrize("size", [0, 1, 64 * 1024, 64 * 1024 + 1, 9_000_000, PARTS])
def test_bytes_of_any_size_come_back(prefix: str, tmp_path: Path, size: int) -> None:
    """Small objects, larger ones and those sent in parts are the same to their user."""
    data = os.urandom(size)
    (tmp_path / "data").write_bytes(data)
    key = f"{prefix}/data"

    bucket.put("data", key)

    known = bucket.info(key)
    assert (known["size"], known["md5sum"]) == (size, hashlib.md5(data).hexdigest())
    bucket.get(key, "again")
    assert (tmp_path / "again").read_bytes() == data
    with bucket.getf(key) as opened:
        assert opened.read() == data
        opened.seek(-min(size, 5), io.SEEK_END)
        assert opened.read() == data[-5:]


def test_small_objects_of_many_threads_come_back(prefix: str) -> None:
    """On the HashiCorp stack they go straight to S3; their headers and digests are the same."""

    def put(number: int) -> None:
        bucket.putf(f"text {number}", f"{number}.txt", prefix)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(put, range(40)))

    assert len(bucket.list(prefix)) == 40
    for number in (0, 39):
        data = f"text {number}".encode()
        known = bucket.info(f"{number}.txt", prefix)
        assert bucket.getf(f"{number}.txt", prefix).read() == data
        assert known["md5sum"] == hashlib.md5(data).hexdigest()
        assert known["headers"] == {"content-type": "text/plain"}


def test_putf_takes_text_bytes_and_files(prefix: str, tmp_path: Path) -> None:
    """A file is stored from its position on, a stream to its end."""

    class Stream:
        def __init__(self) -> None:
            self.blocks = [b"a" * 100_000, b"b", b""]

        def read(self, size: int) -> bytes:
            return self.blocks.pop(0)

    (tmp_path / "file").write_bytes(b"0123456789")
    with (tmp_path / "file").open("rb") as file:
        file.seek(7)
        for name, data, expected in (
            ("text", "\u00fc", "\u00fc".encode()),
            ("bytes", b"\0", b"\0"),
            ("array", bytearray(b"ab"), b"ab"),
            ("file", file, b"789"),
            ("memory", io.BytesIO(b"memory"), b"memory"),
            ("lines", io.StringIO("a\nb"), b"a\nb"),
            ("stream", Stream(), b"a" * 100_000 + b"b"),
        ):
            bucket.putf(data, name, prefix)
            assert bucket.getf(name, prefix).read() == expected, name


def test_a_pipe_is_stored_as_a_file(prefix: str, tmp_path: Path) -> None:
    """As with `put <(...)` in a shell; it can be read once, and its length is not known before."""
    os.mkfifo(tmp_path / "pipe")

    with ThreadPoolExecutor(1) as threads:
        written = threads.submit((tmp_path / "pipe").write_bytes, b"ab" * 50_000)
        bucket.put(tmp_path / "pipe", prefix=prefix)
        written.result()

    assert bucket.getf("pipe", prefix).read() == b"ab" * 50_000


def test_an_object_is_read_as_a_file(prefix: str) -> None:
    """Lines, positions and ranges are as in any file; a closed one is not read."""
    lines = [b"%d %s\n" % (number, b"x" * (number % 90)) for number in range(5000)] + [b"end"]
    data = b"".join(lines)
    bucket.putf(data, "lines", prefix)

    with bucket.getf("lines", prefix) as opened:
        assert list(opened) == lines
        assert (opened.read(), opened.tell(), opened.filesize()) == (b"", len(data), len(data))
        assert opened.seek(3) == 3
        assert (opened.readline(3), opened.read(4)) == (data[3:6], data[6:10])
        assert (
            io.TextIOWrapper(opened, "utf-8").readline().encode()
            == data[10:].partition(b"\n")[0] + b"\n"
        )
        with pytest.raises(ValueError, match="whence must be 0, 1 or 2, not 9"):
            opened.seek(0, 9)
    with pytest.raises(ValueError, match="closed"):
        opened.read(1)
    part = bucket.getf("lines", prefix, start_byte=100, end_byte=200)
    assert (part.tell(), part.end(), part.sizeofchunk()) == (100, 200, 100)
    assert part.byte_range() == (100, 200)
    assert isinstance(files.getf(f"{prefix}/lines"), files.CloudFile)
    assert part.read() == data[100:200]
    assert part.md5() == hashlib.md5(data).hexdigest()


def test_keys_are_no_paths(prefix: str) -> None:
    """Each of these is an object of its own, and all are listed in the order of their bytes."""
    names = [
        "a", "a/b", "a/", "x//y", "x/y", "/x", "./a", "../a", "x/../y", "a" * 300, "\u00fc",
        "\u65e5", "%2e", "sp ace", "+", "a?b#c&d=e", "x" * (1023 - len(prefix)), "\U0001f600",
        "new\nline",
    ]  # fmt: skip
    for name in names:
        bucket.putf(name, name, prefix)

    for name in names:
        assert bucket.getf(name, prefix).read().decode() == name
    expected = sorted((f"{prefix}/{name}" for name in names), key=str.encode)
    assert bucket.list(prefix) == expected
    assert list(bucket.iterlist(prefix, num_readahead_keys=2)) == expected
    bucket.remove(names, prefix)
    assert bucket.list(prefix) == []


def test_listings_are_cut_and_continued(prefix: str) -> None:
    """`truncated` says that more follow; a folder counts as one key."""
    for name in ("a", "b/1", "b/2", "c"):
        bucket.putf("", name, prefix)

    first = bucket.list(f"{prefix}/", max_keys=2)
    rest = bucket.list(f"{prefix}/", marker=first[-1])

    assert (first, first.truncated) == ([f"{prefix}/a", f"{prefix}/b/1"], True)
    assert (rest, rest.truncated) == ([f"{prefix}/b/2", f"{prefix}/c"], False)
    folders = [f"{prefix}/a", f"{prefix}/b/", f"{prefix}/c"]
    assert bucket.list(f"{prefix}/", folderize=True) == folders
    assert list(bucket.iterlist(f"{prefix}/", folderize=True, num_readahead_keys=1)) == folders
    assert bucket.list("none" + prefix) == []


def test_more_than_a_thousand_keys(prefix: str) -> None:
    """Lists, removals and syncs take any number of keys."""
    names = [f"{prefix}/{number:04d}" for number in range(1005)]
    with_threads(lambda name: bucket.putf("x", name), names)

    assert list(bucket.iterlist(prefix)) == names
    assert len(bucket.list(prefix)) == 1000
    assert bucket.list(prefix, max_keys=2000) == names
    bucket.remove(names[:1001])
    assert bucket.list(prefix) == names[1001:]
    bucket.remove_prefix(prefix)
    assert bucket.list(prefix) == []


def with_threads(function: Callable[[str], None], names: list[str]) -> None:
    """Call a function with each name, from eight threads that share the client."""
    shares = [names[share::8] for share in range(8)]
    threads = [
        threading.Thread(target=lambda share=share: [function(name) for name in share])
        for share in shares
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_what_is_missing_is_said(prefix: str, tmp_path: Path) -> None:
    """One sentence each, and no file is left behind or overwritten."""
    (tmp_path / "kept").write_text("kept", encoding="utf-8")
    bucket.putf("x", "x", prefix)
    for attempt, message in (
        (lambda: bucket.get("none", "kept", prefix), f"There is no object '{prefix}/none' in your"),
        (lambda: bucket.getf("none", prefix), "There is no object"),
        (lambda: bucket.info("none", prefix), "There is no object"),
        (lambda: bucket.get_md5("none", prefix), "There is no object"),
        (lambda: bucket.make_public("none", prefix), "There is no object"),
        (lambda: bucket.put("no such file"), "no such file cannot be read: No such file"),
        (lambda: bucket.put("."), r"\. cannot be read: Is a directory"),
        (lambda: bucket.get("x", "no/such/folder", prefix), "no/such/folder cannot be written: No"),
        (lambda: bucket.putf("", ""), "must not be empty"),
        (lambda: bucket.putf("", "a\0"), "A key has no NUL character"),
        (lambda: bucket.putf("", "k" * 1025), "at most 1,024 bytes"),
        (lambda: bucket.putf(3, "k"), "takes text, bytes or a file, not 3"),
        (
            lambda: bucket.getf("x", prefix, 5, 2),
            "end_byte one from start_byte or None, not 5 and 2",
        ),
        (lambda: bucket.list(max_keys=0), "max_keys must be a whole number from 1"),
        (lambda: bucket.remove_prefix(""), "needs a prefix"),
        (lambda: files.delete(f"{prefix}/none"), "There is no stored file"),
    ):
        with pytest.raises(CloudException, match=message):
            attempt()

    bucket.remove(["none", "nothing"], prefix)
    bucket.remove_prefix(f"{prefix}/none")
    assert not bucket.exists("none", prefix)
    assert files.get_md5(f"{prefix}/none") is None
    assert bucket.list(f"{prefix}/none") == []
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept").read_text(encoding="utf-8") == "kept"


def test_an_object_that_changes_is_not_mixed(prefix: str) -> None:
    """A reader gets one version, or an error that says so."""
    bucket.putf(b"a" * 10_000_000, "big", prefix)
    opened = bucket.getf("big", prefix)
    assert opened.read(10) == b"a" * 10

    bucket.putf(b"b" * 10_000_000, "big", prefix)

    with pytest.raises(CloudException, match="was replaced or removed while it was read"):
        opened.read()
    removed = bucket.getf("big", prefix)
    assert removed.read(10) == b"b" * 10
    bucket.remove("big", prefix)
    with pytest.raises(CloudException, match="was replaced or removed while it was read"):
        removed.read()


def test_a_sync_sends_only_what_differs(prefix: str, tmp_path: Path) -> None:
    """Files and objects are compared by their digests."""
    (tmp_path / "a").write_text("one", encoding="utf-8")
    bucket.sync_to_cloud("a", prefix=prefix)
    stored_at = bucket.info("a", prefix)["last_modified"]
    bucket.sync_to_cloud("a", prefix=prefix)
    assert bucket.info("a", prefix)["last_modified"] == stored_at
    written_at = (tmp_path / "a").stat().st_mtime_ns

    bucket.sync_from_cloud("a", prefix=prefix)
    assert (tmp_path / "a").stat().st_mtime_ns == written_at
    bucket.putf("two", "a", prefix)
    bucket.sync_from_cloud("a", prefix=prefix)

    assert (tmp_path / "a").read_text(encoding="utf-8") == "two"


def test_one_of_several_processes_fetches(prefix: str, tmp_path: Path) -> None:
    """A file that exists is kept, unless it is to be synchronised."""
    bucket.putf("one", "a", prefix)
    bucket.mpsafe_get("a", prefix=prefix, timeout=10)
    bucket.putf("two", "a", prefix)

    bucket.mpsafe_get("a", prefix=prefix)
    assert (tmp_path / "a").read_text(encoding="utf-8") == "one"
    bucket.mpsafe_get("a", prefix=prefix, do_sync=True)
    assert (tmp_path / "a").read_text(encoding="utf-8") == "two"


def test_of_processes_that_start_together_one_fetches(
    stack: Stack, prefix: str, tmp_path: Path
) -> None:
    """Each has the whole file when its call returns; it was written once."""
    data = os.urandom(5_000_000)
    bucket.putf(data, "a", prefix)
    program = (
        "import os, sys, cloud; cloud.bucket.mpsafe_get(sys.argv[1], 'copy', timeout=60); "
        "found = os.stat('copy'); print(found.st_size, found.st_ino, found.st_mtime_ns)"
    )

    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, f"{prefix}/a"],
            cwd=tmp_path,
            env=stack.environment(),
            stdout=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    printed = {process.communicate(timeout=60)[0] for process in processes}

    (line,) = printed
    assert line.split()[0] == b"5000000"
    assert (tmp_path / "copy").read_bytes() == data


def test_jobs_use_the_same_bucket(prefix: str) -> None:
    """A job reads what its client has stored, and the other way round."""
    bucket.putf("from the client", "a", prefix)

    def job(prefix: str) -> Any:
        from cloud import bucket

        bucket.putf("from the job", "b", prefix)
        return bucket.getf("a", prefix).read(), bucket.list(prefix)

    result = cloud.result(cloud.call(job, prefix), timeout=60)

    assert result == (b"from the client", [f"{prefix}/a", f"{prefix}/b"])
    assert bucket.getf("b", prefix).read() == b"from the job"


def test_a_job_has_no_credential_of_the_store(prefix: str) -> None:
    """Neither its environment nor that of what started it names one; it has URLs instead."""

    def names() -> set[str]:
        environment = Path("/proc/self/environ").read_bytes().split(b"\0")
        return {*os.environ, *(each.partition(b"=")[0].decode() for each in environment)}

    bucket.putf("x" * 100_000, "a", prefix)

    found = cloud.result(cloud.call(names), timeout=60)

    assert not [name for name in found if "AWS" in name or "S3" in name]
    assert cloud.result(cloud.call(lambda: len(bucket.getf("a", prefix).read()))) == 100_000


def test_files_are_the_same_store(prefix: str, tmp_path: Path) -> None:
    """The older functions store and read the same objects."""
    (tmp_path / "names.txt").write_text("a\nb\n", encoding="utf-8")
    name = f"{prefix}/names.txt"

    files.put("names.txt", name)
    files.get(name, "names2.txt")
    files.sync_from_cloud(name, "names2.txt")
    files.sync_to_cloud("names2.txt", name)

    assert (tmp_path / "names2.txt").read_text(encoding="utf-8") == "a\nb\n"
    assert bucket.getf(name).read() == files.getf(name).read() == b"a\nb\n"
    assert files.get_md5(name) == bucket.get_md5(name)
    assert name in files.list()
    assert files.exists(name)
    files.delete(name)
    assert not bucket.exists(name)
