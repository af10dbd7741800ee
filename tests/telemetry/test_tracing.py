"""Traces of a real server, as a local receiver of OTLP gets them: their parents, and what they must not contain."""

import gzip
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from app.telemetry import tracing
from benchmarks.process import free_port
from tests.acceptance.processes import workers
from tests.delivery.receiver import receiving
from tests.kit import web
from tests.kit.command import start
from tests.kit.paths import ROOT
from tests.kit.servers import Server, environment, until

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
SECRET = "in-no-span"

SETTINGS = {"webhook_allow_http": "true", "webhook_allow_networks": "127.0.0.0/8"}


@dataclass
class Collector:
    """A receiver of OTLP over HTTP."""

    port: int = 0
    bodies: list[bytes] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)

    @property
    def requests(self) -> list[ExportTraceServiceRequest]:
        """The requests that it got."""
        return [ExportTraceServiceRequest.FromString(body) for body in list(self.bodies)]

    @property
    def spans(self) -> list[Span]:
        """All spans that it got."""
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def named(self, name: str) -> list[Span]:
        """The spans with this name."""
        return [span for span in self.spans if span.name == name]


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A running receiver."""
    made = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            made.bodies.append(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            made.paths.add(self.path)
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield made
    server.shutdown()


@contextmanager
def traced(data_dir: Path, database_url: str, **variables: str) -> Iterator[Server]:
    """Run a server with these variables besides its settings during the block."""
    data_dir.mkdir(parents=True)
    port = free_port()
    log = data_dir / "server.log"
    settings = environment(data_dir, port=port, database_url=database_url, **SETTINGS)
    with log.open("wb") as output, Path(os.devnull).open("rb") as nothing:
        process = start("serve", "--init", env=settings | variables, files=(nothing, output, output), new_session=True)
    server = Server(f"http://127.0.0.1:{port}", "", process, log)
    try:
        until(server.ready, seconds=120)
        yield Server(server.url, (data_dir / "control.token").read_text().strip(), process, log)
    finally:
        process.terminate()
        process.wait(timeout=90)


def attributes(span: Span) -> dict[str, Any]:
    """The attributes of a span."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


def log(server: Server, **headers: str) -> httpx.Response:
    """Log one event."""
    event = {"type": "trace.tried", "data": {"secret": SECRET}, "subjectId": SECRET, "correlationId": SECRET}
    return server.mutate("events.log", event, **headers)


def test_spans_have_the_right_parents(database_url: str, data_dir: Path, collector: Collector) -> None:
    endpoint = f"http://127.0.0.1:{collector.port}"
    with (
        receiving() as receiver,
        traced(
            data_dir,
            database_url,
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
            OTEL_SERVICE_NAME="events-of-ours",
            OTEL_BSP_SCHEDULE_DELAY="200",
        ) as server,
    ):
        hook = {"eventTypes": ["trace.*"], "webhookUrl": receiver.url(), "secret": SECRET * 3}
        assert server.mutate("subscriptions.create", hook).status_code == 200
        assert log(server, traceparent=f"00-{TRACE}-{PARENT}-01", **{"x-request-id": "req-7"}).status_code == 200
        assert log(server).status_code == 200
        refused = server.mutate("events.log", {"type": SECRET, "data": {}})
        assert refused.status_code == 400
        until(lambda: len(receiver.received) == 2)
        until(lambda: len(collector.named("deliver")) == 2 and len(collector.named("events.log")) == 3)

    [resource, *_] = [each.resource for request in collector.requests for each in request.resource_spans]
    said = {each.key: each.value.string_value for each in resource.attributes}
    assert said["service.name"] == "events-of-ours"
    assert collector.paths == {"/v1/traces"}
    calls = sorted(collector.named("events.log"), key=lambda span: span.start_time_unix_nano)
    first, second, third = calls
    assert (first.trace_id.hex(), first.parent_span_id.hex()) == (TRACE, PARENT)
    assert first.kind == Span.SPAN_KIND_SERVER
    assert attributes(first) == {
        "rpc.system.name": "synap",
        "rpc.method": "events.log",
        "synap.workspace": "default",
        "synap.key_id": "control",
        "synap.request_id": "req-7",
        "synap.code": "ok",
    }
    assert second.trace_id != first.trace_id
    assert not second.parent_span_id
    assert attributes(third)["synap.code"] == "invalid_input"
    assert all(span.status.code == Status.STATUS_CODE_UNSET for span in calls), "a caller's mistake is not our error"
    commits = {span.parent_span_id: span for span in collector.named("commit")}
    assert commits.keys() == {first.span_id, second.span_id}
    assert attributes(commits[first.span_id]) == {"synap.workspace": "default", "synap.events": 1}
    assert commits[first.span_id].trace_id == first.trace_id
    deliveries = {span.span_id.hex(): span for span in collector.named("deliver")}
    assert all(attributes(span)["http.response.status_code"] == 200 for span in deliveries.values())
    told = [request.headers["traceparent"].split("-") for request in receiver.received]
    assert {(trace, span) for _, trace, span, _ in told} == {
        (span.trace_id.hex(), span.span_id.hex()) for span in deliveries.values()
    }
    everything = b"".join(collector.bodies)
    assert b"events.log" in everything
    for secret in (SECRET, server.token, receiver.url()):
        assert secret.encode() not in everything


def test_a_commit_of_many_calls_is_linked_to_each(database_url: str, data_dir: Path, collector: Collector) -> None:
    with traced(
        data_dir,
        database_url,
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"http://127.0.0.1:{collector.port}/mine",
        OTEL_BSP_SCHEDULE_DELAY="60000",  # no span is sent before the server stops
    ) as server:
        batch = ",".join(["events.log"] * 30)
        inputs = {str(number): {"type": "trace.tried", "data": {}} for number in range(30)}
        headers = server.headers | {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        answer = web.post(f"{server.url}/trpc/{batch}?batch=1", json=inputs, headers=headers)
        assert answer.status_code == 200
        assert collector.bodies == []

    assert collector.paths == {"/mine"}
    calls = {span.span_id for span in collector.named("events.log")}
    commits = collector.named("commit")
    assert len(calls) == 30, "waiting spans are sent when the server stops"
    assert sum(attributes(span)["synap.events"] for span in commits) == 30
    links = [link.span_id for span in commits for link in span.links]
    assert len(links) == 30
    assert set(links) == calls
    assert max(len(span.links) for span in commits) > 1
    assert all(span.parent_span_id == span.links[0].span_id for span in commits)


def test_a_missing_receiver_delays_nobody(database_url: str, data_dir: Path) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    with traced(data_dir, database_url, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_BSP_SCHEDULE_DELAY="100") as server:
        with ThreadPoolExecutor(4) as pool:
            assert {answer.status_code for answer in pool.map(lambda _: log(server), range(40))} == {200}
        assert _exports(server)
        stopping = time.monotonic()

    assert time.monotonic() - stopping < tracing.STOP_SECONDS + 10
    assert SECRET not in server.log.read_text()


def test_without_the_variables_nothing_is_sent_nor_imported(
    database_url: str, data_dir: Path, collector: Collector
) -> None:
    with (
        receiving() as receiver,
        traced(
            data_dir, database_url, OTEL_TRACES_EXPORTER="none", OTEL_EXPORTER_OTLP_ENDPOINT=_url(collector)
        ) as server,
    ):
        hook = {"eventTypes": ["trace.*"], "webhookUrl": receiver.url(), "secret": SECRET * 3}
        assert server.mutate("subscriptions.create", hook).status_code == 200
        assert log(server, traceparent=f"00-{TRACE}-{PARENT}-01").status_code == 200
        until(lambda: receiver.received)
        assert "traceparent" not in receiver.received[0].headers
        assert not _exports(server)

    assert collector.bodies == []


@pytest.mark.parametrize(
    ("variables", "on", "said"),
    [
        ({}, False, ""),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True, ""),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"}, False, ""),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, False, ""),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, False, "OTEL_TRACES_EXPORTER must be otlp"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, True, ""),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1/v1/traces"}, True, ""),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            False,
            "protocol must be http/protobuf",
        ),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_BSP_MAX_QUEUE_SIZE": "100"}, False, "OpenTelemetry rejects a setting"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "few"}, False, "rejects a setting"),
    ],
    ids=str,
)
def test_the_standard_variables_decide(variables: dict[str, str], on: bool, said: str) -> None:  # noqa: FBT001
    ran = _python(
        "from app.telemetry import tracing; tracing.start(); print(tracing.is_on()); tracing.stop()", **variables
    )

    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, str(on)), ran.stderr
    assert said in ran.stdout


def test_a_header_that_is_not_understood_is_not_quoted() -> None:
    ran = _python(
        "from app.telemetry import tracing; tracing.start(); tracing.stop()",
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_HEADERS=f"authorization: Bearer {SECRET}",
    )

    assert "Header format invalid" in ran.stderr
    assert SECRET not in ran.stdout + ran.stderr


def test_missing_packages_are_one_line_in_the_log() -> None:
    hide = "import sys; sys.modules['opentelemetry.sdk'] = None; "
    ran = _python(
        hide + "from app.telemetry import tracing; tracing.start(); "
        "print(tracing.begin('x', 'server', {}), tracing.current())",
        OTEL_TRACES_EXPORTER="otlp",
    )

    assert ran.returncode == 0, ran.stderr
    [warning, answer] = ran.stdout.splitlines()
    assert "install synap-events[otel]" in warning
    assert answer == "None None"


def _python(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    root = ROOT
    return subprocess.run(
        [sys.executable, "-c", code], env=kept | variables, cwd=root, capture_output=True, text=True, check=False
    )


def _url(collector: Collector) -> str:
    return f"http://127.0.0.1:{collector.port}"


def _exports(server: Server) -> bool:
    """Whether a server process has loaded the exporter, which only the library of its protobuf shows."""
    return any("google/_upb" in Path(f"/proc/{pid}/maps").read_text() for pid in workers(server))
