"""Spans by OpenTelemetry, with the extra ``daena-mesh[otel]``: see docs/operations.md.

Imported where ``MESH_TRACES`` asks for it. An application that has set up OpenTelemetry itself keeps its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal

from daena_mesh import trace
from daena_mesh.errors import ConfigurationError
from daena_mesh.trace import Kind

try:
    from opentelemetry import trace as otel
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError as error:  # pragma: no cover - that of who has not installed it
    raise ConfigurationError("MESH_TRACES needs OpenTelemetry: pip install 'daena-mesh[otel]'") from error

_KINDS = {"server": otel.SpanKind.SERVER, "producer": otel.SpanKind.PRODUCER, "consumer": otel.SpanKind.CONSUMER}
_context = TraceContextTextMapPropagator()


class OpenTelemetry:
    """A `daena_mesh.trace.Tracer`."""

    def __init__(self) -> None:
        self._tracer = otel.get_tracer("daena_mesh")

    @contextlib.contextmanager
    def span(self, name: str, kind: Kind, parent: str, attributes: dict[str, str | int]) -> Iterator[str]:
        """See there; an exception marks the span as failed. A request that FastAPI has made a span for has that one."""
        if kind == "server" and otel.get_current_span().get_span_context().is_valid:
            yield _traceparent() or parent
            return
        above = _context.extract({trace.HEADER: parent}) if parent else None
        with self._tracer.start_as_current_span(name, above, _KINDS[kind], attributes):
            yield _traceparent() or parent


def _traceparent() -> str:
    carrier: dict[str, str] = {}
    _context.inject(carrier)
    return carrier.get(trace.HEADER, "")


def enable(to: Literal["otlp", "console"], service: str) -> None:
    """Make spans from now on, under the name ``service`` unless ``OTEL_SERVICE_NAME`` has another.

    ``otlp`` sends them to ``OTEL_EXPORTER_OTLP_ENDPOINT``, by default a collector on this machine; ``console`` writes
    them to standard output. Called again it changes nothing. Raises `ConfigurationError`.
    """
    if trace.is_on():
        return
    if not isinstance(otel.get_tracer_provider(), TracerProvider):
        provider = TracerProvider(resource=Resource.create({"service.name": service}))
        provider.add_span_processor(_processor(to))
        otel.set_tracer_provider(provider)
    trace.switch_on(OpenTelemetry())


def _processor(to: Literal["otlp", "console"]) -> SpanProcessor:
    if to == "console":
        return SimpleSpanProcessor(ConsoleSpanExporter())
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:  # pragma: no cover - as above
        raise ConfigurationError("MESH_TRACES=otlp needs its exporter: pip install 'daena-mesh[otel]'") from None
    return BatchSpanProcessor(OTLPSpanExporter())
