"""Traces that are posted to an OpenTelemetry collector: OTLP over HTTP."""

from __future__ import annotations

import asyncio
from threading import Thread
from typing import TYPE_CHECKING, Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from picloud_driver.trace.port import TracePort

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_driver.trace.port import TraceSpan

POST_S: Final = 5.0
"""How long a post may take, with its repetitions."""
CLOSE_S: Final = 2.0
"""How long the end of the server waits for what is left to be posted."""
_KINDS: Final = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "consumer": SpanKind.CONSUMER,
}
_NS: Final = 1_000_000_000
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)


class OtlpTraces(TracePort):
    """Posts spans in portions, from a thread that the first span starts.

    Args:
        url: Where to.
        version: The version of the server.
    """

    adapter = "otlp"
    is_on = True

    def __init__(self, url: str, version: str) -> None:
        self._url = url
        self._version = version
        self._processor: BatchSpanProcessor | None = None

    def emit(self, spans: Sequence[TraceSpan]) -> None:
        """Add spans to the queue of the thread."""
        if self._processor is None:
            # Not earlier: a process that is forked from this one would have no such thread.
            exporter = OTLPSpanExporter(endpoint=self._url, timeout=POST_S)
            self._processor = BatchSpanProcessor(exporter)
        resource = Resource({"service.name": "picloud", "service.version": self._version})
        for span in spans:
            self._processor.on_end(_readable(span, resource))

    async def close(self) -> None:
        """Post what is in the queue, and end the thread."""
        processor, self._processor = self._processor, None
        if processor is not None:
            # It tries again for as long as a post may take, for each portion.
            ending = Thread(target=processor.shutdown, daemon=True)
            ending.start()
            await asyncio.to_thread(ending.join, CLOSE_S)


def _readable(span: TraceSpan, resource: Resource) -> ReadableSpan:
    return ReadableSpan(
        span.name,
        context=_context(span.trace_id, span.span_id),
        parent=_context(span.trace_id, span.parent_id),
        resource=resource,
        attributes=span.attributes,
        kind=_KINDS[span.kind],
        status=Status(StatusCode.ERROR, span.problem) if span.problem else Status(),
        start_time=round(span.started_at * _NS),
        end_time=round(span.ended_at * _NS),
    )


def _context(trace_id: str, span_id: str) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=_SAMPLED)
