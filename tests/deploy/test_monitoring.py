"""What watches a server: alerts and a dashboard, against what a server exposes and by Prometheus's own tool."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.kit import web
from tests.kit.paths import ROOT
from tests.kit.programs import program
from tests.kit.servers import Server

PROMETHEUS = ROOT / "deploy" / "prometheus"
ALERTS = (PROMETHEUS / "alerts.yml").read_text()
DASHBOARD = msgspec.json.decode((ROOT / "deploy" / "grafana" / "synap.json").read_bytes())
METRICS = (ROOT / "docs" / "operate" / "metrics.md").read_text()

EXPOSED = re.compile(r"^# TYPE (\S+) (\S+)", re.MULTILINE)
NAMED = re.compile(r"\b(?:synap|process)_[a-z_]+")
GROUPED = re.compile(r"\bby \(([^)]*)\)")
HISTOGRAM = ("_bucket", "_count", "_sum")


def panels() -> list[dict[str, Any]]:
    """The panels of the dashboard that show something."""
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries() -> Iterator[str]:
    """Every query of the dashboard, with values for its variables."""
    for panel in panels():
        for target in panel["targets"]:
            yield target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")


@pytest.fixture(scope="module")
def exposed(server: Server) -> set[str]:
    """The names of the series that a server exposes."""
    names = {
        "synap_disk_free_bytes"
    }  # only of a server with an embedded database; tests/cli/test_sizes.py sees it there
    for name, kind in EXPOSED.findall(web.get(f"{server.url}/metrics").text):
        names |= {f"{name}{part}" for part in HISTOGRAM} if kind == "histogram" else {name}
    return names


@pytest.mark.parametrize(
    "expressions",
    [
        pytest.param(re.findall(r"expr: (.*)", ALERTS), id="alerts"),
        pytest.param([*queries(), DASHBOARD["templating"]["list"][1]["query"]["query"]], id="dashboard"),
    ],
)
def test_every_metric_that_is_watched_is_exposed(expressions: list[str], exposed: set[str]) -> None:
    named = {name for expression in expressions for name in NAMED.findall(GROUPED.sub("", expression))}

    assert len(named) >= 8
    assert named - exposed == set()


def test_the_dashboard_shows_every_metric_that_the_documents_list() -> None:
    documented = {name for line in METRICS.splitlines() if line.startswith("| `") for name in NAMED.findall(line)}

    shown = {name.removesuffix("_bucket") for query in queries() for name in NAMED.findall(query)}

    assert len(documented) > 30
    # A dashboard is for any install, and only a distributed database has nodes.
    assert {name for name in documented if not any(each.startswith(name) for each in shown)} == {
        "process_start_time_seconds",
        "synap_node_up",
    }


def test_the_dashboard_groups_by_labels_that_exist() -> None:
    rows = [re.match(r"\| (`[^|]*`) \|([^|]*)\|", line) for line in METRICS.splitlines()]
    labels = {name: set(re.findall(r"`(\w+)`", row[2])) for row in rows if row for name in NAMED.findall(row[1])}

    unknown = {
        (query, label)
        for query in queries()
        for group in GROUPED.findall(query)
        for label in group.split(", ")
        if label not in {"instance", "process", "le"}.union(*(_labels(labels, name) for name in NAMED.findall(query)))
    }

    assert unknown == set()


def test_the_panels_have_their_own_ids_and_places() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    squares = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(ids) == len(set(ids))
    assert len(squares) == len(set(squares))
    assert all(x < 24 for x, _ in squares)


def test_prometheus_reads_every_query_of_the_dashboard(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(queries())]
    (tmp_path / "rules.yml").write_bytes(msgspec.json.encode({"groups": [{"name": "dashboard", "rules": rules}]}))

    promtool("check", "rules", str(tmp_path / "rules.yml"))


def test_each_alert_fires_for_its_fault_and_none_for_a_quiet_server(tmp_path: Path) -> None:
    expected = (ROOT / "tests" / "deploy" / "alerts.yml").read_text()
    (tmp_path / "alerts.yml").write_text(expected.replace("{{ALERTS}}", str(PROMETHEUS / "alerts.yml")))

    promtool("test", "rules", str(tmp_path / "alerts.yml"))

    assert set(re.findall(r"- alert: (\w+)", ALERTS)) == set(re.findall(r'alertname="(\w+)"', expected))


def test_prometheus_accepts_its_configuration() -> None:
    promtool("check", "config", "--syntax-only", str(PROMETHEUS / "prometheus.yml"))


def test_every_alert_says_what_is_wrong() -> None:
    assert (
        ALERTS.count("- alert: ") == ALERTS.count("expr: ") == ALERTS.count("severity: ") == ALERTS.count("summary: ")
    )


def promtool(*arguments: str) -> None:
    """Run Prometheus's own tool, which must find no fault."""
    ran = subprocess.run([program("promtool"), *arguments], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def _labels(labels: dict[str, set[str]], name: str) -> set[str]:
    """The labels of a series."""
    return next((found for metric, found in labels.items() if name.startswith(metric)), set())
