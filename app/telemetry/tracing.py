"""Traces of what a server process does, for OpenTelemetry, if the environment asks for them (`OTEL_…`).

If it does not, every function here returns at once, and the SDK of OpenTelemetry is not imported. A span names a
procedure, a workspace, the id of a key or of a subscription. It never has an event, a payload, a token or the message
of an error.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextvars import Token
from typing import Literal

import structlog
from opentelemetry import context, trace
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

STOP_SECONDS = 5.0
"""How long a process that stops waits for the receiver of its last spans."""

KINDS = {"server": SpanKind.SERVER, "internal": SpanKind.INTERNAL, "client": SpanKind.CLIENT}

Attributes = Mapping[str, str | int | bool]

logger = structlog.get_logger("synap.tracing")

_propagator = TraceContextTextMapPropagator()


class OpenSpan:
    """A span that has begun, and the context that its end restores."""

    def __init__(self, span: trace.Span, token: Token[context.Context] | None) -> None:
        """`token` is what `context.attach` returned, if the span is the current one of its task."""
        self._span = span
        self._token = token

    def end(self, attributes: Attributes, *, failed: bool, callers: Sequence[SpanContext | None] = ()) -> None:
        """End the span, and link it to `callers` that came after its begin.

        It has `failed` if the server is at fault, or the receiver that it called.
        """
        self._span.set_attributes(attributes)
        for caller in callers:
            if caller is not None:
                self._span.add_link(caller)
        if failed:
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()
        if self._token is not None:
            context.detach(self._token)

    def traceparent(self) -> str:
        """The header that tells a receiver which span calls it (W3C Trace Context)."""
        carrier: dict[str, str] = {}
        _propagator.inject(carrier, trace.set_span_in_context(self._span))
        return carrier["traceparent"]


class _Process:
    """The tracer of this process."""

    tracer: trace.Tracer | None = None
    close: Callable[[float], None] | None = None


def start(environment: Mapping[str, str] = os.environ) -> None:
    """Begin, if the environment asks for it (OpenTelemetry, "Environment Variable Specification").

    The receiver is `OTEL_EXPORTER_OTLP_ENDPOINT` or `…_TRACES_ENDPOINT`, or the default one with
    `OTEL_TRACES_EXPORTER=otlp`. The only protocol is HTTP. If the packages are missing or refuse a setting, there is
    one line in the log, and no trace.
    """
    if _Process.tracer is not None or not _is_wanted(environment):
        return
    try:
        from app.telemetry import otel  # noqa: PLC0415 - an optional extra, and slow to import

        _Process.tracer, _Process.close = otel.start()
    except ImportError:
        logger.warning("no traces: OTEL_… is set, and the packages are missing; install synap-events[otel]")
    except ValueError as error:  # the library reads some settings when it is imported
        logger.warning("no traces: OpenTelemetry rejects a setting", reason=str(error))


def stop() -> None:
    """End. Blocks for some seconds if the receiver is slow."""
    close, _Process.tracer, _Process.close = _Process.close, None, None
    if close is not None:
        close(STOP_SECONDS)


def is_on() -> bool:
    """Whether traces are on."""
    return _Process.tracer is not None


def begin(
    name: str,
    kind: Literal["server", "internal", "client"],
    attributes: Attributes,
    *,
    traceparent: str | None = None,
    callers: Sequence[SpanContext | None] = (),
) -> OpenSpan | None:
    """Begin a span, which the caller has to end. None if nothing is traced.

    Its parent is the one that `traceparent` names, or else the first of `callers`, which `current` returned. It is
    linked to all of them. A span of the kind `server` is `current` in its task until its end.
    """
    if (tracer := _Process.tracer) is None:
        return None
    known = [caller for caller in callers if caller is not None]
    if traceparent is not None:
        parent = _propagator.extract({"traceparent": traceparent}, context.Context())
    elif known:
        parent = trace.set_span_in_context(trace.NonRecordingSpan(known[0]), context.Context())
    else:
        parent = context.Context()  # a trace of its own, whatever task this is
    links = [Link(each) for each in known]
    span = tracer.start_span(name, parent, KINDS[kind], attributes, links, record_exception=False)
    return OpenSpan(span, context.attach(trace.set_span_in_context(span)) if kind == "server" else None)


def current() -> SpanContext | None:
    """The span that the running task is in, for `callers` of another span. None if there is none."""
    if _Process.tracer is None:
        return None
    found = trace.get_current_span().get_span_context()
    return found if found.is_valid else None


def _is_wanted(environment: Mapping[str, str]) -> bool:
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if exporter not in {"", "otlp"}:
        if exporter != "none":
            logger.warning("no traces: OTEL_TRACES_EXPORTER must be otlp")
        return False
    if not exporter and not any(environment.get(name, "").strip() for name in ENDPOINTS):
        return False
    for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if protocol := environment.get(name, "").strip():
            if protocol != "http/protobuf":
                logger.warning("no traces: the protocol must be http/protobuf", setting=name)
                return False
            break
    return True
