"""Traces of what a server process does, for OpenTelemetry, where the environment asks for them (`OTEL_…`).

Where it does not, every function here returns at once, and nothing of OpenTelemetry is imported. A span names a
procedure, a workspace, a key's id, a subscription's: never an event, a payload, a token or a message of an error.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from app.telemetry.spans import Attributes, Kind, Span, Tracer

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

STOP_SECONDS = 5.0
"""How long a process that stops waits for the receiver of its last spans."""

logger = structlog.get_logger("synap.tracing")


class _Process:
    """What this process traces with."""

    tracer: Tracer | None = None


def start(environment: Mapping[str, str] = os.environ) -> None:
    """Begin, where the environment asks for it (OpenTelemetry, "Environment Variable Specification").

    The receiver is `OTEL_EXPORTER_OTLP_ENDPOINT` or `…_TRACES_ENDPOINT`, or what `OTEL_TRACES_EXPORTER=otlp` means by
    default; by HTTP alone. Without the packages, or with a setting that they refuse, there is one line in the log, and
    no trace.
    """
    if _Process.tracer is not None or not _is_wanted(environment):
        return
    try:
        from app.telemetry.otel import OpenTelemetry  # noqa: PLC0415 - an optional extra, and slow to import

        _Process.tracer = OpenTelemetry()
    except ImportError:
        logger.warning("no traces: OTEL_… is set, and the packages are missing; install synap-events[otel]")
    except ValueError as error:  # the library reads some when it is imported
        logger.warning("no traces: OpenTelemetry refuses a setting", reason=str(error))


def stop() -> None:
    """End; blocks for some seconds where the receiver is slow."""
    tracer, _Process.tracer = _Process.tracer, None
    if tracer is not None:
        tracer.stop(STOP_SECONDS)


def is_on() -> bool:
    """Whether anything is traced."""
    return _Process.tracer is not None


def begin(
    name: str,
    kind: Kind,
    attributes: Attributes,
    *,
    traceparent: str | None = None,
    callers: Sequence[Any] = (),
) -> Span | None:
    """A span from now on, which has to be ended; None where nothing is traced.

    Its parent is what `traceparent` names, or the first of `callers` (as `current` answered them); it is linked to each
    of those. One of the kind `server` is `current` in its task until its end.
    """
    tracer = _Process.tracer
    return None if tracer is None else tracer.begin(name, kind, attributes, traceparent, callers)


def current() -> Any:
    """The span that the running task is in, as a caller of what it asks for; None where there is none."""
    tracer = _Process.tracer
    return None if tracer is None else tracer.current()


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
