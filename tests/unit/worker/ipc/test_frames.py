"""Frames: a stream of bytes, cut anywhere, yields the values that were sent."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from picloud_model.wire import JobReport
from picloud_worker.ipc.frames import LENGTH, BrokenFrameError, Frames, JobDone, frame


@given(st.lists(st.binary(max_size=50), max_size=10), st.lists(st.integers(0, 600), max_size=10))
def test_frames_survive_any_cut(bodies: list[bytes], cuts: list[int]) -> None:
    """Wherever the stream is cut, all frames are decoded in order."""
    stream = b"".join(frame(body) for body in bodies)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    frames = Frames(bytes)

    received = [body for start, end in pairwise(edges) for body in frames.feed(stream[start:end])]

    assert received == bodies
    assert not frames.partial


def test_a_length_beyond_the_limit_is_refused() -> None:
    """The rest of an impossible frame is not awaited."""
    with pytest.raises(BrokenFrameError, match="4294967295"):
        Frames(bytes).feed(LENGTH.pack(2**32 - 1))


def test_a_partial_frame_is_noticed() -> None:
    """After a part of a frame there is more to read."""
    frames = Frames(bytes)

    assert frames.feed(frame(b"1")[:5]) == []
    assert frames.partial


def test_the_end_of_a_job_travels() -> None:
    """It is decoded as it was encoded."""
    done = JobDone(
        3,
        4,
        JobReport(
            index=5, attempt=1, state=5, cause=0, started_at=1.5, finished_at=2.5, payload=b"x"
        ),
    )

    assert Frames(JobDone).feed(frame(done)) == [done]


def test_another_value_is_refused() -> None:
    """A frame with another type of value is an error."""
    with pytest.raises(BrokenFrameError):
        Frames(JobDone).feed(frame("done"))
