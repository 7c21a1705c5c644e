"""Traces: what sends spans to a collector. The port, and one module per adapter."""

from picloud_driver.trace.off import NoTraces
from picloud_driver.trace.port import TracePort, TraceSpan

__all__ = ["NoTraces", "TracePort", "TraceSpan"]
