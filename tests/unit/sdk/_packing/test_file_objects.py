"""Read-only files on disk travel as arguments; other streams say why they do not."""

from __future__ import annotations

import csv
import io
import os
import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cloud._packing.errors import PackingError
from cloud._packing.packer import Packer
from picloud_model.pack import unseal
from picloud_model.wire import MAX_ARGUMENT_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = "größe\nzwei\ndrei\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A file with three lines."""
    path = tmp_path / "data.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def arrived(stream: Any) -> Any:
    """What a job gets for a stream."""
    (found,), _ = pickle.loads(unseal(Packer().arguments((stream,), {})))
    return found


@pytest.mark.parametrize("mode", ["r", "rb"])
def test_content_and_position_travel(data: Path, mode: str) -> None:
    """The job reads on where the program stopped, may rewind, and the program is not disturbed."""
    with data.open(mode, encoding=None if "b" in mode else "utf-8") as stream:
        stream.readline()

        found = arrived(stream)

        left = found.read()
        assert left == stream.read()
        found.seek(0)
        assert found.read().endswith(left)
        assert found.name == str(data)


def test_an_unbuffered_file_travels(data: Path) -> None:
    """`buffering=0` makes another class of file, which travels alike."""
    with data.open("rb", buffering=0) as stream:
        assert arrived(stream).read() == TEXT.encode()


def test_files_travel_to_other_machines(data: Path, elsewhere: Callable[..., Any]) -> None:
    """A file works as argument, as global and as default where there is no such file."""
    with data.open(encoding="utf-8") as one, data.open(encoding="utf-8") as two:
        two.readline()
        scope: dict[str, Any] = {"two": two, "os": os}
        code = "def job(one): return list(one), two.readline(), two.name"
        exec(code, scope)

        found = elsewhere(scope["job"], one)

    assert found == (TEXT.splitlines(keepends=True), "zwei\n", str(data))


def test_files_for_csv_keep_their_line_ends(tmp_path: Path) -> None:
    """A file opened with `newline=""` keeps its line ends, as `csv` wants it."""
    (tmp_path / "t.csv").write_bytes(b'a,"b\r\nc"\r\n')
    with (tmp_path / "t.csv").open(newline="") as stream:
        assert list(csv.reader(arrived(stream))) == [["a", "b\r\nc"]]


def test_streams_in_memory_pickle_themselves() -> None:
    """`io.StringIO` and `io.BytesIO` are values like others."""
    assert arrived(io.StringIO("x")).read() == "x"
    assert arrived(io.BytesIO(b"x")).read() == b"x"


def test_standard_output_is_the_one_of_the_job() -> None:
    """`sys.stdout` and `sys.stderr` mean the job's own."""
    assert arrived(sys.stdout) is sys.stdout
    assert arrived([sys.stderr])[0] is sys.stderr


@pytest.mark.parametrize("mode", ["w", "a", "r+", "wb", "r+b"])
def test_writable_files_are_refused(data: Path, mode: str) -> None:
    """What is written over there would be lost, so a file open for writing is refused."""
    with data.open(mode) as stream, pytest.raises(PackingError, match="open for writing; open it"):
        arrived(stream)


def test_streams_that_are_no_file_are_refused(data: Path) -> None:
    """Pipes, standard input, closed files and wrappers of memory each say what to do instead."""
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading) as pipe, pytest.raises(PackingError, match="a pipe or a device; send"):
        arrived(pipe)
    with (
        data.open() as stream,
        os.fdopen(0, closefd=False) as standard_input,
        pytest.raises(PackingError, match="standard input"),
    ):
        arrived([stream, standard_input])
    with pytest.raises(PackingError, match="a closed file"):
        arrived(stream)
    with pytest.raises(PackingError, match="not a file on disk"):
        arrived(io.BufferedReader(io.BytesIO(b"")))


@pytest.mark.parametrize("name", ["/proc/self/status", "/sys/kernel/uevent_seqnum"])
def test_virtual_files_are_refused(name: str, tmp_path: Path) -> None:
    """Files of the kernel tell of this machine, under whatever name they were opened."""
    (tmp_path / "link").symlink_to(name)
    for path in (Path(name), tmp_path / "link"):
        with path.open() as stream, pytest.raises(PackingError, match="a virtual file"):
            arrived(stream)


def test_large_files_are_refused_unread(data: Path) -> None:
    """A file larger than any argument may be is refused by its size."""
    os.truncate(data, MAX_ARGUMENT_BYTES + 1_000_000)

    with data.open("rb") as stream, pytest.raises(PackingError, match=r"17 MB.*into your bucket"):
        arrived(stream)


def test_text_that_does_not_decode_is_refused(tmp_path: Path) -> None:
    """Bytes opened as text in the wrong encoding are refused, and the position is kept."""
    (tmp_path / "bytes").write_bytes(b"ok\n\xff\xff")
    with (tmp_path / "bytes").open(encoding="utf-8") as stream:
        with pytest.raises(PackingError, match=r"does not decode.*as 'rb'"):
            arrived(stream)
        assert stream.tell() == 0


def test_a_file_in_a_loop_is_refused(data: Path) -> None:
    """Python cannot tell the position of a text file while a loop reads it."""
    with data.open(encoding="utf-8") as stream:
        next(stream)
        with pytest.raises(PackingError, match="finish the loop first"):
            arrived(stream)
