"""Info values: streams from an offset, the log of the platform, and times."""

from __future__ import annotations

import pytest
from picloud_api.engine.jobs.locate import PageSlice
from picloud_api.store.layout import PageId
from picloud_api.store.records import Header
from picloud_api.usecases.jobs.info_values import OF_BATCH, OF_INFO, JobView, pilog, stream_texts
from picloud_model.info import MOST_CHARACTERS, STREAMS, UNPICKLED, InfoKey
from picloud_model.job import Cause, State
from picloud_model.pack import Envelope
from picloud_model.page import Flag, Page
from picloud_model.wire import Content, Info, Options, Stream

HEADER = Header(
    first=41, count=2, kind="map", function=Content(), function_name="double",
    envelope=Envelope("3.11", "3.1.0"), bundle="", options=Options(label="mine"), parts=[],
    created_at=1000.0, fingerprint=b"",
)  # fmt: skip


def view(**columns: float) -> JobView:
    """Return the second job of a map, with values in columns of its page."""
    page = Page.fresh(2, State.QUEUED)
    for name, value in columns.items():
        getattr(page, name)[1] = value
    piece = PageSlice(PageId("a1", "b1", 0), 41, 0, 2)
    return JobView(piece=piece, index=1, page=page, header=HEADER, now=1010.0)


@pytest.mark.parametrize(
    ("since", "text", "end"),
    [(0, "hello", 15), (10, "hello", 15), (12, "llo", 15), (15, "", 15), (99, "", 99)],
)
def test_a_stream_begins_where_the_client_is(since: int, text: str, end: int) -> None:
    """Bytes that the client has are not sent again; what the slot dropped cannot be sent."""
    info = Info(streams={"stdout": Stream(10, b"hello")})

    texts, ends = stream_texts(info, {"stdout": since})

    assert (texts["stdout"], ends["stdout"]) == (text, end)
    assert (texts["stderr"], ends["stderr"]) == ("", 0)
    assert set(texts) == set(STREAMS)


def test_a_stream_is_text_of_bounded_length() -> None:
    """Bytes that are not UTF-8 are replaced; of a long stream the end is shown."""
    data = b"\xff" + b"a" * MOST_CHARACTERS

    texts, _ = stream_texts(Info(streams={"stderr": Stream(0, data)}), {})

    assert texts["stderr"] == "a" * MOST_CHARACTERS


def test_the_log_names_each_event() -> None:
    """Creation, loss, start, kill, end and what the slot did afterwards, each on a line."""
    job = view(
        state=State.KILLED, cause=Cause.KILLED, losses=1, started=1001.5, finished=1003.0,
        attempt=2, slot=7, flags=Flag.KILL_REQUESTED,
    )  # fmt: skip

    lines = pilog(job, ["restored after the job: umask"]).splitlines()

    assert lines[0].endswith("created: job 2 of 2 of a map of double, for 1 core of c1, priority 5")
    assert lines[1] == "lost: 1 of its attempts, each with its slot"
    assert lines[2] == "1970-01-01 00:16:41.500Z begun: attempt 2 on slot 0000000000000007"
    assert lines[3] == "kill requested by its user"
    assert lines[4].startswith("1970-01-01 00:16:43.000Z killed after 1.500 s")
    assert lines[5:] == ["restored after the job: umask"]


def test_the_log_of_a_queued_job_says_that_it_waits() -> None:
    """A job without a slot has two lines: its creation, and that it waits."""
    assert pilog(view()).splitlines()[1:] == ["queued: waits for a slot"]


@pytest.mark.parametrize(
    ("columns", "runtime"),
    [
        ({}, None),
        ({"state": State.PROCESSING, "started": 1004.0}, 6.0),
        ({"state": State.DONE, "started": 1004.0, "finished": 1005.5}, 1.5),
        ({"state": State.QUEUED, "started": 1004.0}, None),
    ],
)
def test_the_runtime_of_a_job(columns: dict[str, float], runtime: float | None) -> None:
    """None before the start, up to now while it runs, then the time from start to end."""
    assert OF_BATCH[InfoKey.RUNTIME](view(**columns)) == runtime


def test_the_cause_of_a_job_that_failed() -> None:
    """As the words that users read; None for a job that did not fail."""
    failed = view(state=State.ERROR, cause=Cause.MEMORY)

    assert OF_BATCH[InfoKey.CAUSE](failed) == "out of memory"
    assert OF_BATCH[InfoKey.CAUSE](view()) is None


def test_attributes_are_those_of_the_submit() -> None:
    """The kind, the function and each option, as submitted."""
    attributes = OF_BATCH[InfoKey.ATTRIBUTES](view())

    assert attributes["kind"] == "map"
    assert attributes["function"] == "double"
    assert attributes["label"] == "mine"


def test_every_key_has_one_source() -> None:
    """Each key is a stream, a value of the slot, a value of the batch, or one of five others."""
    others = {InfoKey.EXCEPTION, InfoKey.PILOG, InfoKey.WHY, InfoKey.PORTS, InfoKey.WEBHOOK}
    sources = [set(STREAMS), set(OF_INFO), set(OF_BATCH), others, set(UNPICKLED)]

    assert sum(map(len, sources)) == len(set(InfoKey))
    assert set.union(*sources) == set(InfoKey)
