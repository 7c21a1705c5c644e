"""A trace through all processes: client, API, child, and a call of the job itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.simulator_script import start_script

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
import os, threading, gzip
from http.server import BaseHTTPRequestHandler, HTTPServer
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
import cloud

posted = {}
complete = threading.Event()

class Collector(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        for of_service in ExportTraceServiceRequest.FromString(body).resource_spans:
            for span in of_service.scope_spans[0].spans:
                posted[span.span_id.hex()] = span
        if len(posted) == 8:
            complete.set()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass

collector = HTTPServer(("127.0.0.1", 0), Collector)
threading.Thread(target=collector.serve_forever, daemon=True).start()
os.environ["PICLOUD_TRACES_URL"] = f"http://127.0.0.1:{collector.server_port}/v1/traces"
os.environ["OTEL_BSP_SCHEDULE_DELAY"] = "50"
trace.set_tracer_provider(TracerProvider())
cloud.config.tracing = True
cloud.start_simulator()

def ids():
    from opentelemetry import trace
    span = trace.get_current_span().get_span_context()
    return f"{span.trace_id:032x}", f"{span.span_id:016x}"

def outer():
    return ids(), cloud.result(cloud.call(ids))

with trace.get_tracer("program").start_as_current_span("program"):
    trace_id = ids()[0]
    (one, span), (other, inner) = cloud.result(cloud.call(outer))
assert complete.wait(30), posted.keys()
names = sorted(each.name for each in posted.values())
print(names == ["report", "report", "run", "run", "submit", "submit", "wait", "wait"], names)
print({one, other, *(each.trace_id.hex() for each in posted.values())} == {trace_id})
print(posted[span].name, posted[inner].name, posted[inner].parent_span_id.hex() == span)
cloud.config.tracing = False
print(cloud.result(cloud.call(lambda: os.environ.get("TRACEPARENT"))))
"""


def test_the_spans_of_a_call_join(tmp_path: Path) -> None:
    """Those of the client, the API and the function are one trace; the next call is in none."""
    script = start_script(tmp_path, SCRIPT)

    out, err = script.communicate(timeout=100)

    assert err == ""
    first, *others = out.splitlines()
    assert first.startswith("True"), first
    assert others == ["True", "run run True", "None"]
