"""OpenTelemetry, as `app/telemetry/tracing.py` uses it. Imported only where traces are asked for: an optional extra."""

import logging
import threading
from collections.abc import Sequence
from contextvars import Token
from importlib.metadata import version

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.telemetry.spans import Attributes, Kind

KINDS = {"server": SpanKind.SERVER, "internal": SpanKind.INTERNAL, "client": SpanKind.CLIENT}

UNNAMED = "unknown_service"
"""How the name of a service begins that the environment does not name."""

_propagator = TraceContextTextMapPropagator()


def _without_arguments(record: logging.LogRecord) -> bool:
    """Let a record pass, less what it quotes."""
    record.args = tuple("..." for _ in record.args or ())
    return True


# It quotes a header of `OTEL_EXPORTER_OTLP_HEADERS` that it does not understand, which may be a token.
logging.getLogger("opentelemetry.util.re").addFilter(_without_arguments)


class OpenTelemetry:
    """Traces of one process. The receiver, the sampler, the resource and the batches are set by the environment."""

    def __init__(self) -> None:
        resource = Resource.create()
        if str(resource.attributes[SERVICE_NAME]).startswith(UNNAMED):
            resource = resource.merge(Resource({SERVICE_NAME: "synap-events"}))
        resource = resource.merge(Resource({"service.version": version("synap-events")}))
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("synap", version("synap-events"))

    def begin(
        self,
        name: str,
        kind: Kind,
        attributes: Attributes,
        traceparent: str | None,
        callers: Sequence[SpanContext | None],
    ) -> "OpenSpan":
        """See `tracing.begin`."""
        known = [caller for caller in callers if caller is not None]
        if traceparent is not None:
            parent = _propagator.extract({"traceparent": traceparent}, otel_context.Context())
        elif known:
            parent = trace.set_span_in_context(trace.NonRecordingSpan(known[0]), otel_context.Context())
        else:
            parent = otel_context.Context()  # a trace of its own, whatever task this is
        span = self._tracer.start_span(
            name, parent, KINDS[kind], attributes, [Link(each) for each in known], record_exception=False
        )
        token = otel_context.attach(trace.set_span_in_context(span)) if kind == "server" else None
        return OpenSpan(span, token)

    def current(self) -> SpanContext | None:
        """See `tracing.current`."""
        found = trace.get_current_span().get_span_context()
        return found if found.is_valid else None

    def stop(self, seconds: float) -> None:
        """Send what is left. In a thread that nothing waits for later: a receiver may hang."""
        stopping = threading.Thread(target=self._provider.shutdown, daemon=True)
        stopping.start()
        stopping.join(seconds)


class OpenSpan:
    """A span, and what has to be undone at its end."""

    def __init__(self, span: trace.Span, token: Token[otel_context.Context] | None) -> None:
        self._span = span
        self._token = token

    def end(self, attributes: Attributes, *, failed: bool) -> None:
        """See `tracing.Span`."""
        self._span.set_attributes(attributes)
        if failed:
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()
        if self._token is not None:
            otel_context.detach(self._token)

    def traceparent(self) -> str:
        """See `tracing.Span`."""
        carrier: dict[str, str] = {}
        _propagator.inject(carrier, trace.set_span_in_context(self._span))
        return carrier["traceparent"]
