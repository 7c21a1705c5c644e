"""Maps over data that is in the bucket, on every stack."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import cloud
import pytest
from cloud import CloudException, bucket, files

from tests.polling import until

if TYPE_CHECKING:
    from tests.e2e.stacks import Stack

LINES = [b"%d %s\n" % (number, b"x" * (number % 60)) for number in range(3000)]


def test_lines_are_mapped_by_chunk(prefix: str) -> None:
    """Each job reads its lines as a file; all jobs together read each line once."""
    bucket.putf(b"".join(LINES[:2000]), "a", prefix)
    bucket.putf(b"".join(LINES[2000:])[:-1], "b", prefix)
    bucket.putf(b"", "empty", prefix)

    jids = bucket.map(list, f"{prefix}/", 10_000, _label="a map")
    results = cloud.result(jids, timeout=60)

    assert len(jids) == len(results) > 5
    assert b"".join(line for lines in results for line in lines) == b"".join(LINES)[:-1]
    assert cloud.info(jids[0], "label")[jids[0]]["label"] == "a map"


def test_objects_are_mapped_whole(prefix: str) -> None:
    """Without a split there is a job for each object, and for each compressed one anyway."""
    for name in ("a", "b.gz"):
        bucket.putf(b"x\n" * 50, name, prefix)

    def size(opened: Any) -> tuple[str, int]:
        return opened.name, len(opened.read())

    whole = cloud.result(bucket.map(size, prefix, 10, split=None), timeout=60)
    split = cloud.result(bucket.map(size, prefix, 60), timeout=60)

    assert whole == [(f"{prefix}/a", 100), (f"{prefix}/b.gz", 100)]
    assert split == [(f"{prefix}/a", 60), (f"{prefix}/a", 40), (f"{prefix}/b.gz", 100)]


def test_records_are_mapped_combined_and_reduced(prefix: str) -> None:
    """As the original's maps over files do: the reducer is one more job."""
    name = f"{prefix}/words"
    files.putf("one two\nthree\nfour five six\n" * 100, name)

    def count(line: bytes) -> int:
        return len(line.split())

    lists = cloud.result(files.map(name, count, 500), timeout=60)
    sums = cloud.result(files.map(name, count, 500, combiner=sum), timeout=60)
    total = cloud.result(files.map(name, count, 500, combiner=sum, reducer=sum), timeout=60)
    words = files.map(name, len, record_reader=files.default_record_reader("e"), combiner=sum)

    assert [sum(values) for values in lists] == sums
    assert (len(sums), total) == (6, 600)
    assert cloud.result(words, timeout=60) == [2800 - 400]


def test_a_map_needs_data(prefix: str) -> None:
    """Nothing to map over, and what is not a chunk, are errors."""
    with pytest.raises(CloudException, match=f"No object with content begins with '{prefix}'"):
        bucket.map(list, prefix)
    with pytest.raises(CloudException, match="There is no object"):
        files.map(f"{prefix}/none", len)
    for wrong in (0, -1, "1", True):
        with pytest.raises(CloudException, match="chunk_size is a number of bytes"):
            bucket.map(list, prefix, wrong)
    with pytest.raises(CloudException, match="split must be 'lines' or None"):
        bucket.map(list, prefix, split="words")
    with pytest.raises(CloudException, match="delimiter must be text or bytes"):
        files.default_record_reader("")


@pytest.mark.parametrize("change", ["replaced", "removed"])
def test_data_that_changes_is_an_error_of_its_jobs(prefix: str, stack: Stack, change: str) -> None:
    """Chunks are of the versions that there were when the map was made, or the error says so."""
    key, go = f"{prefix}/a", stack.shared / uuid4().hex
    bucket.putf(b"one\n" * 100, key)

    def wait(go: str) -> None:
        until(Path(go).exists, "the object has changed", 60)

    gate = cloud.call(wait, str(go))
    lines = bucket.map(list, prefix, 200, _depends_on=gate)
    records = files.map(key, len, 200, _depends_on=gate)
    if change == "replaced":
        bucket.putf(b"two\n" * 100, key)
    else:
        bucket.remove(key)
    go.touch()

    message = {"replaced": "was replaced since the map was made", "removed": "There is no object"}
    for jid in (*lines, *records):
        with pytest.raises(CloudException, match=message[change]):
            cloud.result(jid, timeout=60)
