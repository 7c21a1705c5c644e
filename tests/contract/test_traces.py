"""What each trace port promises, over real sockets."""

from __future__ import annotations

import asyncio
import gc
import gzip
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from picloud_driver.trace import NoTraces, TraceSpan
from picloud_driver.trace.otlp import OtlpTraces

if TYPE_CHECKING:
    from collections.abc import Iterator

SPAN = TraceSpan(
    name="run",
    trace_id="0af7651916cd43dd8448eb211c80319c",
    span_id="b7ad6b7169203331",
    parent_id="00f067aa0ba902b7",
    kind="consumer",
    started_at=1.5,
    ended_at=2.25,
    attributes={"picloud.jid": 7, "picloud.function": "f"},
    problem="exception",
)


class Collector(HTTPServer):
    """Keeps the spans that are posted."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[Any] = []

    @property
    def url(self) -> str:
        """Where spans are posted to."""
        return f"http://127.0.0.1:{self.server_port}/v1/traces"


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.requests.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Let go of all processors of spans.

    As long as one lives, each forked process starts a thread before anything else, so that it
    cannot enter namespaces, which other tests do.
    """
    before = {*threading.enumerate()}
    yield
    for thread in {*threading.enumerate()} - before:
        thread.join(30)  # one posts to a collector that is away
    gc.collect()


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector that takes everything."""
    with Collector() as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


async def test_spans_are_posted_at_the_end_at_the_latest(collector: Collector) -> None:
    """With their ids, times, attributes and problem, as spans of this service."""
    traces = OtlpTraces(collector.url, "1.2")

    traces.emit([SPAN])
    await traces.close()

    (request,) = collector.requests
    (of_service,) = request.resource_spans
    named = {each.key: each.value.string_value for each in of_service.resource.attributes}
    assert named == {"service.name": "picloud", "service.version": "1.2"}
    (span,) = of_service.scope_spans[0].spans
    assert (span.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()) == (
        *("run", SPAN.trace_id, SPAN.span_id, SPAN.parent_id),
    )
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (1_500_000_000, 2_250_000_000)
    assert {each.key for each in span.attributes} == {"picloud.jid", "picloud.function"}
    assert span.status.message == "exception"


async def test_a_collector_that_is_away_costs_spans_only() -> None:
    """Nothing waits for it but the end of the server, for some seconds at most."""
    with Collector() as closed:
        url = closed.url
    traces = OtlpTraces(url, "1.2")

    async with asyncio.timeout(30):
        traces.emit([SPAN] * 10_000)
        await traces.close()


async def test_no_traces_drop_spans() -> None:
    """Without a thread, and without a package for it."""
    traces = NoTraces()

    traces.emit([SPAN])
    await traces.close()

    assert not traces.is_on


def test_the_port_alone_imports_nothing_of_opentelemetry() -> None:
    """A server that sends no spans does without its memory."""
    code = (
        "import sys, picloud_api.wiring, picloud_api.app;"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )

    subprocess.run([sys.executable, "-c", code], check=True)
