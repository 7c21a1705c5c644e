"""Spans of calls and results, and the header that names them."""

from __future__ import annotations

import gc
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from cloud._config.configuration import Config
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.unit.sdk.fake_server import FakeServer, client_for

if TYPE_CHECKING:
    from collections.abc import Iterator

EXPORTER = InMemorySpanExporter()


class Chosen(trace.TracerProvider):
    """What a program has configured, once for a process; it can be forgotten."""

    def __init__(self) -> None:
        self.provider: trace.TracerProvider = trace.NoOpTracerProvider()

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        """See `TracerProvider`."""
        return self.provider.get_tracer(*args, **kwargs)


@pytest.fixture(scope="module", autouse=True)
def provider() -> Iterator[None]:
    """What a program configures.

    As long as it lives, each forked process starts threads before anything else, so that it cannot
    enter namespaces, which other tests do.
    """
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(EXPORTER))
    chosen = Chosen()
    chosen.provider = provider
    trace.set_tracer_provider(chosen)
    yield
    provider.shutdown()
    chosen.provider = trace.NoOpTracerProvider()
    del provider
    gc.collect()


@pytest.fixture(autouse=True)
def exporter() -> Iterator[InMemorySpanExporter]:
    """What keeps the spans of a test."""
    yield EXPORTER
    EXPORTER.clear()


@pytest.fixture
def tracing() -> Config:
    """The settings of a client that traces."""
    config = Config()
    config.tracing = True
    return config


def test_a_call_is_a_span_that_its_request_names(
    server: FakeServer, tracing: Config, exporter: InMemorySpanExporter
) -> None:
    """With the jid; the request has the same bytes as without it."""
    client = client_for(server, tracing)

    jid = client.call(pow, 2, 10)

    (span,) = exporter.get_finished_spans()
    assert (span.name, span.attributes) == ("cloud.call", {"picloud.jid": jid, "picloud.jobs": 1})
    context = span.get_span_context()
    assert context is not None
    expected = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    assert server.sent[-1].headers["traceparent"] == expected
    assert b"traceparent" not in server.sent[-1].body


def test_a_map_is_a_span_below_that_of_the_program(
    server: FakeServer, tracing: Config, exporter: InMemorySpanExporter
) -> None:
    """One for all of its jobs."""
    with trace.get_tracer("test").start_as_current_span("program"):
        jids = client_for(server, tracing).map(len, ["a", "b", "c"])

    mapped, program = exporter.get_finished_spans()
    assert mapped.attributes == {"picloud.jid": jids[0], "picloud.jobs": 3}
    assert mapped.name == "cloud.map"
    assert mapped.parent == program.get_span_context()


def test_a_call_that_fails_fails_its_span(
    server: FakeServer, tracing: Config, exporter: InMemorySpanExporter
) -> None:
    """The error is the one that is raised without a span."""
    client = client_for(server, tracing)

    with pytest.raises(TypeError):
        client.call(pow, 1, 2, 3, 4)

    (span,) = exporter.get_finished_spans()
    assert not span.status.is_ok
    assert server.sent == []


@pytest.mark.parametrize("value", [None, False])
def test_a_client_that_does_not_trace_sends_and_makes_nothing(
    server: FakeServer, exporter: InMemorySpanExporter, *, value: bool | None
) -> None:
    """Also within a span of the program."""
    config = Config()
    config.tracing = value

    with trace.get_tracer("test").start_as_current_span("program"):
        client_for(server, config).call(pow, 2, 10)

    assert [span.name for span in exporter.get_finished_spans()] == ["program"]
    assert sorted(server.sent[-1].headers) == ["Accept", "Authorization", "Content-Type"]


def script(code: str, **environment: str) -> str:
    """Run a program with `client`, a client of a fake server; return what it prints."""
    head = (
        "import sys; from tests.unit.sdk.fake_server import FakeServer, client_for;"
        "from cloud._config.configuration import Config; from cloud import CloudException;"
        "server = FakeServer(); config = Config(); client = client_for(server, config)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", head + code], env=environment, stdout=subprocess.PIPE, check=True
    )
    return ended.stdout.decode().strip()


def test_a_client_that_does_not_trace_imports_nothing_for_it() -> None:
    """The package may not even be installed."""
    code = "client.call(pow, 2, 10); print('opentelemetry' in sys.modules)"

    assert script(code) == "False"


def test_the_environment_switches_it_on() -> None:
    """The setting of the program wins over it."""
    code = (
        "client.call(pow, 2, 10); print('opentelemetry' in sys.modules)\n"
        "config.tracing = False; client.call(pow, 2, 10); print(len(server.sent[-1].headers))"
    )

    assert script(code, PICLOUD_TRACING="1").splitlines() == ["True", "3"]


def test_without_the_package_the_setting_is_an_error() -> None:
    """It says what to install."""
    code = (
        "sys.modules['opentelemetry'] = None; config.tracing = True\n"
        "try: client.call(pow, 2, 10)\n"
        "except CloudException as error: print(error)"
    )

    assert "pip install 'picloud[otel]'" in script(code)


def test_in_a_job_without_the_package_its_calls_join_its_trace() -> None:
    """They are below the span of the job."""
    text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    code = (
        "sys.modules['opentelemetry'] = None\n"
        "client.call(pow, 2, 10); print(server.sent[-1].headers['traceparent'])"
    )

    assert script(code, PICLOUD_TRACING="1", TRACEPARENT=text) == text
