"""A job in a trace: its span is the current one while its function runs."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from opentelemetry import trace
from picloud_model.pack import unseal
from picloud_model.wire.trace import TraceParent
from picloud_worker.child.runner import Runner

from tests.unit.worker.leases import HERE, leased

if TYPE_CHECKING:
    from picloud_model.wire import Lease

TEXT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def current() -> tuple[Any, ...]:
    """Return what a function sees of the trace."""
    span = trace.get_current_span().get_span_context()
    names = ("TRACEPARENT", "PICLOUD_TRACING")
    return (
        f"{span.trace_id:032x}",
        f"{span.span_id:016x}",
        *(os.environ.get(each) for each in names),
    )


def in_trace(lease: Lease, text: str = TEXT) -> Lease:
    """Return a lease whose jobs are part of a trace."""
    return replace(lease, options=replace(lease.options, traceparent=text))


def run(runner: Runner, lease: Lease) -> Any:
    """Run the first job of a lease, and return its result."""
    return pickle.loads(unseal(runner.run(lease, lease.jobs[0], {}, 8.0).payload))


def test_the_span_of_the_job_is_the_current_one() -> None:
    """For the function, and for programs that it starts; the next job is in no trace."""
    runner = Runner(HERE, lambda: 9.0, "")
    lease = leased(current)
    parent = TraceParent.parse(TEXT)
    assert parent is not None
    span = parent.of_job(lease.batch, 0, 1)

    within, after = run(runner, in_trace(lease)), run(runner, lease)

    assert within == (span.trace_id, span.span_id, str(span), "1")
    assert after == ("0" * 32, "0" * 16, None, None)


def test_what_names_no_span_puts_a_job_in_no_trace() -> None:
    """It runs as if it was not there."""
    assert run(Runner(HERE, lambda: 9.0, ""), in_trace(leased(current), "x"))[2:] == (None, None)


def test_without_opentelemetry_programs_join_by_the_environment() -> None:
    """The slot needs no package for it."""
    code = """
import sys
sys.modules["opentelemetry"] = None
from picloud_worker.trace import traced
from tests.unit.worker.leases import leased
from msgspec.structs import replace
lease = leased(len)
lease = replace(lease, options=replace(lease.options, traceparent=sys.argv[1]))
with traced(lease, lease.jobs[0]) as variables:
    print(sorted(variables))
"""

    ended = subprocess.run([sys.executable, "-c", code, TEXT], stdout=subprocess.PIPE, check=True)

    assert ended.stdout == b"['PICLOUD_TRACING', 'TRACEPARENT']\n"


def test_a_job_in_no_trace_imports_nothing_for_it() -> None:
    """The memory of each child counts."""
    code = (
        "import sys, picloud_worker.child.runner;"
        "assert not {'opentelemetry', 'picloud_worker.trace'} & {*sys.modules}"
    )

    subprocess.run([sys.executable, "-c", code], check=True)
