"""The spans of submits and jobs: which there are, and below which span."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from picloud_api.engine.tracing.trace import MOST_JOBS, JobTraces
from picloud_api.store import layout
from picloud_driver.trace import NoTraces, TracePort, TraceSpan
from picloud_model import wire
from picloud_model.errors import RequestRefused
from picloud_model.job import Cause, State
from picloud_model.wire.trace import HEADER, TraceParent

from tests.unit.api.api_harness import ACCOUNT, ApiHarness, report_of
from tests.unit.api.http_api import HttpApi

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from picloud_api import wiring

TEXT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = TEXT[:-1] + "0"


class RecordedTraces(TracePort):
    """Keeps spans."""

    adapter = "recorded"
    is_on = True

    def __init__(self) -> None:
        self.spans: list[TraceSpan] = []

    def emit(self, spans: Sequence[TraceSpan]) -> None:
        self.spans += spans

    async def close(self) -> None:
        return None

    def of(self, name: str) -> list[TraceSpan]:
        """Return the spans of a name."""
        return [span for span in self.spans if span.name == name]


class TracedApi(ApiHarness):
    """A server that keeps its spans."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.traces = RecordedTraces()

    def ports(self) -> wiring.Ports:
        return replace(super().ports(), traces=self.traces)


@pytest.fixture
async def traced(tmp_path: Path) -> AsyncIterator[TracedApi]:
    """A server that sends spans."""
    api = TracedApi(tmp_path)
    await api.start()
    yield api
    await api.stop()


async def submit(api: ApiHarness, request: wire.SubmitRequest, traceparent: str) -> wire.Submitted:
    """Submit a request with a header, as a client does."""
    headers = {HEADER: traceparent}
    http = HttpApi(api)
    result = await http.send("POST", "/v1/jobs", wire.encode(request), **headers)
    assert result.status_code == 200, result.content
    return wire.decode(result.content, wire.Submitted)


async def test_a_job_has_three_spans_below_that_of_the_client(traced: TracedApi) -> None:
    """The submit as well; the run has the id that its child derives."""
    slot = await traced.slot()
    request = traced.request(2)

    made = await submit(traced, request, TEXT)
    (first,) = (await traced.work(slot)).leases
    (lease,) = (await traced.work(slot, reports=[report_of(first)])).leases
    await traced.work(slot, reports=[report_of(lease)], lease=False)

    parent = TraceParent.parse(lease.options.traceparent)
    assert parent is not None
    assert str(parent) == TEXT
    assert {span.trace_id for span in traced.traces.spans} == {parent.trace_id}
    assert {span.parent_id for span in traced.traces.spans} == {parent.span_id}
    (begun,) = traced.traces.of("submit")
    assert begun.attributes == {"picloud.jobs": 2, "picloud.jid": made.first}
    assert [span.span_id for span in traced.traces.of("run")] == [
        parent.of_job(lease.batch, index, 1).span_id for index in range(2)
    ]
    assert traced.traces.of("run")[1].attributes == {
        "picloud.jid": made.first + 1,
        "picloud.attempt": 1,
        "picloud.function": "f",
        "picloud.status": "done",
    }
    assert [len(traced.traces.of(name)) for name in ("wait", "report")] == [2, 2]
    assert len({span.span_id for span in traced.traces.spans}) == 7


async def test_of_many_jobs_that_end_together_some_have_spans(traced: TracedApi) -> None:
    """A report of a thousand short jobs does not delay the requests after it."""
    traces = JobTraces(traced.server.context)
    slot = await traced.slot()
    await submit(traced, traced.request(1), TEXT)
    (lease,) = (await traced.work(slot)).leases
    header = await traced.server.context.commits.view.get(layout.header(ACCOUNT, lease.batch))
    (ended,) = report_of(lease).ended

    traces.ended(lease.batch, header, [ended] * 1000, 1000.0)

    assert len(traced.traces.of("run")) == MOST_JOBS


async def test_a_failed_job_fails_its_span(traced: TracedApi) -> None:
    """With the cause; its other spans do not fail."""
    slot = await traced.slot()
    await submit(traced, traced.request(1), TEXT)
    (lease,) = (await traced.work(slot)).leases
    report = report_of(lease, State.ERROR)
    ended = [replace(job, cause=int(Cause.EXCEPTION)) for job in report.ended]

    await traced.work(
        slot, reports=[wire.Report(report.batch, report.envelope, ended)], lease=False
    )

    assert [span.problem for span in traced.traces.spans] == ["", "", "exception", ""]


async def test_a_trace_that_is_not_recorded_has_no_spans(traced: TracedApi) -> None:
    """Its name travels on, so that the function's own spans are not recorded either."""
    slot = await traced.slot()

    await submit(traced, traced.request(1), UNSAMPLED)
    (lease,) = (await traced.work(slot)).leases
    await traced.work(slot, reports=[report_of(lease)], lease=False)

    assert lease.options.traceparent == UNSAMPLED
    assert traced.traces.spans == []


async def test_a_repeated_submit_gets_the_same_jids(traced: TracedApi) -> None:
    """The header may differ when a request is repeated."""
    request = traced.request(1)

    first = await submit(traced, request, TEXT)
    second = await submit(traced, request, UNSAMPLED)

    assert first == second


async def test_a_refused_submit_fails_its_span(traced: TracedApi) -> None:
    """With the code of the error."""
    traces = JobTraces(traced.server.context)

    async def refuse(_: wire.SubmitRequest) -> wire.Submitted:
        raise RequestRefused("No.")

    with pytest.raises(RequestRefused):
        await traces.submit(traced.request(1), TEXT, refuse)

    (span,) = traced.traces.spans
    assert span.problem == RequestRefused.code


async def test_a_server_without_traces_ignores_the_header(api: ApiHarness) -> None:
    """What is stored and leased does not change."""
    assert isinstance(api.server.context.traces, NoTraces)
    slot = await api.slot()

    await submit(api, api.request(1), TEXT)
    (lease,) = (await api.work(slot)).leases

    assert lease.options == wire.Options()
