"""The SDK of OpenTelemetry, set up for one process. Imported only if traces are asked for: it is an optional extra."""

import logging
import threading
from collections.abc import Callable
from importlib.metadata import version

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

UNNAMED = "unknown_service"
"""The beginning of a service's name that the environment does not set."""


def _without_arguments(record: logging.LogRecord) -> bool:
    """Let a record pass without the values that it quotes."""
    record.args = tuple("..." for _ in record.args or ())
    return True


# It quotes headers of `OTEL_EXPORTER_OTLP_HEADERS` that it does not understand, which may contain a token.
logging.getLogger("opentelemetry.util.re").addFilter(_without_arguments)


def start() -> tuple[trace.Tracer, Callable[[float], None]]:
    """A tracer, and the function that sends what is left, for so many seconds at most.

    The environment sets the receiver, the sampler, the resource and the batches.
    """
    resource = Resource.create()
    if str(resource.attributes[SERVICE_NAME]).startswith(UNNAMED):
        resource = resource.merge(Resource({SERVICE_NAME: "synap-events"}))
    resource = resource.merge(Resource({"service.version": version("synap-events")}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))

    def close(seconds: float) -> None:
        # In a thread that nothing waits for later, because a receiver may hang.
        stopping = threading.Thread(target=provider.shutdown, daemon=True)
        stopping.start()
        stopping.join(seconds)

    return provider.get_tracer("synap", version("synap-events")), close
