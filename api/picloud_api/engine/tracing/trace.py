"""Traces: the spans of a submit, and of the jobs that it made, below the span of the client.

A batch keeps the `traceparent` of its submit in its options, so each lease has it. All spans are
made here, of times that are known anyway: a slot sends nothing for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace
from picloud_driver.trace import TraceSpan
from picloud_model.errors import PiCloudError
from picloud_model.job import Cause, State
from picloud_model.wire.trace import TraceParent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from picloud_model.wire import JobReport, SubmitRequest, Submitted

    from picloud_api.engine.process.context import Context
    from picloud_api.store.records import Header

MOST_JOBS: Final = 100
"""Jobs of one report that have spans: those of a job take 40 us, in which nothing else happens."""


class JobTraces:
    """Sends the spans of submits and of the jobs that slots report."""

    def __init__(self, context: Context) -> None:
        self._port = context.traces
        self._clock = context.clock

    async def submit(
        self,
        request: SubmitRequest,
        traceparent: str | None,
        create: Callable[[SubmitRequest], Awaitable[Submitted]],
    ) -> Submitted:
        """Create a batch in the trace of its client; without traces, or a parent, in none.

        Args:
            request: The batch.
            traceparent: The header of the request.
            create: Creates the batch.
        """
        parent = TraceParent.parse(traceparent) if self._port.is_on else None
        if parent is None:
            return await create(request)
        options = replace(request.options, traceparent=str(parent))
        started_at, problem = self._clock(), "The server has failed."
        attributes: dict[str, str | int] = {"picloud.jobs": request.count}
        try:
            submitted = await create(replace(request, options=options))
            attributes["picloud.jid"] = submitted.first
            problem = ""
        except PiCloudError as error:
            problem = error.code
            raise
        finally:
            if parent.is_sampled:
                span = TraceSpan(
                    name="submit",
                    trace_id=parent.trace_id,
                    span_id=parent.child(f"submit {request.submit_id}").span_id,
                    parent_id=parent.span_id,
                    kind="server",
                    started_at=started_at,
                    ended_at=self._clock(),
                    attributes=attributes,
                    problem=problem,
                )
                self._port.emit([span])
        return submitted

    def ended(self, batch: str, header: Header, jobs: Sequence[JobReport], now: float) -> None:
        """Send the spans of jobs whose reports were stored at `now`: `wait`, `run` and `report`."""
        if header.options.traceparent is None or not self._port.is_on:
            return
        parent = TraceParent.parse(header.options.traceparent)
        if parent is not None and parent.is_sampled:
            for job in jobs[:MOST_JOBS]:
                self._port.emit(_phases(parent, batch, header, job, now))


def _phases(
    parent: TraceParent, batch: str, header: Header, job: JobReport, now: float
) -> list[TraceSpan]:
    run = parent.of_job(batch, job.index, job.attempt)
    state = State(job.state)
    started_at = job.started_at or job.finished_at
    phases = (
        ("wait", header.created_at, started_at),
        ("run", started_at, job.finished_at),
        ("report", job.finished_at, now),
    )
    attributes: dict[str, str | int] = {
        "picloud.jid": header.first + job.index,
        "picloud.attempt": job.attempt,
        "picloud.function": header.function_name,
        "picloud.status": state.name.lower(),
    }
    problem = "" if state is State.DONE else Cause(job.cause).name.lower()
    return [
        TraceSpan(
            name=name,
            trace_id=parent.trace_id,
            span_id=(run if name == "run" else run.child(name)).span_id,
            parent_id=parent.span_id,
            kind="consumer" if name == "run" else "internal",
            started_at=begin,
            ended_at=max(begin, end),  # the clocks of slots may differ from that of the server
            attributes=attributes,
            problem=problem if name == "run" else "",
        )
        for name, begin, end in phases
    ]
