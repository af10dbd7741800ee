"""`make bench` for a second: it measures, writes its figures, and compares them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from benchmarks import costs, report
from benchmarks.contestants import Contestant
from benchmarks.database import Cluster
from tests.kit.paths import ROOT

FIGURES = report.Figures(
    calls_per_second=100,
    p50_ms=1,
    p99_ms=2,
    server_us=300,
    database_us=100,
    wal_bytes=1000,
    disk_bytes=None,
    group=8,
)

SHORT = ("--only", "ours", "--calls", "log", "--seconds", "1", "--warm-up", "0", "--rounds", "1", "--events", "100")


@pytest.fixture
def _wrk() -> None:
    """Without wrk the test is skipped; in CI it fails."""
    if shutil.which("wrk") is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("wrk not found: nothing can load a server")


@pytest.mark.usefixtures("_wrk")
def test_a_run_measures_processor_time_wal_and_groups(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"

    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks", "calls", *SHORT, "--json", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    measured = report.read(file)
    figures = measured.figures["events.log"]["ours"]
    assert ran.stdout.splitlines() == list(report.table(measured))
    assert None not in (figures.database_us, figures.wal_bytes, figures.disk_bytes)
    assert figures.server_us > 0
    assert figures.group is not None
    assert figures.group >= 1


def test_two_runs_are_compared_by_call_and_server() -> None:
    now = replace(FIGURES, calls_per_second=200, server_us=150, database_us=50, wal_bytes=500)

    lines = list(report.comparison(*(_report(each) for each in (FIGURES, now))))

    assert " ".join(lines[-1].split()) == "events.log ours 100 -> 200 2.00x 400 -> 200 0.50x 1,000 -> 500 0.50x -"


def test_another_machine_and_method_are_named() -> None:
    figures = replace(FIGURES, database_us=None, wal_bytes=None)

    lines = list(report.comparison(_report(figures, "8", "for an hour"), _report(figures)))

    assert "Another machine then: cores 8" in lines
    assert "Measured otherwise then: for an hour" in lines


def test_costs_in_logs_of_two_sizes_are_compared_by_processor_time() -> None:
    figures = replace(FIGURES, calls_per_second=9, wal_bytes=None, group=None)
    dearer = replace(figures, server_us=400)

    first, second, _, _, heap = list(
        costs.table(
            [_log(10, heap=500.0), _log(1000, heap=400.0)],
            {"events.get": [figures, figures], "events.list": [figures, dearer]},
        )
    )[1:]

    assert first.split() == ["events.get", "400", "(9)", "400", "(9)", "1.00x", "kept"]
    assert second.split() == ["events.list", "400", "(9)", "500", "(9)", "1.25x", "above", "1.2x"]
    assert heap.split() == ["heap", "500", "400"]


def _log(events: int, **sizes: float) -> costs.Log:
    server = Contestant(name="ours", url="", token="", pid=0)
    return costs.Log(server=server, cluster=Cluster(""), events=events, calls=[], bytes=sizes)


def _report(figures: report.Figures, cores: str = "2", method: str = "for a second") -> report.Report:
    return report.Report(machine={"cores": cores}, method=method, figures={"events.log": {"ours": figures}})
