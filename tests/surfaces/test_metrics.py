"""The server's metrics over several processes, as the official parsers of Prometheus and OpenMetrics read them."""

import asyncio
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Sample
from psycopg import connect

from app.store.install.totals import ANSWER_SECONDS
from app.telemetry.metrics import Board, Histogram, cumulative
from benchmarks.process import free_port
from tests.acceptance.processes import Cluster, workers
from tests.delivery.receiver import Received, receiving, status
from tests.kit import web
from tests.kit.paths import ROOT
from tests.kit.servers import Server, cloned, serving, until
from tests.procedures.conftest import Keyed

OPENMETRICS = "application/openmetrics-text"

WEBHOOKS = {"webhook_allow_http": "true", "webhook_allow_networks": "127.0.0.0/8", "webhook_schedule": "0,3600"}


def scraped(server: Server, **headers: str) -> httpx.Response:
    """Scrape from this machine, without a key."""
    return web.get(f"{server.url}/metrics", headers=headers, timeout=30)


def samples(server: Server) -> list[Sample]:
    """All samples, as the official parser reads them."""
    answer = scraped(server)
    assert answer.status_code == 200, answer.text
    return [sample for family in parse_text(answer.text) for sample in family.samples]


def total(server: Server, name: str, **labels: str) -> float:
    """The sum of the samples with this name and these labels."""
    found = [each for each in samples(server) if each.name == name and labels.items() <= each.labels.items()]
    return sum(sample.value for sample in found)


def log(server: Server, **members: Any) -> httpx.Response:
    """Log one event."""
    return server.mutate("events.log", {"type": "metric.tried", "data": {"secret": "in-no-metric"}, **members})


@pytest.fixture(scope="module")
def measured(
    postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Keyed, Server]]:
    """A server for these tests, whose ledger listener is another process."""
    port = free_port()
    folder = tmp_path_factory.mktemp("metrics")
    with (
        cloned(postgres_url, template, "test_metrics") as url,
        serving(folder, database_url=url, rate_publish=2, ledger_port=port, **WEBHOOKS) as server,
    ):
        ledger = Server(f"http://127.0.0.1:{port}", server.token, server.process, server.log)
        until(ledger.ready)
        yield Keyed(server, url), ledger


@pytest.mark.parametrize(
    ("accept", "content_type", "parse"),
    [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8", parse_text),
        ("text/plain;version=nonsense", "text/plain; version=0.0.4; charset=utf-8", parse_text),
        (
            "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            parse_openmetrics,
        ),
    ],
    ids=["anything", "a version that is none", "as Prometheus asks"],
)
def test_the_official_parser_reads_it(
    measured: tuple[Keyed, Server], accept: str, content_type: str, parse: Any
) -> None:
    keyed, _ = measured
    assert log(keyed.server).status_code == 200

    answer = scraped(keyed.server, accept=accept)
    families = {family.name: family for family in parse(answer.text)}

    assert answer.headers["content-type"] == content_type
    assert {family.type for family in families.values()} == {"counter", "gauge", "histogram", "info"} - (
        set() if parse is parse_openmetrics else {"info"}
    )
    assert all(family.documentation for family in families.values())
    buckets = defaultdict[tuple[str, str], list[float]](list)
    for each in families["synap_call_duration_seconds"].samples:
        if each.name.endswith("_bucket"):
            buckets[each.labels["procedure"], each.labels["process"]].append(each.value)
    assert buckets
    assert all(values == sorted(values) for values in buckets.values())


def test_every_metric_is_documented(measured: tuple[Keyed, Server]) -> None:
    text = (ROOT / "docs" / "operate" / "metrics.md").read_text()

    told = {family.name for family in parse_openmetrics(scraped(measured[0].server, accept=OPENMETRICS).text)}
    named = {re.sub("_(total|info)$", "", each) for each in re.findall(r"`((?:synap|process)_[a-z_]+)`", text)}

    assert named == told


def test_calls_are_counted_by_procedure_and_code(measured: tuple[Keyed, Server]) -> None:
    server = measured[0].server
    before = samples(server)

    for _ in range(3):
        assert log(server).status_code == 200
    assert log(server, type="undotted").status_code == 400
    assert server.query("events.list").status_code == 200
    server = Server(server.url, "sk_wrong", server.process, server.log)
    assert log(server).status_code == 401
    after = samples(server)

    def grown(name: str, **labels: str) -> float:
        def summed(found: list[Sample]) -> float:
            return sum(each.value for each in found if each.name == name and labels.items() <= each.labels.items())

        return summed(after) - summed(before)

    calls = "synap_calls_total"
    assert grown(calls, procedure="events.log", kind="mutation", code="ok") == 3
    assert grown(calls, procedure="events.log", kind="mutation", code="invalid_input") == 1
    assert grown(calls, procedure="events.list", kind="query", code="ok") == 1
    assert grown("synap_call_duration_seconds_count", procedure="events.log") == 4
    assert 0 < grown("synap_call_duration_seconds_sum", procedure="events.log") < 30
    assert grown("synap_unauthorized_total") == 1
    assert grown("synap_events_appended_total") == 3
    assert grown("synap_commit_events_sum") == 3
    assert grown("synap_commit_duration_seconds_count") == 3
    assert grown("synap_events") == 3


def test_a_batch_is_one_commit(measured: tuple[Keyed, Server]) -> None:
    server = measured[0].server
    sizes = {"le": "100.0"}, {"le": "50.0"}
    before = [total(server, "synap_commit_events_bucket", **each) for each in sizes]

    events = {"events": [{"type": "metric.tried", "data": {}} for _ in range(80)]}
    assert server.mutate("events.logBatch", events).status_code == 200

    assert [total(server, "synap_commit_events_bucket", **each) for each in sizes] == [before[0] + 1, before[1]]


def test_what_a_rate_limit_rejects_is_counted(measured: tuple[Keyed, Server]) -> None:
    server = measured[0].server
    event = {"type": "a.b", "source": "test", "data": {}, "metadata": {"orgId": measured[0].workspace()}}
    until(lambda: time.time() % 60 < 50)  # all counted calls are in one minute

    answers = [web.post(f"{server.url}/v1/events", json=event, headers=server.headers) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert total(server, "synap_rate_limited_total", allowance="publish") == 1


def test_streams_are_counted_and_how_late_they_are(measured: tuple[Keyed, Server]) -> None:
    server = measured[0].server
    seen = total(server, "synap_feed_lag_seconds_count")

    with web.stream("GET", f"{server.url}/trpc/events.stream", headers=server.headers, timeout=30) as stream:
        lines = stream.iter_lines()
        next(lines)
        until(lambda: total(server, "synap_streams") == 1)
        assert total(server, "synap_live_connections") == 1
        assert log(server).status_code == 200
        next(line for line in lines if "metric.tried" in line)
        assert total(server, "synap_feed_lag_seconds_count") == seen + 1
        assert total(server, "synap_feed_lag_events") == 0

    until(lambda: total(server, "synap_streams") == 0)
    assert total(server, "synap_live_connections") == 0


def test_deliveries_are_counted_by_what_came_of_them(measured: tuple[Keyed, Server]) -> None:
    server = measured[0].server
    codes = iter([200, 503])

    def behaviour(_: Received) -> bytes:
        return status(next(codes, 200))

    with receiving(behaviour) as receiver:
        hook = {"eventTypes": ["metric.delivered"], "webhookUrl": receiver.url(), "secret": "s" * 24}
        made = server.mutate("subscriptions.create", hook).json()["result"]["data"]
        assert log(server, type="metric.delivered").status_code == 200
        until(lambda: total(server, "synap_delivery_attempts_total", outcome="delivered") == 1)
        until(lambda: total(server, "synap_deliveries_pending") == 0)
        assert log(server, type="metric.delivered").status_code == 200
        until(lambda: total(server, "synap_delivery_attempts_total", outcome="5xx") == 1)

    assert total(server, "synap_delivery_attempt_duration_seconds_count") == 2
    assert total(server, "synap_deliveries_pending") == 1, "the delivery that is retried in an hour"
    assert total(server, "synap_subscriptions", state="active") == 1
    assert server.mutate("subscriptions.delete", {"subscriptionId": made["subscriptionId"]}).status_code == 200
    assert total(server, "synap_deliveries_pending") == 0
    assert total(server, "synap_subscriptions") == 0


def test_every_process_is_in_every_scrape(measured: tuple[Keyed, Server]) -> None:
    keyed, ledger = measured
    assert web.get(f"{ledger.url}/v1/node", headers=ledger.headers).status_code == 200

    def told() -> list[list[Sample]]:
        return [samples(server) for server in (keyed.server, ledger)]

    # The values of other processes are up to a second old.
    until(lambda: all(any(each.labels.get("procedure") == "ledger.node" for each in found) for found in told()))
    by_main, by_ledger = told()

    for found in (by_main, by_ledger):
        started = {each.labels["process"]: each.value for each in found if each.name == "process_start_time_seconds"}
        assert started.keys() == {"0", "1"}
        asked = {each.labels["process"] for each in found if each.labels.get("procedure") == "ledger.node"}
        assert len(asked) == 1
    memory = [each.value for each in by_main if each.name == "process_resident_memory_bytes"]
    assert all(20e6 < each < 500e6 for each in memory)


def test_calls_to_two_processes_add_up(postgres_url: str, template: str, data_dir: Path) -> None:
    with (
        cloned(postgres_url, template, "test_metrics_two") as url,
        serving(data_dir, database_url=url, workers=2) as server,
    ):
        until(lambda: {each.labels.get("process") for each in samples(server)} >= {"0", "1"})
        with ThreadPoolExecutor(8) as pool:
            assert {answer.status_code for answer in pool.map(lambda _: log(server), range(60))} == {200}

        # From any process; one more if the first process to start logged in `_node` where the audit ends.
        until(lambda: {total(server, "synap_events_appended_total") for _ in range(20)} in ({60}, {61}))
        assert total(server, "synap_calls_total", procedure="events.log", code="ok") == 60
        shares = [each.value for each in samples(server) if each.name == "synap_events_appended_total"]
        assert len(shares) == 2
        assert all(shares), "both processes had calls"
        one = workers(server)[0]
        subprocess.run(["kill", "-9", str(one)], check=True)  # another process takes its place and its number
        until(lambda: one not in workers(server) and len(workers(server)) == 2)
        with suppress(httpx.HTTPError):
            log(server)
        until(lambda: _numbers(server) == {"0", "1"})
        assert total(server, "synap_events_appended_total") < 60, "the counts of the dead process are gone"
    assert not list((data_dir / "metrics").glob("*.json")), "a process that has ended is not shown"


def _numbers(server: Server) -> set[str]:
    with suppress(httpx.HTTPError):
        return {each.labels["process"] for each in samples(server) if each.name == "synap_events_appended_total"}
    return set()


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_what_a_proxy_passes_on_needs_a_key(measured: tuple[Keyed, Server], name: str) -> None:
    server = measured[0].server

    refused = scraped(server, **{name: "127.0.0.1"})

    assert refused.status_code == 401
    assert refused.json()["error"]["code"] == "unauthorized"
    assert scraped(server, **{name: "127.0.0.1"}, **server.headers).status_code == 200


def test_a_key_needs_the_scope(measured: tuple[Keyed, Server]) -> None:
    keyed, _ = measured
    proxied = {"x-forwarded-for": "203.0.113.9"}
    _, reader = keyed.key("events:read", "ledger:read", user="reader")
    _, auditor = keyed.key("audit:read", user="auditor")

    assert scraped(reader, **proxied, **reader.headers).status_code == 403
    assert scraped(reader, **reader.headers).status_code == 403, "a sent key counts, wherever the call comes from"
    assert scraped(auditor, **proxied, **auditor.headers).status_code == 200
    assert scraped(reader, authorization="Bearer wrong").status_code == 401


def test_no_payload_no_token_and_no_name_is_in_it(measured: tuple[Keyed, Server]) -> None:
    keyed, _ = measured
    org = keyed.workspace()
    key_id, holder = keyed.key("events:write", user="private-user", workspaces=(org,))
    assert log(holder, correlationId="private-run").status_code == 200
    assert holder.mutate("no.such-procedure", {}).status_code == 404

    text = scraped(keyed.server).text

    for secret in ("in-no-metric", "private", org, key_id, "such-procedure", keyed.server.token):
        assert f'"{secret}' not in text
        assert secret == org or secret not in text


def test_a_database_that_is_away_is_reported(tmp_path_factory: pytest.TempPathFactory) -> None:
    cluster = Cluster(tmp_path_factory.mktemp("away"))  # a longer path has its socket elsewhere after each start
    with serving(tmp_path_factory.mktemp("data"), database_url=cluster.url) as server:
        until(lambda: total(server, "synap_database_up") == 1)
        cluster.stop()
        until(lambda: total(server, "synap_database_up") == 0)
        names = {sample.name for sample in samples(server)}
        assert "synap_events_appended_total" in names
        assert "synap_events" not in names
        cluster.start()
        until(lambda: total(server, "synap_database_up") == 1)
    cluster.stop()


def test_a_slow_database_costs_a_scrape_only_its_numbers(measured: tuple[Keyed, Server]) -> None:
    keyed, _ = measured
    with connect(keyed.database_url) as connection:
        connection.execute("LOCK TABLE subscription IN ACCESS EXCLUSIVE MODE")
        started = time.monotonic()
        names = {sample.name: sample.value for sample in samples(keyed.server)}
        took = time.monotonic() - started
        connection.rollback()

    assert took < ANSWER_SECONDS + 15
    assert (names["synap_database_up"], "synap_events_appended_total" in names) == (0, True)
    until(lambda: total(keyed.server, "synap_database_up") == 1)


def test_a_histogram_counts_what_is_at_most_as_large() -> None:
    histogram = Histogram("h", "", bounds=(1.0, 5.0))

    for value in (0.5, 1.0, 3.0, 7.0):
        histogram.observe(value)

    assert cumulative(histogram, histogram.values[()]) == ([("1.0", 2), ("5.0", 3), ("+Inf", 4)], 11.5)


def test_a_folder_that_cannot_be_written_hides_a_process_and_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")

    async def tried() -> None:
        board = Board(tmp_path / "taken", lambda: None)
        board.open()
        assert [each.number for each in await board.all()] == [-1]
        await board.close()

    asyncio.run(tried())


@pytest.mark.parametrize("link", ["metrics", "metrics/0.lock"])
def test_a_link_hides_a_process_and_is_not_followed(tmp_path: Path, link: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / link).parent.mkdir(exist_ok=True)
    (tmp_path / link).symlink_to(tmp_path / "elsewhere" / ("" if link == "metrics" else "made"))

    async def tried() -> None:
        board = Board(tmp_path / "metrics", lambda: None)
        board.open()
        assert [each.number for each in await board.all()] == [-1]
        await board.close()

    asyncio.run(tried())
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_dead_process_is_not_shown_and_its_number_is_reused(tmp_path: Path) -> None:
    die = (
        "import asyncio, os, sys\nfrom pathlib import Path\nfrom app.telemetry.metrics import Board\n"
        "async def run():\n    Board(Path(sys.argv[1]), lambda: None).open()\n"
        "    while not Path(sys.argv[1], '0.json').exists():\n        await asyncio.sleep(0.01)\n"
        "    os._exit(9)\nasyncio.run(run())"
    )
    ran = subprocess.run([sys.executable, "-c", die, tmp_path], check=False)
    assert ran.returncode == 9
    assert (tmp_path / "0.json").exists()

    async def tried() -> None:
        first, second = Board(tmp_path, lambda: None), Board(tmp_path, lambda: None)
        second.open()
        assert not (tmp_path / "0.json").exists(), "the dead process's counts are not attributed to the new one"
        assert [each.number for each in await second.all()] == [0], "the dead process is not shown"
        first.open()
        assert [each.number for each in await first.all()] == [1, 0]
        await second.close()
        assert [each.number for each in await first.all()] == [1]
        await first.close()

    asyncio.run(tried())
