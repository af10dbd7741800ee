"""`/metrics`: what the server counts, for Prometheus, as text or as OpenMetrics by `Accept`.

A scrape of any process returns the numbers of every process of the machine that shares its data directory. Series
counted by a process have its number as the label `process`, so that no sum shrinks when a process restarts. Series from
the database have no such label; every machine returns the same.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv6Address, ip_address
from typing import Annotated, Any

import psutil
from litestar import Response, Router, get
from litestar.di import Provide
from msgspec import Meta, Struct
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from app.access.authenticator import Authenticator
from app.store.install.totals import Standing, Totals
from app.surfaces.shared.accept import chosen
from app.surfaces.shared.operation import Probe
from app.surfaces.shared.requests import bearer_token, header_map, is_loopback, refuse_malformed
from app.surfaces.shared.rest import Caller, refusal
from app.telemetry.metrics import INSTRUMENTS, Board, Counter, Gauge, Histogram, Snapshot, cumulative
from schemas.errors import ProcedureError
from schemas.principal import Scope, lacking

OPENMETRICS = "application/openmetrics-text"

PROXIED = (b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip")
"""Headers that show that a proxy has passed on the request. Their contents are not trusted: the caller may be
anywhere."""

PLAIN = "text/plain"

Exposition = Annotated[str, Meta(examples=["# TYPE synap_calls_total counter"])]


class MetricsDoor(Struct, frozen=True, kw_only=True):
    """The parts that an answer needs."""

    board: Board
    totals: Totals
    authenticator: Authenticator
    version: str

    async def admit(self, request: Caller) -> None:
        """Accept callers on this machine, and keys with the scope `audit:read`.

        Raises InvalidInput, Unauthorized, Forbidden, Unavailable.
        """
        headers = header_map(request.scope)
        refuse_malformed(request.scope, headers)
        token = bearer_token(headers)
        if token is None and _is_near(request, headers):
            return
        principal = await self.authenticator.principal(token)
        if not principal.allows(Scope.AUDIT_READ):
            raise lacking(Scope.AUDIT_READ)


@get("/metrics", operation=Probe({200: Exposition}, (PLAIN, OPENMETRICS), Scope.AUDIT_READ))
async def metrics(request: Caller, door: MetricsDoor) -> Response[bytes]:
    """Return what the server counts, for Prometheus.

    The format is OpenMetrics if `Accept` prefers it. Callers on the server's own machine need no key.
    """
    await door.admit(request)
    known = await door.totals.standing_in_time()
    snapshots = await door.board.all()
    wants_open = chosen(header_map(request.scope), (PLAIN, OPENMETRICS)) == OPENMETRICS
    write = openmetrics.generate_latest if wants_open else generate_latest
    registry = CollectorRegistry()
    registry.register(_Told(snapshots, known, door.version))
    return Response(
        await asyncio.to_thread(write, registry),
        headers={"content-type": openmetrics.CONTENT_TYPE_LATEST if wants_open else CONTENT_TYPE_PLAIN_0_0_4},
    )


def metrics_router(door: MetricsDoor) -> Router:
    """The route."""
    return Router(
        "/",
        route_handlers=[metrics],
        opt={"door": "service"},
        dependencies={"door": Provide(lambda: door, sync_to_thread=False)},
        exception_handlers={ProcedureError: refusal},
    )


def _is_near(request: Caller, headers: Mapping[bytes, bytes]) -> bool:
    """Whether the caller is on this machine, and is not a proxy for somebody elsewhere.

    A web page can point a name of its own at this machine's address (DNS rebinding), but then `Host` has that name.
    """
    client = request.scope["client"]
    if client is None or any(name in headers for name in PROXIED):
        return False
    if not is_loopback(headers.get(b"host", b"").decode("latin-1")):
        return False
    address = ip_address(client[0])
    return ((isinstance(address, IPv6Address) and address.ipv4_mapped) or address).is_loopback


class _Told(Collector):
    """Shows the numbers as metrics of the Prometheus library."""

    def __init__(self, snapshots: Sequence[Snapshot], known: Standing | None, version: str) -> None:
        self._snapshots = snapshots
        self._known = known
        self._version = version

    def collect(self) -> Iterator[Metric]:
        for instrument in INSTRUMENTS:
            yield self._counted(instrument)
        yield from self._processes()
        yield InfoMetricFamily("synap_build", "What runs.", {"version": self._version})
        yield GaugeMetricFamily("synap_database_up", "Whether the database answers.", int(self._known is not None))
        if self._known is not None:
            yield from _standing(self._known)

    def _counted(self, instrument: Counter | Histogram) -> Metric:
        labels = ["process", *instrument.labels]
        if isinstance(instrument, Histogram):
            distribution = HistogramMetricFamily(instrument.name, instrument.help, labels=labels)
            for place, counts in self._values(instrument):
                distribution.add_metric(place, *cumulative(instrument, counts))
            return distribution
        kind = GaugeMetricFamily if isinstance(instrument, Gauge) else CounterMetricFamily
        family = kind(instrument.name, instrument.help, labels=labels)
        for place, value in self._values(instrument):
            family.add_metric(place, value)
        return family

    def _values(self, instrument: Counter | Histogram) -> Iterator[tuple[list[str], Any]]:
        """The labels of each series of every process, with its number or its counts."""
        for snapshot in self._snapshots:
            for own, value in snapshot.values.get(instrument.name, []):
                yield [str(snapshot.number), *own], value

    def _processes(self) -> Iterator[Metric]:
        """The system's numbers of each process, under Prometheus's own names."""
        label = ["process"]
        cpu = CounterMetricFamily("process_cpu_seconds", "Processor time, of user and system.", labels=label)
        memory = GaugeMetricFamily("process_resident_memory_bytes", "Resident memory.", labels=label)
        files = GaugeMetricFamily("process_open_fds", "Open files and connections.", labels=label)
        started = GaugeMetricFamily("process_start_time_seconds", "Start, in seconds since 1970.", labels=label)
        age = GaugeMetricFamily(
            "synap_snapshot_age_seconds", "How old the numbers of a process are; large if it hangs.", labels=label
        )
        for snapshot in self._snapshots:
            own = [str(snapshot.number)]
            age.add_metric(own, max(time.time() - snapshot.at, 0.0))
            try:
                process = psutil.Process(snapshot.pid)
                with process.oneshot():
                    times = process.cpu_times()
                    cpu.add_metric(own, times.user + times.system)
                    memory.add_metric(own, process.memory_info().rss)
                    files.add_metric(own, process.num_fds())
                    started.add_metric(own, process.create_time())
            except psutil.Error:
                continue  # the process has ended meanwhile, or runs in another container
        yield from (cpu, memory, files, started, age)


def _standing(known: Standing) -> Iterator[Metric]:
    """The numbers that the database knows."""
    nodes = GaugeMetricFamily("synap_node_up", "Whether a node of a distributed database answers.", labels=["node"])
    for node, is_up in known.nodes.items():
        nodes.add_metric([node], int(is_up))
    yield nodes
    yield GaugeMetricFamily("synap_workspaces", "Workspaces.", known.workspaces)
    yield GaugeMetricFamily("synap_events", "Events in all logs.", known.events)
    states = GaugeMetricFamily("synap_subscriptions", "Webhook subscriptions.", labels=["state"])
    for state in ("active", "paused", "disabled"):
        states.add_metric([state], known.subscriptions.get(state, 0))
    yield states
    yield GaugeMetricFamily("synap_deliveries_pending", "Deliveries that have not ended.", known.pending)
    yield GaugeMetricFamily(
        "synap_delivery_overdue_seconds", "For how long the oldest delivery has been due.", known.overdue_seconds
    )
    yield GaugeMetricFamily("synap_intents_waiting", "Intents that nobody has decided.", known.waiting)
    yield GaugeMetricFamily(
        "synap_intents_oldest_seconds", "For how long the oldest of them has waited.", known.oldest_seconds
    )
    yield GaugeMetricFamily(
        "synap_subscription_lag_events", "Events that the furthest subscription is behind its log.", known.behind
    )
    yield GaugeMetricFamily("synap_database_size_bytes", "Size of the database.", known.database_bytes)
    yield GaugeMetricFamily(
        "synap_database_server_connections", "Connections of the database server, of all clients.", known.connections
    )
    yield GaugeMetricFamily(
        "synap_database_server_max_connections", "Connections that the database server allows.", known.max_connections
    )
    yield GaugeMetricFamily(
        "synap_clock_skew_seconds",
        "By how much this machine's clock is ahead of the database's. Beyond 60 either way, appends are refused.",
        known.clock_skew_seconds,
    )
    tables = GaugeMetricFamily("synap_table_size_bytes", "Size of a table, without indexes.", labels=["table"])
    indexes = GaugeMetricFamily("synap_index_size_bytes", "Size of an index.", labels=["table", "index"])
    for each in known.sizes:
        if each.index:
            indexes.add_metric([each.table, each.index], each.bytes)
        else:
            tables.add_metric([each.table], each.bytes)
    yield from (tables, indexes)
