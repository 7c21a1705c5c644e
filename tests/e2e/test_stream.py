"""`cloud.stream`, `Job.stream` and `picloud stream`, on every stack."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloud
import pytest
from cloud import CloudException, CloudTimeoutError, CloudValueError

from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.e2e.command_line import Exited
    from tests.e2e.stacks import Stack

pytestmark = pytest.mark.usefixtures("as_current")


def squares(count: int) -> Iterator[int]:
    """Yield squares; return how many."""
    for number in range(count):
        yield number * number
    return count


def stepped(flags: str) -> Iterator[int]:
    """Yield 0, 1, ...: each as soon as a file of that name exists."""
    for number in range(1000):
        while not (Path(flags) / str(number)).exists():
            time.sleep(0.01)
        yield number


@pytest.fixture
def flags(stack: Stack, request: pytest.FixtureRequest) -> Path:
    """A directory that a test and its jobs see."""
    made = stack.shared / f"stream-{request.node.name.partition('[')[0]}"
    made.mkdir()
    return made


def test_values_arrive_while_the_job_runs(flags: Path) -> None:
    """One after the other; the job goes on only then. It can be read by its jid, too."""
    values = cloud.stream(stepped, str(flags), _label="steps")

    for number in range(3):
        (flags / str(number)).touch()
        assert next(values) == number
    # Its slot says so a moment after it has begun.
    until(lambda: values.job.status == "processing", "the job is shown as processing")
    assert values.position == 3
    assert repr(values) == f"<stream of job {values.job:d}, at 3>"
    assert cloud.info(values.job, ["label", "function"])[values.job] == {
        "label": "steps", "function": f"{__name__}.stepped",
    }  # fmt: skip

    with pytest.raises(CloudTimeoutError, match=r"no further value after 0\.1 s; 3 were read"):
        next(cloud.Job(int(values.job)).stream(3, timeout=0.1))
    (flags / "3").touch()
    assert next(cloud.Job(int(values.job)).stream(3)) == 3
    cloud.kill(values.job)


def test_many_values_arrive_in_order() -> None:
    """Sent together, small and large; what the generator returns is the result of the job."""

    def mixed() -> Iterator[Any]:
        for number in range(3):
            yield from range(3000)
            yield bytes(300_000), number
            yield {"text": "x" * 1000, "values": [number]}

    values = cloud.stream(squares, 20_000)
    assert list(values) == [number * number for number in range(20_000)]
    assert values.job.result() == 20_000
    assert list(values) == []

    assert list(cloud.stream(mixed)) == list(mixed())


def test_other_things_that_yield() -> None:
    """Asynchronous generators and functions that return an iterable; each value as it was then."""

    async def asynchronous(count: int) -> AsyncIterator[int]:
        for number in range(count):
            await asyncio.sleep(0)
            yield number

    def grown() -> Iterator[list[int]]:
        values: list[int] = []
        for number in range(3):
            values.append(number)
            yield values

    async def read() -> list[int]:
        first, second = cloud.stream(asynchronous, 3), cloud.stream(asynchronous, 2)
        return [await anext(first), *[value async for value in second], *[v async for v in first]]

    assert asyncio.run(read()) == [0, 0, 1, 1, 2]
    assert list(cloud.stream(range, 3)) == [0, 1, 2]
    assert list(cloud.stream(grown)) == [[0], [0, 1], [0, 1, 2]]
    assert list(cloud.stream(list)) == []


def test_an_error_arrives_after_the_values() -> None:
    """As do values that cannot be pickled, and functions that yield nothing at all."""

    def fails() -> Iterator[int]:
        yield from (1, 2)
        raise KeyError("third")

    def unpicklable() -> Iterator[Any]:
        yield 1
        yield (each for each in "ab")

    values = cloud.stream(fails)
    assert [next(values), next(values)] == [1, 2]
    with pytest.raises(KeyError, match="third"):
        next(values)
    with pytest.raises(StopIteration):
        next(values)

    values = cloud.stream(unpicklable)
    assert next(values) == 1
    with pytest.raises(CloudException, match=r"value 1 of the stream.*generator"):
        next(values)
    with pytest.raises(CloudException, match="abs returned 5, which has no values to stream"):
        next(cloud.stream(abs, -5))
    for start in (-1, 1.5, "0"):
        with pytest.raises(CloudValueError, match="start must be a whole number from 0"):
            cloud.Job(1).stream(start)  # type: ignore[arg-type]


def test_a_killed_job_ends_its_stream() -> None:
    """Also while it waits for its reader; what it had sent can be read before."""

    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(100_000)

    values = cloud.stream(endless)
    assert len(next(values)) == 100_000
    cloud.kill(values.job)

    with pytest.raises(CloudException) as killed:
        for _ in values:
            pass
    assert killed.value.status == "killed"


def test_a_job_waits_for_its_reader(flags: Path) -> None:
    """It is at most some megabytes ahead, and goes on once values were read."""

    def counted(folder: str) -> Iterator[bytes]:
        for number in range(30):
            (Path(folder) / str(number)).touch()
            yield bytes(200_000)

    values = cloud.stream(counted, str(flags))
    until((flags / "4").exists, "some are sent")
    next(values)
    assert not (flags / "20").exists()

    assert sum(map(len, values)) == 29 * 200_000


def test_a_stream_is_read_once_by_the_last_reader(flags: Path) -> None:
    """An earlier one gets an error for its next request; values that were read are gone."""
    values = cloud.stream(stepped, str(flags))
    (flags / "0").touch()
    assert next(values) == 0
    later = cloud.Job(int(values.job)).stream(1)
    (flags / "1").touch()
    assert next(later) == 1

    with pytest.raises(CloudException, match="Another program has begun to read the stream of job"):
        next(values)
    with pytest.raises(
        CloudException, match=r"before position 1 .* removed: read on with start=1\."
    ):
        next(cloud.Job(int(values.job)).stream())
    with pytest.raises(CloudException, match=r"has had 2 values so far: start cannot be 7\."):
        next(cloud.Job(int(values.job)).stream(7))
    cloud.kill(values.job)


def test_jobs_read_streams_of_jobs_in_one_slot() -> None:
    """A job that waits for values leaves its slot to the job that yields them."""

    def total(count: int) -> int:
        return sum(cloud.stream(squares, count))

    assert cloud.result(cloud.map(total, [10, 2000]), timeout=200) == [285, 2664667000]


def test_the_command_prints_values(picloud: Callable[..., Exited]) -> None:
    """A line each; a failed job is an error after them."""

    def mixed() -> Iterator[Any]:
        yield from ("text", {"a": [1, None]}, {3})
        raise ValueError("end")

    job = cloud.stream(mixed).job
    ordinary = cloud.call(abs, -1)
    cloud.join(ordinary)

    printed = picloud("stream", str(job), "--start", "0", "--timeout", "100")
    assert printed.out == 'text\n{"a": [1, null]}\n{3}\n'
    assert (printed.code, "ValueError: end" in printed.err) == (3, True)
    refused = picloud("stream", str(ordinary))
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == (
        f"error: Job {ordinary:d} has ended and has no stream: "
        "make jobs that have one with cloud.stream.\n"
    )
