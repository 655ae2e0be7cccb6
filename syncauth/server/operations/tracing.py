"""
Traces by OpenTelemetry, where its API is installed; the one door to `opentelemetry`.

A span for each request, and one for each batch that is judged. Who starts the process decides whether spans go
anywhere: without an SDK nothing is recorded. This module must never put a path, a header, a text or a value of a row
into a span.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Protocol

try:
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError:  # the extra `otel` is not installed
    trace = None  # type: ignore[assignment]

SCOPE: Final = "syncauth.server"


class Span(Protocol):
    """What is noted about one piece of work while it goes on."""

    def note(self, attributes: Mapping[str, str | int]) -> None:
        """Add attributes."""
        ...

    def rename(self, name: str) -> None:
        """Name it anew, when more is known."""
        ...

    def fail(self, why: str) -> None:
        """Mark it as failed; `why` is a kind or a code, never a text of others."""
        ...


class Tracing(Protocol):
    """Opens spans."""

    def parent(self, headers: Mapping[str, str]) -> Any:
        """Read `traceparent` and `tracestate` (W3C Trace Context); None if there is no valid one."""
        ...

    def span(
        self, name: str, parent: Any, attributes: Mapping[str, str | int], *, served: bool = False
    ) -> contextlib.AbstractContextManager[Span]:
        """Open a span below `parent`, or a trace of its own; `served` marks an answer to a caller."""
        ...


class NoSpan:
    """Takes everything and keeps nothing."""

    def note(self, attributes: Mapping[str, str | int]) -> None:
        """Do nothing."""

    def rename(self, name: str) -> None:
        """Do nothing."""

    def fail(self, why: str) -> None:
        """Do nothing."""


NO_SPAN: Final = contextlib.nullcontext(NoSpan())


class NoTracing:
    """Traces nothing."""

    def parent(self, headers: Mapping[str, str]) -> Any:
        """Return None: nothing hangs together."""

    def span(
        self,
        name: str,  # noqa: ARG002 - as the protocol has it
        parent: Any,  # noqa: ARG002 - as above
        attributes: Mapping[str, str | int],  # noqa: ARG002 - as above
        *,
        served: bool = False,  # noqa: ARG002 - as above
    ) -> contextlib.AbstractContextManager[Span]:
        """Open a span that keeps nothing."""
        return NO_SPAN


class _OtelSpan:
    def __init__(self, span: Any) -> None:
        self._span = span

    def note(self, attributes: Mapping[str, str | int]) -> None:
        self._span.set_attributes(attributes)

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def fail(self, why: str) -> None:
        self._span.set_attribute("error.type", why)
        self._span.set_status(trace.StatusCode.ERROR)


class OtelTracing:
    """Traces through the API; its provider is the process's, or the one that is given."""

    def __init__(self, provider: Any = None) -> None:
        """Take the tracer of this server from the provider."""
        self._tracer = trace.get_tracer(SCOPE, tracer_provider=provider)
        self._propagator = TraceContextTextMapPropagator()

    def parent(self, headers: Mapping[str, str]) -> Any:
        """Read the caller's context; one that is not valid counts as none."""
        if "traceparent" not in headers:
            return None
        context = self._propagator.extract(headers)
        return context if trace.get_current_span(context).get_span_context().is_valid else None

    @contextlib.contextmanager
    def span(
        self, name: str, parent: Any, attributes: Mapping[str, str | int], *, served: bool = False
    ) -> Iterator[Span]:
        """Open a span; an exception marks it by its kind, because its text may hold anything."""
        kind = trace.SpanKind.SERVER if served else trace.SpanKind.INTERNAL
        with self._tracer.start_as_current_span(
            name,
            context=parent,
            kind=kind,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as opened:
            span = _OtelSpan(opened)
            try:
                yield span
            except BaseException as error:
                span.fail(type(error).__name__)
                raise


def open_tracing(make: Callable[[], Tracing] = OtelTracing) -> Tracing:
    """Return what traces: nothing, unless the API is installed."""
    return NoTracing() if trace is None else make()
