"""Tracing: the spans of calls and results, with the tracer that the program has configured."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, Protocol, Self, TypeVar

from cloud._config.settings import read_variables
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cloud._config.configuration import Config

_SWITCH: Final = "PICLOUD_TRACING"
_PARENT: Final = "TRACEPARENT"


class Configured(Protocol):
    """What has the settings of a client."""

    _config: Config


Owner = TypeVar("Owner", bound=Configured)
Given = ParamSpec("Given")
Value = TypeVar("Value")


def is_on(config: Config) -> bool:
    """Return whether calls are traced: as the setting says, or else the environment."""
    if config.tracing is None:
        return read_variables((_SWITCH,)).get(_SWITCH, "") not in ("", "0")
    return config.tracing


def headers(config: Config) -> Mapping[str, str]:
    """Return the headers that name the current span; none if calls are not traced.

    In a job without OpenTelemetry that is the span of the job.
    """
    if not is_on(config):
        return {}
    try:
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415 - if traced
            TraceContextTextMapPropagator,
        )
    except ImportError:
        given = read_variables((_PARENT,))
        return {"traceparent": given[_PARENT]} if given else {}
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return {name: carrier[name] for name in carrier if name == "traceparent"}


def traced(
    name: str,
) -> Callable[
    [Callable[Concatenate[Owner, Given], Value]], Callable[Concatenate[Owner, Given], Value]
]:
    """Return a decorator of methods that run within a span of this name, if calls are traced."""

    def decorate(
        method: Callable[Concatenate[Owner, Given], Value],
    ) -> Callable[Concatenate[Owner, Given], Value]:
        @wraps(method)
        def within(self: Owner, /, *args: Given.args, **kwargs: Given.kwargs) -> Value:
            if not is_on(self._config):
                return method(self, *args, **kwargs)
            with _span(self._config, name) as span:
                value = method(self, *args, **kwargs)
                span.set_attributes(_attributes(value))
                return value

        return within

    return decorate


def _span(config: Config, name: str) -> Any:
    try:
        from opentelemetry import trace  # noqa: PLC0415 - an extra package, if traced
    except ImportError:
        if not config.tracing:
            return _NoSpan()  # of a job, whose slot has no such package
        raise CloudException(
            "cloud.config.tracing needs OpenTelemetry: pip install 'picloud[otel]'."
        ) from None
    return trace.get_tracer("picloud").start_as_current_span(name)


class _NoSpan:
    """Stands for a span where OpenTelemetry is not installed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def set_attributes(self, attributes: Mapping[str, int]) -> None:
        """Do nothing."""


def _attributes(value: object) -> dict[str, int]:
    """Return what a span says of the jids that a call or a map returned."""
    if isinstance(value, int):
        return {"picloud.jid": value, "picloud.jobs": 1}
    if isinstance(value, range) and value:
        return {"picloud.jid": value.start, "picloud.jobs": len(value)}
    return {}
