"""Traces: a job that is part of one runs below the span that the server sends for it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from picloud_model.wire.trace import TraceParent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from picloud_model.wire import Lease, LeasedJob


@contextlib.contextmanager
def traced(lease: Lease, job: LeasedJob) -> Iterator[Mapping[str, str]]:
    """Make the span of a job the current one, if OpenTelemetry is installed here.

    Nothing is sent: spans that the function makes below it go where its code sends them.

    Yields:
        The environment variables by which programs, and calls of the job itself, join the trace.
    """
    parent = TraceParent.parse(lease.options.traceparent)
    if parent is None:
        yield {}
        return
    span = parent.of_job(lease.batch, job.index, job.attempt)
    with _current(span):
        yield {"TRACEPARENT": str(span), "PICLOUD_TRACING": "1"}


@contextlib.contextmanager
def _current(span: TraceParent) -> Iterator[None]:
    try:
        from opentelemetry import context, trace  # noqa: PLC0415 - an extra package, if traced
    except ImportError:
        yield
        return
    here = trace.SpanContext(
        int(span.trace_id, 16),
        int(span.span_id, 16),
        is_remote=True,
        trace_flags=trace.TraceFlags(span.flags),
    )
    token = context.attach(trace.set_span_in_context(trace.NonRecordingSpan(here)))
    try:
        yield
    finally:
        context.detach(token)
